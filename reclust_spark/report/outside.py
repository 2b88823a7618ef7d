"""Outside questions: from rows of crosstabs to what a report shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reclust_spark.report.content import Cell, CellKey, Outside
from reclust_spark.warehouse.names import MEAN, MEDIAN, SHARE

Row = Mapping[str, Any]


def outside_of(rows: Sequence[Row]) -> tuple[Outside, ...]:
    """Return the outside questions that rows of crosstabs answer, each with its cells.

    Parameters
    ----------
    rows : sequence of row
        Of the crosstabs table.

    Returns
    -------
    tuple of Outside
        Questions in the order of their names, alone first; levels in their own order.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["question"], row["by_question"]), []).append(row)
    return tuple(_outside(groups[key]) for key in sorted(groups))


def _outside(rows: Sequence[Row]) -> Outside:
    first = rows[0]
    cells = {
        CellKey(row["path"], row["by_level"], row["level"], row["statistic"]): Cell(
            row["value"], row["population_value"], row["index"], row["ci_low"], row["ci_high"],
            row["n"], row["n_eff"], row["q_value"], row["suppressed"],
        )
        for row in rows
    }  # fmt: skip
    return Outside(
        first["question"],
        first["question_text"],
        first["by_question"],
        first["by_text"] or "",
        tuple(dict.fromkeys(sorted((row["statistic"] for row in rows), key=_statistic_order))),
        _ordered(rows, "level", "level_order"),
        _ordered(rows, "by_level", "by_order"),
        cells,
        first["input_table"].rstrip("/").rpartition("/")[2],
        first["confidence"],
    )


def _statistic_order(name: str) -> int:
    return (SHARE, MEAN, MEDIAN).index(name)


def _ordered(rows: Sequence[Row], name: str, order: str) -> tuple[str, ...]:
    places = {row[name]: row[order] or 0 for row in rows if row[name]}
    return tuple(sorted(places, key=lambda level: (places[level], level)))
