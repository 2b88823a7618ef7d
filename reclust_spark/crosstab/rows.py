"""From the estimates of all tasks to the rows of crosstabs: what is not shown, and what stands out.

Whatever is here is of nodes and levels; nothing is of a person.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reclust_spark.crosstab.cells import MISSING, Ints
from reclust_spark.crosstab.disclosure import Flags
from reclust_spark.crosstab.discovery import q_values
from reclust_spark.crosstab.hiding import family_of, hide_alone, hide_crossed
from reclust_spark.crosstab.questions import Asked
from reclust_spark.crosstab.tabulate import Pair, Plan
from reclust_spark.crosstab.variance import Floats
from reclust_spark.warehouse.names import MEAN, MEDIAN, SHARE

log = logging.getLogger(__name__)

FIGURES = ("value", "low", "high", "n_eff", "p_value")
ROWS = pa.schema(
    [
        ("path", pa.string()),
        ("question", pa.string()),
        ("question_text", pa.string()),
        ("by_question", pa.string()),
        ("by_text", pa.string()),
        ("by_level", pa.string()),
        ("by_order", pa.int32()),
        ("level", pa.string()),
        ("level_order", pa.int32()),
        ("statistic", pa.string()),
        ("value", pa.float64()),
        ("population_value", pa.float64()),
        ("index", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("n", pa.int64()),
        ("n_eff", pa.float64()),
        ("p_value", pa.float64()),
        ("q_value", pa.float64()),
        ("suppressed", pa.bool_()),
    ]
)


class Grid(NamedTuple):
    """The estimates of a question, alone or crossed, in the order of nodes, groups and levels.

    Attributes
    ----------
    people : (nodes, groups + 1, levels + 1) int64 array
        The last of either: did not answer. Of a number, levels is 1: all who answered.
    figures : dict of statistic to dict of figure to (nodes, groups, levels) float64 array
        NaN where it is not known.
    """

    people: Ints
    figures: dict[str, dict[str, Floats]]


def rows_of(estimates: pa.Table, plan: Plan, least: int) -> pa.Table:
    """Return the rows of crosstabs.

    Parameters
    ----------
    estimates : Arrow table
        As `tabulate.ESTIMATES_DDL` says, in any order.
    plan : Plan
    least : int
        A cell of fewer people is not shown.

    Returns
    -------
    Arrow table
        Of columns ROWS: every node, group and level, whether anybody is there or not.
    """
    numbers, tables = estimates["pair"].to_numpy(), []
    for number, pair in enumerate(plan.pairs):
        grid = _grid(estimates.filter(pa.array(numbers == number)), plan, pair)
        hidden = hidden_of(grid.people, plan, pair, least)
        tables.append(_table(grid, hidden, plan, pair))
    return pa.concat_tables(tables)


def _grid(rows: pa.Table, plan: Plan, pair: Pair) -> Grid:
    asked = plan.asked[pair.question]
    nodes, groups = len(plan.paths), plan.n_groups(pair)
    levels = 1 if asked.is_number else len(asked.levels)
    path, group, level = (rows[name].to_numpy() for name in ("path", "by_level", "level"))
    place = (path, np.where(group == MISSING, groups, group), np.where(level == -1, levels, level))
    people = np.zeros((nodes, groups + 1, levels + 1), dtype=np.int64)
    people[place] = rows["people"].to_numpy()
    statistic = rows["statistic"].to_numpy()
    figures = {}
    for name in (MEAN, MEDIAN) if asked.is_number else (SHARE,):
        mine = statistic == name
        figures[name] = {figure: np.full((nodes, groups, levels), np.nan) for figure in FIGURES}
        for figure, values in figures[name].items():
            values[tuple(axis[mine] for axis in place)] = rows[figure].to_numpy()[mine]
    return Grid(people, figures)


def hidden_of(people: Ints, plan: Plan, pair: Pair, least: int) -> Flags:
    """Return which cells are not shown.

    Parameters
    ----------
    people : (nodes, groups + 1, levels + 1) int64 array
        See `Grid`.
    plan : Plan
    pair : Pair
    least : int

    Returns
    -------
    (nodes, groups, levels) bool array
    """
    family, asked = family_of(plan.paths), plan.asked[pair.question]
    if pair.by is None:
        alone = hide_alone(people[:, 0, :-1], family, least, is_number=asked.is_number)
        hidden = alone.base[:, None] | alone.cells
        return hidden[: family.nodes, None, :]
    by = plan.asked[pair.by]
    if by.question.column < asked.question.column and not (asked.is_number or by.is_number):
        # which of two questions is the second must not change what is hidden of both
        turned = hide_crossed(
            people.transpose(0, 2, 1), family, least, is_number=False, by_number=False
        )
        hidden = turned.turned[:, :, None] | turned.cells.transpose(0, 2, 1)
    else:
        crossed = hide_crossed(
            people, family, least, is_number=asked.is_number, by_number=by.is_number
        )
        hidden = crossed.base[:, :, None] | crossed.cells
    if hidden.all():
        names = (asked.question.column, by.question.column)
        log.warning("%s by %s: so few people that all of it is suppressed", *names)
    return hidden


def _table(grid: Grid, hidden: Flags, plan: Plan, pair: Pair) -> pa.Table:
    tables = [_of_statistic(name, figures, grid, hidden) for name, figures in grid.figures.items()]
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.concatenate([table[name] for table in tables]) for name in tables[0]
    }
    columns["q_value"] = q_values(columns["p_value"])
    columns |= _names(plan, pair, grid, len(tables))
    arrays = [
        pa.array(columns[field.name], field.type, from_pandas=True)
        if field.type != pa.int64()
        else pa.array(columns["n"], pa.int64(), mask=columns["suppressed"])
        for field in ROWS
    ]
    return pa.table(arrays, schema=ROWS)


def _of_statistic(
    name: str, figures: dict[str, Floats], grid: Grid, hidden: Flags
) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of one statistic; NaN where something is not shown, or not known."""

    def shown(values: Floats) -> Floats:
        return np.where(hidden, np.nan, values)

    value = shown(figures["value"])
    population = np.broadcast_to(value[:1], value.shape)
    # who knows how a cluster differs from everyone and its own value knows everyone's
    compared = ~np.isnan(population)
    base = np.repeat(grid.people[:, :-1, :-1].sum(2, keepdims=True), value.shape[2], axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.where(population > 0, 100 * value / population, np.nan)
    columns = {
        "statistic": np.full(value.shape, name, dtype=object),
        "value": value,
        "population_value": population,
        "index": index,
        "ci_low": shown(figures["low"]),
        "ci_high": shown(figures["high"]),
        "n": base,
        "n_eff": shown(figures["n_eff"]),
        "p_value": np.where(compared, shown(figures["p_value"]), np.nan),
        "suppressed": hidden,
    }
    return {name: column.ravel() for name, column in columns.items()}


def _names(plan: Plan, pair: Pair, grid: Grid, times: int) -> dict[str, npt.NDArray[Any]]:
    """Return the columns that say which node, question, group and level a row is of."""
    asked, by = plan.asked[pair.question], None if pair.by is None else plan.asked[pair.by]
    node, group, level = (axis.ravel() for axis in np.indices(grid.people[:, :-1, :-1].shape))

    def all_of(text: str) -> npt.NDArray[Any]:
        return np.full(node.size, text, dtype=object)

    columns = {
        "path": np.array(plan.paths, dtype=object)[node],
        "question": all_of(asked.question.column),
        "question_text": all_of(asked.question.text),
        "by_question": all_of("" if by is None else by.question.column),
        "by_text": all_of("" if by is None else by.question.text),
        "by_level": np.array(_groups(by), dtype=object)[group],
        "by_order": group,
        "level": np.array(asked.levels or ("",), dtype=object)[level],
        "level_order": level,
    }
    return {name: np.tile(column, times) for name, column in columns.items()}


def _groups(by: Asked | None) -> tuple[str, ...]:
    return ("",) if by is None else by.groups
