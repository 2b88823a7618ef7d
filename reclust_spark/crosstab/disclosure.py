"""Cells of few people are hidden, and others with them, so that subtraction does not find them.

A line is a total and the cells that add up to it: the levels of one cluster, a cluster's children
and those of it who are in none of them, the levels of a second question. Of a line whose total is
known, never exactly one cell is hidden, and the hidden ones have `least` people together; of a
line whose total is hidden, at least one cell is, too. Where that does not hold the smallest of the
other cells is hidden as well, until it holds everywhere (complementary suppression by lines;
Willenborg, de Waal (2001), Elements of Statistical Disclosure Control, Springer, 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.crosstab.cells import Ints

Flags = npt.NDArray[np.bool_]
NONE = -1


class Lines(NamedTuple):
    """Totals and what adds up to them.

    Attributes
    ----------
    total : (lines,) int64 array
        The number of a cell.
    members : (lines, most members) int64 array
        Numbers of cells; NONE where a line has fewer.
    owner : (lines,) int64 array
        Of lines of the same owner one at a time is mended: what is hidden for its sake may do for
        the others.
    """

    total: Ints
    members: Ints
    owner: Ints


class Protected(NamedTuple):
    """What came of it.

    Attributes
    ----------
    hidden : (cells,) bool array
    sound : bool
        False where a line cannot be protected, for what is fixed of it.
    """

    hidden: Flags
    sound: bool


def is_small(n: Ints, least: int) -> Flags:
    """Tell which cells have people, but fewer than `least`."""
    return (n > 0) & (n < least)


def protect(
    n: Ints,
    hidden: Flags,
    fixed: Flags,
    unseen: Flags,
    rest: Flags,
    lines: Sequence[Lines],
    least: int,
    settled: Sequence[Lines] = (),
) -> Protected:
    """Hide further cells until no line gives one away.

    Parameters
    ----------
    n : (cells,) int64 array
        People.
    hidden : (cells,) bool array
        Cells that must be: small ones, and what is hidden elsewhere.
    fixed : (cells,) bool array
        Cells that stay as they are.
    unseen : (cells,) bool array
        Cells that are not shown in any case, such as those without an answer: to hide them costs
        nothing.
    rest : (cells,) bool array
        Cells that are not shown and need no protection: those of people in no child. As they hide
        the others of their line, these hide them; what adds up to one of them does not matter.
    lines : sequence of Lines
    least : int
    settled : sequence of Lines
        Of fixed cells alone.

    Returns
    -------
    Protected
        Empty cells are never hidden: where a total is empty, so are they.
    """
    told = [Lines(*(column[~rest[group.total]] for column in group)) for group in lines]
    hidden, fixed = _bound(n, (hidden | rest) & (n > 0), fixed, rest, told)
    order = np.lexsort((np.arange(len(n)), n, ~unseen, _is_sole(n, rest, told)))
    rank = np.empty(len(n), dtype=np.int64)
    rank[order] = np.arange(len(n))
    rank[fixed | rest | (n == 0)] = len(n)
    while True:
        sound = _mend(n, hidden, fixed, rest, told, rank, least)
        if not sound:
            return Protected(hidden, sound)
        found = _worked_out(n, hidden | rest, [*lines, *settled])
        if not (found & hidden & ~rest).any():
            return Protected(hidden, sound)
        # who works out those in no child from their other answers is not kept from the others
        covers = found & hidden & rest & ~fixed
        if not covers.any():
            return Protected(hidden, sound=False)
        hidden[covers] = False


def _mend(
    n: Ints,
    hidden: Flags,
    fixed: Flags,
    rest: Flags,
    lines: Sequence[Lines],
    rank: Ints,
    least: int,
) -> bool:
    """Hide cells, in place, until no line is broken; tell whether that was possible."""
    while True:
        sound = True
        for group in lines:
            broken = _broken(group, n, hidden, rest, least)
            more, stuck = _remedies(group, broken, hidden, fixed, rank)
            sound &= not stuck
            if len(more):
                hidden[more] = True
                break  # the first lines are the tightest: they come first again
        else:
            return sound


def _worked_out(n: Ints, unknown: Flags, lines: Sequence[Lines]) -> Flags:
    """Return which unknown cells someone finds who subtracts, line after line."""
    now, before = unknown.copy(), -1
    while before != now.sum():
        before = now.sum()
        for group in lines:
            open_ = now[group.members] & (group.members != NONE)
            several = open_.sum(1)
            # one cell is all that is left; or nobody is left for those that are
            alone = ~now[group.total] & (several > 0)
            alone &= (several == 1) | ((n[group.members] * open_).sum(1) == 0)
            now[group.members[alone][open_[alone]]] = False
            now[group.total[several == 0]] = False
    return unknown & ~now


def _pairs(group: Lines, n: Ints, rest: Flags) -> tuple[Ints, Ints]:
    """Return totals, and the one cell that is all of each: who knows one of the two knows both."""
    people = (n[group.members] > 0) & (group.members != NONE)
    same = np.flatnonzero(people.sum(1) == 1)
    total, cell = group.total[same], group.members[same, people[same].argmax(1)]
    return total[~rest[cell]], cell[~rest[cell]]


def _is_sole(n: Ints, rest: Flags, lines: Sequence[Lines]) -> Flags:
    """Tell which cells are all of a line, or its total."""
    sole = np.zeros(len(n), dtype=bool)
    for group in lines:
        for cells in _pairs(group, n, rest):
            sole[cells] = True
    return sole


def _bound(
    n: Ints, hidden: Flags, fixed: Flags, rest: Flags, lines: Sequence[Lines]
) -> tuple[Flags, Flags]:
    """Fix a cell that is all of a line where the other is fixed: who knows one knows both."""
    hidden, fixed, before = hidden.copy(), fixed.copy(), -1
    while before != fixed.sum():
        before = fixed.sum()
        for group in lines:
            total, cell = _pairs(group, n, rest)
            for one, other in ((total, cell), (cell, total)):
                bound = fixed[one] & ~fixed[other] & (hidden[one] | ~hidden[other])
                hidden[other[bound]], fixed[other[bound]] = hidden[one[bound]], True
    return hidden, fixed


def _broken(group: Lines, n: Ints, hidden: Flags, rest: Flags, least: int) -> Ints:
    """Return the lines that give something away."""
    unknown = hidden[group.members] & (group.members != NONE)
    several = unknown.sum(1)
    people = (n[group.members] * unknown).sum(1)
    few = (several == 1) | ((people < least) & (n[group.total] >= least))
    few &= (unknown & ~rest[group.members]).any(1)
    return np.flatnonzero(np.where(hidden[group.total], several == 0, few))


def _remedies(
    group: Lines, broken: Ints, hidden: Flags, fixed: Flags, rank: Ints
) -> tuple[Ints, bool]:
    """Return what to hide as well: a candidate of each line, else its total; any stuck."""
    members, total = group.members[broken], group.total[broken]
    free = (members != NONE) & ~hidden[members]
    ranks = np.where(free, rank[members], len(rank))
    each, first = np.arange(len(broken)), ranks.argmin(1) if len(broken) else broken
    found = ranks[each, first] < len(rank)
    chosen = members[each, first][found]
    order = np.lexsort((rank[chosen], group.owner[broken][found]))
    _, leading = np.unique(group.owner[broken][found][order], return_index=True)
    totals = total[~found & ~hidden[total] & ~fixed[total]]
    stuck = bool((~found & (hidden[total] | fixed[total])).any())
    return np.unique(np.concatenate([chosen[order][leading], totals])), stuck
