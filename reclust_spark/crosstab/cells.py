"""Cells: sums over people who are alike in all that is crossed, rolled up the tree afterwards.

Sums of cells are sums of people, so that it does not matter which task counted whom.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.crosstab.variance import RELATIVE_ZERO, Cross, Floats, Moments

Ints = npt.NDArray[np.int64]
MISSING = -1
"""The level of those who did not answer."""


class Cells(NamedTuple):
    """The cells of one question within one level of the second question.

    Attributes
    ----------
    path : (n,) int64 array
        Number of the node where these people are, those at nodes below it not included.
    stratum : (n,) int64 array
    unit : (n,) int64 array or None
        Number of the primary sampling unit; None where people are the units.
    level : (n,) int64 array
        Of the answer, or its place on a scale; MISSING.
    n : (n,) int64 array
        People whose weight is not 0.
    w, w2, w4 : (n,) float64 array
        Sums of weights, of their squares and fourth powers.
    wy, wyy, w2y, w2yy : (n,) float64 array
        Sums of weight × number, weight × number², weight² × number, weight² × number²; 0 where
        the answers are levels.
    """

    path: Ints
    stratum: Ints
    unit: Ints | None
    level: Ints
    n: Ints
    w: Floats
    w2: Floats
    w4: Floats
    wy: Floats
    wyy: Floats
    w2y: Floats
    w2yy: Floats

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Cells:
        """Return some of the cells."""
        chosen: list[Any] = [None if column is None else column[which] for column in self]
        return Cells(*chosen)


class Shape(NamedTuple):
    """How many nodes, strata and levels there are."""

    nodes: int
    strata: int
    levels: int


class Addends(NamedTuple):
    """What each cell adds to a ratio: numerator a at a level, denominator d at all; see `Moments`.

    aa, ad and dd are the sums over the cell's people of the products of their own a and d.
    """

    level: Ints
    a: Floats
    d: Floats
    aa: Floats
    ad: Floats
    dd: Floats


class Sums(NamedTuple):
    """A ratio's moments at every node.

    Attributes
    ----------
    own : Moments
    cross : Cross
        With those of the root.
    units, rest_units : (nodes, strata) float64 array
        Units with anybody of the node, and with anybody else, whose weight is not 0.
    """

    own: Moments
    cross: Cross
    units: Floats
    rest_units: Floats


def added(index: Ints, values: Floats | Ints, length: int) -> Floats:
    """Return the sums of values by index, shape (length,)."""
    return np.bincount(index, values, length).astype(np.float64)


def roll_up(cells: Cells, ancestors: Ints) -> Cells:
    """Return every cell once for each node that it is at or below, with that node as its path.

    Parameters
    ----------
    cells : Cells
    ancestors : (nodes, depths) int64 array
        The nodes above each node, itself included; −1 where there are no more.
    """
    above = ancestors[cells.path]
    which, step = np.nonzero(above >= 0)
    return cells.take(which)._replace(path=above[which, step])


def sums_of(rolled: Cells, addends: Addends, shape: Shape) -> Sums:
    """Return a ratio's moments at every node.

    Parameters
    ----------
    rolled : Cells
        From `roll_up`.
    addends : Addends
        Of each of them.
    shape : Shape

    Returns
    -------
    Sums
    """
    if rolled.unit is None:
        return _of_people(rolled, addends, shape)
    return _of_units(rolled, rolled.unit, addends, shape)


def _of_people(rolled: Cells, addends: Addends, shape: Shape) -> Sums:
    nodes, strata, levels = shape
    block = rolled.path * strata + rolled.stratum
    at_level = block * levels + addends.level

    def by_level(values: Floats) -> Floats:
        return added(at_level, values, nodes * strata * levels).reshape(shape)

    def by_block(values: Floats | Ints) -> Floats:
        return added(block, values, nodes * strata).reshape(nodes, strata, 1)

    own = Moments(
        by_level(addends.a), by_block(addends.d),
        by_level(addends.aa), by_level(addends.ad), by_block(addends.dd),
    )  # fmt: skip
    # a person of a node is the same person at the root
    cross = Cross(own.aa, own.ad, own.ad, own.dd)
    units = by_block(rolled.n)[..., 0]
    return Sums(own, cross, units, units[:1] - units)


def _of_units(rolled: Cells, unit: Ints, addends: Addends, shape: Shape) -> Sums:
    nodes, strata, levels = shape
    names, unit = np.unique(unit, return_inverse=True)
    n_units = len(names)
    stratum_of = np.zeros(n_units, dtype=np.int64)
    stratum_of[unit] = rolled.stratum
    pair, at_pair = np.unique(rolled.path * n_units + unit, return_inverse=True)
    d = added(at_pair, addends.d, len(pair))
    cell, at_cell = np.unique(at_pair * levels + addends.level, return_inverse=True)
    a = added(at_cell, addends.a, len(cell))
    of_pair, level = np.divmod(cell, levels)
    root_a, root_d = _root(pair, of_pair, level, a, d, n_units, levels)
    node, unit = np.divmod(pair, n_units)
    block = node * strata + stratum_of[unit]
    at_level = block[of_pair] * levels + level

    def by_level(values: Floats) -> Floats:
        return added(at_level, values, nodes * strata * levels).reshape(shape)

    def by_block(values: Floats) -> Floats:
        return added(block, values, nodes * strata).reshape(nodes, strata, 1)

    of_unit = unit[of_pair]
    own = Moments(
        by_level(a), by_block(d), by_level(a * a), by_level(a * d[of_pair]), by_block(d * d)
    )
    with_root = np.concatenate([by_block(d * root_a[unit, j]) for j in range(levels)], axis=2)
    cross = Cross(
        by_level(a * root_a[of_unit, level]),
        by_level(a * root_d[of_unit]),
        with_root,
        by_block(d * root_d[unit]),
    )
    units = by_block((d > 0).astype(np.float64))[..., 0]
    alone = (d > 0) & (d >= root_d[unit] * (1 - RELATIVE_ZERO))
    return Sums(own, cross, units, units[:1] - by_block(alone.astype(np.float64))[..., 0])


def _root(
    pair: Ints, of_pair: Ints, level: Ints, a: Floats, d: Floats, n_units: int, levels: int
) -> tuple[Floats, Floats]:
    """Return the root's numerators (units, levels) and denominators (units,)."""
    root_a, root_d = np.zeros((n_units, levels)), np.zeros(n_units)
    at_root = pair < n_units
    root_d[pair[at_root]] = d[at_root]
    cells = at_root[of_pair]
    root_a[pair[of_pair[cells]], level[cells]] = a[cells]
    return root_a, root_d


