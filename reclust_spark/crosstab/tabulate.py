"""What tasks do: count people into cells, and turn the cells of a question into estimates.

The functions take and give Arrow, which is what mapInArrow and applyInArrow want; nothing here
knows of Spark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reclust_spark.crosstab.cells import MISSING, Cells, Ints, added
from reclust_spark.crosstab.design import Design, Estimates, in_parts
from reclust_spark.crosstab.estimate import means, medians, people, shares
from reclust_spark.crosstab.questions import Asked
from reclust_spark.crosstab.variance import Floats
from reclust_spark.paths import parent
from reclust_spark.prepare.questions import answers_of

KEYS = ("pair", "by_level", "path", "stratum", "unit", "level")
SUMS = ("n", "w", "w2", "w4", "wy", "wyy", "w2y", "w2yy")
CELLS_DDL = (
    "pair int, by_level int, path int, stratum int, unit bigint, level int, n bigint, "
    + ", ".join(f"{name} double" for name in SUMS[1:])
)
ESTIMATES_DDL = (
    "pair int, by_level int, path int, level int, statistic string, people bigint, value double, "
    "low double, high double, n_eff double, p_value double"
)
PEOPLE = ("path", "weight", "stratum", "unit")
"""The first columns of a batch; the questions' follow by place."""
_BATCH = 2**17

_CELLS = pa.schema(
    [(name, pa.int64() if name == "unit" else pa.int32()) for name in KEYS]
    + [(name, pa.int64() if name == "n" else pa.float64()) for name in SUMS]
)
_ESTIMATES = pa.schema(
    [(name, pa.int32()) for name in ("pair", "by_level", "path", "level")]
    + [("statistic", pa.string()), ("people", pa.int64())]
    + [(name, pa.float64()) for name in ("value", "low", "high", "n_eff", "p_value")]
)


class Pair(NamedTuple):
    """A question by its number, alone (by is None) or crossed with a second one."""

    question: int
    by: int | None


@dataclass(frozen=True)
class Plan:
    """All that a task needs.

    Attributes
    ----------
    asked : tuple of Asked
        In the order of a batch's columns.
    pairs : tuple of Pair
    paths : tuple of str
        Of all nodes, sorted: the root is the first.
    strata : tuple of str
        One empty text where there are none.
    n_h : tuple of float
        Units of each stratum in the whole sample.
    by_units : bool
        Primary sampling units are given.
    confidence : float
    """

    asked: tuple[Asked, ...]
    pairs: tuple[Pair, ...]
    paths: tuple[str, ...]
    strata: tuple[str, ...]
    n_h: tuple[float, ...]
    by_units: bool
    confidence: float

    def n_groups(self, pair: Pair) -> int:
        """Return how many levels the second question has: 1 where there is none."""
        return 1 if pair.by is None else len(self.asked[pair.by].groups)

    def design(self) -> Design:
        """Return what holds for all cells."""
        return Design(ancestors_of(self.paths), np.asarray(self.n_h), self.confidence)


class _People(NamedTuple):
    """Some people: numbers of their nodes, strata and units, weights, answers by question.

    A unit has a number among these people, and a name among all.
    """

    path: Ints
    stratum: Ints
    unit: Ints
    name: Ints
    w: Floats
    answers: Floats


def ancestors_of(paths: tuple[str, ...]) -> Ints:
    """Return the numbers of the nodes above each node, itself included; −1 where there are no more.

    Parameters
    ----------
    paths : tuple of str
        Sorted.

    Returns
    -------
    (nodes, depths) int64 array
    """
    number = {path: i for i, path in enumerate(paths)}
    chains: list[list[int]] = []
    for path in paths:
        above = parent(path)
        chains.append([*([] if above is None else chains[number[above]]), number[path]])
    most = max(len(chain) for chain in chains)
    return np.array([chain + [-1] * (most - len(chain)) for chain in chains], dtype=np.int64)


def tabulate(batches: Iterable[pa.RecordBatch], plan: Plan) -> Iterator[pa.RecordBatch]:
    """Count the people of a partition into cells.

    Parameters
    ----------
    batches : iterable of Arrow record batch
        PEOPLE, then a column for each question.
    plan : Plan

    Yields
    ------
    Arrow record batch
        As CELLS_DDL says; the same cell may come more than once.
    """
    numbers = ({path: i for i, path in enumerate(plan.paths)}, _numbered(plan.strata))
    waiting: list[_People] = []
    for batch in batches:
        waiting.append(_coded(batch, plan, *numbers))
        if sum(len(some.w) for some in waiting) >= _BATCH:
            yield from _cells_of(waiting, plan)
            waiting = []
    yield from _cells_of(waiting, plan)


