"""How crosstabs look in a terminal: the clusters of the first split, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from reclust_spark.config import CrosstabOptions
from reclust_spark.crosstab.discovery import DISCOVERED, is_discovery
from reclust_spark.warehouse.names import MEAN, SHARE

Row = Mapping[str, Any]
DEPTH = 1
"""Of the clusters that are shown."""
HIDDEN, NOTHING = "–", ""
LEGEND = (
    f"* differs from everyone else (false-discovery rate at most {DISCOVERED:.0%}); "
    f"{HIDDEN} suppressed: too few people, or others could be worked out from it. Clusters below "
    "these, intervals and all else: table crosstabs."
)


def crosstab_parts(rows: Sequence[Row], options: CrosstabOptions) -> list[RenderableType]:
    """Lay out crosstabs, a table a question, and a pair of questions.

    Parameters
    ----------
    rows : sequence of row
        Of the crosstabs table, of the root and its children.
    options : CrosstabOptions
        What was asked, and crossed with what.

    Returns
    -------
    list of renderable
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        question, by = row["question"], row["by_question"]
        is_asked = not options.questions or question in options.questions
        if is_asked and by in ("", *options.seconds_of(question)):
            groups.setdefault((question, by), []).append(row)
    parts: list[RenderableType] = []
    for _, some in sorted(groups.items()):
        parts += [_title(some[0]), _table(some), ""]
    return [*parts, LEGEND] if parts else []


def _title(row: Row) -> str:
    text = row["question_text"]
    return f"{text} By: {row['by_text']}" if row["by_question"] else str(text)


def _table(rows: Sequence[Row]) -> Table:
    """Lay out a question: levels down, clusters across; crossed, the second question's first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(rows[0]["by_question"], overflow="fold")
    table.add_column("", overflow="fold")
    paths = sorted({row["path"] for row in rows})
    for path in paths:
        table.add_column(path, justify="right", no_wrap=True)
    figures = {(*_line(row), row["path"]): row for row in rows}
    before = None
    for line in sorted({_line(row) for row in rows}):
        _, by_level, _, what = line
        cells = [_figure(figures[(*line, path)]) for path in paths]
        table.add_row("" if by_level == before else by_level, what, *cells)
        before = by_level
    return table


def _line(row: Row) -> tuple[int, str, int, str]:
    """Return where a row stands: order and name of its group, order and name of what it says."""
    order = row["level_order"] if row["statistic"] == SHARE else int(row["statistic"] != MEAN)
    return row["by_order"], row["by_level"], order, row["level"] or row["statistic"]


def _figure(row: Row) -> str:
    if row["suppressed"]:
        return HIDDEN
    if row["value"] is None:
        return NOTHING
    shown = f"{row['value']:.1%}" if row["statistic"] == SHARE else f"{row['value']:,.4g}"
    return f"{shown}*" if is_discovery(row["q_value"]) else f"{shown} "