def powers(rolled: Cells, mean: Floats) -> tuple[Floats, Floats]:
    """Return Σ z² and Σ z⁴ at every node, for z = w·(y − mean) summed over a unit's people.

    Where people are the units, those of a cell count as having the same number.

    Parameters
    ----------
    rolled : Cells
        From `roll_up`; their levels are places on a scale of numbers.
    mean : (nodes, 1) float64 array

    Returns
    -------
    (nodes, 1) float64 arrays
    """
    nodes = len(mean)
    if rolled.unit is None:
        m = mean[rolled.path, 0]
        squares = np.maximum(rolled.w2yy - 2 * m * rolled.w2y + m**2 * rolled.w2, 0.0)
        node, fourths = rolled.path, squares**2 * rolled.w4 / rolled.w2**2
    else:
        names, unit = np.unique(rolled.unit, return_inverse=True)
        pair, at_pair = np.unique(rolled.path * len(names) + unit, return_inverse=True)
        node = pair // len(names)
        z = added(at_pair, rolled.wy - mean[rolled.path, 0] * rolled.w, len(pair))
        squares, fourths = z**2, z**4
    sums = (added(node, np.nan_to_num(power), nodes) for power in (squares, fourths))
    return tuple(column[:, None] for column in sums)  # type: ignore[return-value]