def _numbered(names: tuple[str, ...]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _coded(
    batch: pa.RecordBatch, plan: Plan, paths: dict[str, int], strata: dict[str, int]
) -> _People:
    n = batch.num_rows
    columns = pa.RecordBatch.from_arrays(
        batch.columns[len(PEOPLE) :], names=[asked.question.column for asked in plan.asked]
    )
    answers = answers_of(columns, [asked.question for asked in plan.asked])
    name = np.zeros(n, dtype=np.int64)
    if plan.by_units:
        name = batch.column("unit").to_numpy(zero_copy_only=False)
    return _People(
        _lookup(batch.column("path"), paths),
        _lookup(batch.column("stratum"), strata),
        np.zeros(n, dtype=np.int64),
        name,
        batch.column("weight").to_numpy(zero_copy_only=False),
        answers,
    )


def _lookup(texts: pa.Array, numbers: dict[str, int]) -> Ints:
    encoded = texts.dictionary_encode()
    found = np.array([numbers[text] for text in encoded.dictionary.to_pylist()], dtype=np.int64)
    return found[encoded.indices.to_numpy(zero_copy_only=False)] if len(found) else found


def _cells_of(some: list[_People], plan: Plan) -> Iterator[pa.RecordBatch]:
    if not some:
        return
    whole = _People(*(np.concatenate(column) for column in zip(*some, strict=True)))
    counting = whole.w > 0
    if not counting.any():
        return
    columns: list[Any] = [column[counting] for column in whole]
    whole = _People(*columns)
    whole = whole._replace(unit=np.unique(whole.name, return_inverse=True)[1])
    for number, pair in enumerate(plan.pairs):
        yield _cells_of_pair(whole, plan, number, pair)


def _cells_of_pair(some: _People, plan: Plan, number: int, pair: Pair) -> pa.RecordBatch:
    """Add up the people of each cell; those who answered neither question are in none."""
    asked = plan.asked[pair.question]
    answers = some.answers[:, pair.question]
    level, group = asked.level_of(answers), np.zeros(len(answers), dtype=np.int64)
    if pair.by is not None:
        group = plan.asked[pair.by].group_of(some.answers[:, pair.by])
    counted = (level != MISSING) | ((group != MISSING) & (pair.by is not None))
    # a unit lies in one stratum
    sampled = some.unit if plan.by_units else some.stratum
    key = (group + 1) * len(plan.paths) + some.path
    key = (key * (sampled.max() + 1) + sampled) * (asked.n_levels + 1) + level + 1
    _, first, at = np.unique(key[counted], return_index=True, return_inverse=True)
    w = some.w[counted]
    y = np.zeros(len(w))
    if asked.is_number:
        y = np.nan_to_num(answers[counted] - asked.centre)

    def total(values: Floats) -> Floats:
        return added(at, values, len(first))

    n = np.bincount(at, minlength=len(first))
    sums = [w, w**2, w**4, w * y, w * y**2, w**2 * y, (w * y) ** 2]
    columns = (group, some.path, some.stratum, some.name, level)
    keys = [np.full(len(first), number), *(column[counted][first] for column in columns)]
    arrays = [
        pa.array(values, kind.type)
        for values, kind in zip([*keys, n, *map(total, sums)], _CELLS, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=_CELLS)


def estimate(pair: int, by_level: int, table: pa.Table, plan: Plan) -> pa.Table:
    """Return the estimates of a question at every node, within one level of the second question.

    Parameters
    ----------
    pair, by_level : int
        by_level MISSING: those who did not answer the second question are counted only.
    table : Arrow table
        Cells, each once.
    plan : Plan

    Returns
    -------
    Arrow table
        As ESTIMATES_DDL says: a row for every node and level, with its people; MISSING: those who
        did not answer. Of a number two rows, mean and median, whose people are all who answered.
    """
    asked, design = plan.asked[plan.pairs[pair].question], plan.design()
    cells = _cells_in(table, plan)
    if asked.is_number:
        counted = cells._replace(level=np.minimum(cells.level, 0))
        n = people(counted, design, 1)
    else:
        n = people(cells, design, len(asked.levels))
    answered = cells.take(cells.level != MISSING)
    found: list[Estimates | None] = [None]
    if by_level != MISSING and len(answered.n):
        marks, levels = np.asarray(asked.marks), len(asked.levels)
        if asked.is_number:
            found = [
                in_parts(lambda some: means(answered, some, asked.centre), design, 1),
                in_parts(lambda some: medians(answered, some, marks), design, len(marks)),
            ]
        else:
            found = [in_parts(lambda some: shares(answered, some, levels), design, levels)]
    rows = [_rows(n[:, :-1], np.arange(n.shape[1] - 1), some) for some in found]
    rows.append(_rows(n[:, -1:], np.array([MISSING]), None))
    joined = pa.concat_tables(rows)
    which = [pa.array(np.full(len(joined), value), pa.int32()) for value in (pair, by_level)]
    return pa.table([*which, *joined.columns], schema=_ESTIMATES)


def _cells_in(table: pa.Table, plan: Plan) -> Cells:
    def column(name: str) -> npt.NDArray[Any]:
        values = table[name].to_numpy()
        return values.astype(np.int64) if name in (*KEYS, "n") else values

    unit = column("unit") if plan.by_units else None
    sums = (column(name) for name in SUMS)
    return Cells(column("path"), column("stratum"), unit, column("level"), *sums)


def _rows(n: Ints, levels: Ints, found: Estimates | None) -> pa.Table:
    nodes = len(n)
    statistic = pa.nulls(n.size, pa.string())
    figures = [pa.nulls(n.size, pa.float64())] * 5
    if found is not None:
        statistic = pa.array([found.statistic] * n.size)
        figures = [pa.array(column.ravel(), from_pandas=True) for column in found[1:]]
    return pa.table(
        [
            pa.array(np.repeat(np.arange(nodes), len(levels)), pa.int32()),
            pa.array(np.tile(levels, nodes), pa.int32()),
            statistic,
            pa.array(n.ravel(), pa.int64()),
            *figures,
        ],
        names=_ESTIMATES.names[2:],
    )
