"""The report's figures as a workbook: the same as on the page and in the deck, a row each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from xlsxwriter import Workbook

from reclust_spark.paths import depth, parent
from reclust_spark.report.content import (
    CAUTION,
    CONDITIONAL,
    DISCOVERY,
    HIDDEN,
    STOP_WORDS,
    Cluster,
    Outside,
    Report,
    name_of,
)
from reclust_spark.report.deck.clean import clean
from reclust_spark.warehouse.names import SHARE

LONGEST = 32_767
"""UTF-16 units that a cell of Excel holds."""
MOST_ROWS = 1_048_576
"""Rows of an Excel sheet, the header included."""
_TEXT, _COUNT, _SHARE, _FIGURE = "text", "count", "share", "figure"
_FORMATS = {_TEXT: {}, _COUNT: {"num_format": "#,##0"}, _SHARE: {"num_format": "0.0%"},
            _FIGURE: {"num_format": "#,##0.000"}}  # fmt: skip
Value = str | float | bool | None


class Column(NamedTuple):
    """A column: its name, what stands in it (text, count, share or figure), its width in digits."""

    name: str
    kind: str = _TEXT
    width: int = 14


CLUSTERS = (
    Column("path"), Column("cluster", width=10), Column("name", width=50),
    Column("named by an analyst", width=12), Column("depth", _COUNT, 8), Column("parent"),
    Column("people", _COUNT), Column("weight", _COUNT), Column("share of everyone", _SHARE),
    Column("share of parent", _SHARE), Column("children", _COUNT, 10),
    Column("people in no child", _COUNT), Column("why not split", width=30),
    Column("stability", _FIGURE), Column("persistence", _FIGURE), Column("fidelity", _FIGURE),
    Column("trustworthiness", _FIGURE), Column("agreement", _SHARE), Column("AUC", _FIGURE),
    Column("F1", _FIGURE), Column("calibration error", _FIGURE),
    Column("people held out", _COUNT), Column("threshold", _FIGURE), Column("notes", width=50),
)  # fmt: skip
ANSWERS = (
    Column("path"), Column("cluster", width=10), Column("name", width=30),
    Column("rank", _COUNT, 8), Column("question", width=20), Column("text", width=60),
    Column("direction", width=20), Column("here", width=24), Column("parent", width=24),
    Column("everyone", width=24), Column("lift", _FIGURE), Column("mean |SHAP|", _FIGURE),
)  # fmt: skip
SIBLINGS = (
    Column("path"), Column("cluster", width=10), Column("name", width=40),
    Column("models place them in", width=20), Column("its name", width=40),
    Column("share", _SHARE),
)  # fmt: skip
OUTSIDE = (
    Column("question", width=18), Column("text", width=40), Column("by", width=18),
    Column("by text", width=30), Column("path"), Column("cluster", width=10),
    Column("name", width=30), Column("by answer", width=20), Column("answer", width=20),
    Column("statistic", width=10), Column("value", _FIGURE), Column("everyone's", _FIGURE),
    Column("index", _COUNT, 10), Column("low", _FIGURE), Column("high", _FIGURE),
    Column("people", _COUNT), Column("effective n", _COUNT),
    Column("false-discovery rate", _FIGURE), Column("suppressed", width=12),
    Column("source", width=24),
)  # fmt: skip
_OF_SHARES = frozenset(("value", "everyone's", "low", "high"))
"""Columns of outside that are percentages where the statistic is a share."""
ABOUT = (Column("what", width=30), Column("value", width=100))


def write_workbook(report: Report, file: Path) -> None:
    """Write the workbook.

    Rows are written as they are made, so that none but the present one is held. A sheet of outside
    questions that is longer than Excel's goes on in the next one.

    Parameters
    ----------
    report : Report
    file : Path

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with file.open("wb") as target:
        book = Workbook(
            target,
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        book.set_properties(
            {
                "title": _fitting(report.title)[:255],
                "author": "reclust-spark",
                "created": report.made_at.replace(tzinfo=None),
            }
        )
        sheets = _Sheets(book)
        sheets.add("clusters", CLUSTERS, (_cluster(c) for c in report.clusters.values()))
        sheets.add("answers", ANSWERS, _answers(report))
        sheets.add("siblings", SIBLINGS, _siblings(report))
        sheets.add("outside", OUTSIDE, _outside(report))
        sheets.add("about", ABOUT, _about(report))
        book.close()


class _Sheets:
    """Adds sheets to a workbook, alike in their looks."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._head = book.add_format(
            {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}
        )
        self._formats = {kind: book.add_format(form) for kind, form in _FORMATS.items()}

    def add(self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[Value]]) -> None:
        """Add rows as a sheet, or as several where one has no room."""
        left = iter(rows)
        at = 1
        while (first := next(left, None)) is not None or at == 1:
            part = () if first is None else chain((first,), islice(left, MOST_ROWS - 2))
            self._sheet(name if at == 1 else f"{name} {at}", columns, part)
            at += 1

    def _sheet(
        self,
        name: str,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Value]],
    ) -> None:
        sheet = self._book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for at, column in enumerate(columns):
            sheet.set_column(at, at, column.width)
            sheet.write_string(0, at, column.name, self._head)
        n = 0
        for n, values in enumerate(rows, start=1):
            self._row(sheet, n, columns, values)
        sheet.autofilter(0, 0, n, len(columns) - 1)

    def _row(self, sheet: Any, at: int, columns: Sequence[Column], values: Sequence[Value]) -> None:
        shares = columns is OUTSIDE and SHARE in values
        for place, (column, value) in enumerate(zip(columns, values, strict=True)):
            kind = _SHARE if shares and column.name in _OF_SHARES else column.kind
            if isinstance(value, str):
                sheet.write_string(at, place, _fitting(value))
            elif isinstance(value, bool):
                sheet.write_string(at, place, "yes" if value else "no")
            elif value is not None and math.isfinite(value):
                sheet.write_number(at, place, value, self._formats[kind])


def _fitting(text: str) -> str:
    """Return a text as a cell holds it: clean, and cut where it is longer."""
    text = clean(text).replace("\r", "")
    if len(text) <= LONGEST // 2:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * LONGEST:
        return text
    return units[: 2 * (LONGEST - 1)].decode("utf-16-le", errors="ignore") + "…"


def _cluster(cluster: Cluster) -> tuple[Value, ...]:
    model = cluster.certainty
    reason = cluster.stop_reason
    return (
        cluster.path, name_of(cluster.path), cluster.label, cluster.by_analyst,
        depth(cluster.path), parent(cluster.path), cluster.n, cluster.weight, cluster.share,
        cluster.parent_share, cluster.n_children, cluster.n_noise,
        None if reason is None else STOP_WORDS.get(reason, reason), cluster.stability,
        cluster.persistence, cluster.fidelity, cluster.trustworthiness, cluster.agreement,
        model.auc if model else None, model.f1 if model else None,
        model.calibration_error if model else None, model.n_test if model else None,
        model.threshold if model else None,
        "\n".join(f"{n.at:%Y-%m-%d} {n.author}: {n.text}" for n in cluster.notes) or None,
    )  # fmt: skip


def _answers(report: Report) -> Iterator[tuple[Value, ...]]:
    for cluster in report.clusters.values():
        for rank, answer in enumerate(cluster.answers, start=1):
            yield (
                cluster.path, name_of(cluster.path), cluster.label, rank, answer.source_column,
                answer.question, answer.direction or None, answer.here or None,
                answer.parent or None, answer.everyone or None, answer.lift, answer.mean_abs_shap,
            )  # fmt: skip


def _siblings(report: Report) -> Iterator[tuple[Value, ...]]:
    for cluster in report.clusters.values():
        for sibling in cluster.siblings:
            none = sibling.path == parent(cluster.path)
            other = report.clusters.get(sibling.path)
            yield (
                cluster.path, name_of(cluster.path), cluster.label,
                "none of them" if none else sibling.path,
                None if none or other is None else other.label, sibling.share,
            )  # fmt: skip


def _outside(report: Report) -> Iterator[tuple[Value, ...]]:
    places = {path: at for at, path in enumerate(report.clusters)}
    for outside in report.outside:
        yield from _crossed(report, outside, places)


def _crossed(
    report: Report, outside: Outside, places: dict[str, int]
) -> Iterator[tuple[Value, ...]]:
    by = {level: at for at, level in enumerate(outside.by_levels)}
    levels = {level: at for at, level in enumerate(outside.levels)}
    ordered = sorted(
        (key for key in outside.cells if key.path in places),
        key=lambda k: (
            places[k.path], by.get(k.by_level, -1), outside.statistics.index(k.statistic),
            levels.get(k.level, -1),
        ),
    )  # fmt: skip
    for key in ordered:
        one = outside.cells[key]
        figures: tuple[Value, ...] = one[:-1]
        if one.suppressed:
            figures = (None,) * len(figures)
        yield (
            outside.question, outside.text, outside.by_question or None, outside.by_text or None,
            key.path, name_of(key.path), report.clusters[key.path].label, key.by_level or None,
            key.level or None, key.statistic, *figures,
            "few people" if one.suppressed else None, outside.input_table or None,
        )  # fmt: skip


def _about(report: Report) -> Iterator[tuple[Value, ...]]:
    yield "title", report.title
    yield "survey", report.source
    yield "tree version", str(report.tree_version)
    yield "made at", f"{report.made_at:%Y-%m-%d %H:%M}"
    yield "people", f"{report.n:,}"
    yield "shares", "weighted" if report.weighted else "all people counted alike"
    for name, value in report.method.items():
        yield name, str(value)
    for level, share in report.agreement.items():
        yield f"models and fit agree, depth {level}", f"{share:.1%}"
    yield "models", CAUTION
    yield "empty figures", "unknown; in outside, where suppressed says so, not shown"
    yield "texts", f"cut at {LONGEST:,} characters, with an ellipsis"
    if report.outside:
        yield "outside", CONDITIONAL
        yield "outside, differences", DISCOVERY
        yield "outside, suppressed", HIDDEN
