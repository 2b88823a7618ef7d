"""Which rows of crosstabs are not shown: the lines of a question, alone and crossed with another.

Along every line, those of a cluster who are in none of its children, and those who did not answer
the second question, are cells like all others, though no table shows them. The first need no
protection of their own: nobody is told who they are, and else a few of them would hide a large
cluster. They cover their siblings, unless they can be worked out. What is hidden of a
question alone is settled first, from that question alone; what is hidden of two questions follows
from these two. So it never depends on what else was asked, then or later, and tables of several
runs give no more away than one.

How many did not answer is not protected: a base may be known from the size of its cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.crosstab.cells import Ints
from reclust_spark.crosstab.disclosure import NONE, Flags, Lines, is_small, protect
from reclust_spark.paths import parent


class Family(NamedTuple):
    """The lines of a tree: a node's children, and its people who are in none of them.

    Attributes
    ----------
    nodes : int
        Those in none of the children of a node count as a node more, after all others.
    total : (inner nodes,) int64 array
    members : (inner nodes, most children + 1) int64 array
        NONE where there are fewer.
    """

    nodes: int
    total: Ints
    members: Ints

    @property
    def places(self) -> int:
        """Nodes, and one more for each inner node."""
        return self.nodes + len(self.total)

    def extended(self, n: Ints) -> Ints:
        """Add to counts of nodes, along the first axis, those in none of their children."""
        children = self.members[:, :-1]
        below = np.where(
            (children != NONE).reshape(*children.shape, *[1] * (n.ndim - 1)), n[children], 0
        ).sum(1)
        return np.concatenate([n, n[self.total] - below])

    def lines(self, first: int, columns: int, levels: int = 1) -> Lines:
        """Return the lines of a block of cells: numbered from `first`, by place, then column.

        So many columns in a row are the levels of one answer.
        """
        column = np.arange(columns)
        owner = self.total[:, None] * columns + column // max(levels, 1)
        total = first + self.total[:, None] * columns + column
        members = np.where(
            self.members[:, None, :] == NONE,
            NONE,
            first + self.members[:, None, :] * columns + column[:, None],
        )
        return Lines(total.ravel(), members.reshape(-1, self.members.shape[1]), owner.ravel())


class Alone(NamedTuple):
    """What is not shown of a question alone, by place: bases, and (places, levels) cells."""

    base: Flags
    cells: Flags


class Crossed(NamedTuple):
    """What is not shown of two questions crossed.

    Attributes
    ----------
    base : (nodes, groups) bool array
        All of a level of the second question.
    turned : (nodes, levels) bool array
        All of a level of the first one, where that is the second.
    cells : (nodes, groups, levels) bool array
        A single cell, either way.
    """

    base: Flags
    turned: Flags
    cells: Flags


def family_of(paths: tuple[str, ...]) -> Family:
    """Return the lines of a tree of these nodes, sorted by path."""
    number = {path: i for i, path in enumerate(paths)}
    children: dict[int, list[int]] = {}
    for path in paths:
        above = parent(path)
        if above is not None:
            children.setdefault(number[above], []).append(number[path])
    most = max((len(some) for some in children.values()), default=0)
    members = np.full((len(children), most + 1), NONE, dtype=np.int64)
    for row, some in enumerate(children.values()):
        members[row, : len(some)] = some
        members[row, -1] = len(paths) + row
    return Family(len(paths), np.array(list(children), dtype=np.int64), members)


def hide_alone(n: Ints, family: Family, least: int, *, is_number: bool) -> Alone:
    """Return what is not shown of a question alone.

    Parameters
    ----------
    n : (nodes, levels) int64 array
        People by answer; of a number, one column of all who answered.
    family : Family
    least : int
    is_number : bool
        Only the base is shown, and what is measured of it.

    Returns
    -------
    Alone
    """
    cells = family.extended(n)
    places, levels = cells.shape
    counts = np.concatenate([cells.sum(1), cells.ravel()])
    if is_number:
        counts, lines = counts[:places], [family.lines(0, 1)]
    else:
        place = np.arange(places)
        by_level = Lines(place, places + place[:, None] * levels + np.arange(levels), place)
        lines = [by_level, family.lines(0, 1), family.lines(places, levels, levels)]
    rest, nothing = _rest(counts, places, family.nodes), np.zeros(len(counts), dtype=bool)
    small = is_small(counts, least)
    hidden = protect(counts, small, nothing, nothing, rest, lines, least).hidden
    base = hidden[:places]
    own = base[:, None] if is_number else hidden[places:].reshape(places, levels)
    return Alone(base, own)


def _rest(counts: Ints, places: int, nodes: int) -> Flags:
    """Return which cells of blocks by place are of people in none of a node's children."""
    place = np.concatenate(
        [np.arange(places), np.repeat(np.arange(places), (len(counts) - places) // places)]
    )
    return place >= nodes


def hide_crossed(
    n: Ints, family: Family, least: int, *, is_number: bool, by_number: bool
) -> Crossed:
    """Return what is not shown of a question crossed with another one.

    Of two questions that have levels both it is the same the other way round, transposed; so that
    it is the very same, the one that comes first in any order is to be given first.

    Parameters
    ----------
    n : (nodes, groups + 1, levels + 1) int64 array
        People by answer to the second question and to the first; the last of either: none. Of a
        number, levels is 1: all who answered.
    family : Family
    least : int
    is_number, by_number : bool
        Whether the first and the second question are numbers, of which means are shown.

    Returns
    -------
    Crossed
        All of it, where lines of fixed totals could not be protected otherwise.
    """
    people = family.extended(n)
    people[:, -1, -1] = 0
    own = hide_alone(n[:, :, :-1].sum(1), family, least, is_number=is_number)
    other = hide_alone(n[:, :-1].sum(2), family, least, is_number=by_number)
    blocks = _Blocks(people, is_number, by_number)
    fixed = {"own": own.cells, "own_base": own.base, "other_base": other.base}
    hidden = {name: is_small(counts, least) for name, counts in blocks.counts.items()}
    # how many did not answer is no secret; what they answered to the other question is
    if not is_number:
        hidden["bases"][:, -1] = False
        hidden["turned"][:, :-1] |= own.cells
    if not by_number:
        hidden["turned"][:, -1:] = False
        hidden["bases"][:, :-1] |= other.cells
        fixed["other"] = other.cells
    hidden |= fixed
    found = protect(
        blocks.flat(blocks.counts),
        blocks.flat(hidden),
        blocks.flat({name: np.full(c.shape, name in fixed) for name, c in blocks.counts.items()}),
        blocks.flat(blocks.unseen()),
        blocks.flat(blocks.rest(family.nodes)),
        blocks.lines(family),
        least,
        blocks.settled(family),
    )
    # lines that cannot be protected are rare, and of tables of few people
    shown = blocks.split(found.hidden | (not found.sound))
    base = shown["bases"][: family.nodes, :-1]
    if is_number:
        return Crossed(base, np.zeros((len(base), 1), dtype=bool), base[:, :, None])
    cells = shown["cells"][: family.nodes, :-1, :-1]
    return Crossed(base, shown["turned"][: family.nodes, :-1], cells)


class _Blocks:
    """The cells of two questions, block by block, each by place of the tree first.

    cells: (places, groups + 1, levels + 1), people by both answers; bases: (places, groups + 1),
    those of them who answered the first question; turned: (places, levels + 1), those who answered
    the second one; own, own_base, other, other_base: each question alone, and its base.
    """

    def __init__(self, cells: Ints, is_number: bool, by_number: bool) -> None:
        self.is_number, self.by_number = is_number, by_number
        none = slice(0, 0)
        self.counts: dict[str, Ints] = {
            "cells": cells[:, :, none] if is_number else cells,
            "bases": cells[:, :, :-1].sum(2),
            "turned": cells[:, :-1].sum(1)[:, none if is_number else slice(None)],
            "own": cells[:, :, :-1].sum(1),
            "own_base": cells[:, :, :-1].sum((1, 2)),
            "other": cells[:, :-1].sum(2),
            "other_base": cells[:, :-1].sum((1, 2)),
        }
        sizes = [counts.size for counts in self.counts.values()]
        self.first = dict(zip(self.counts, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        self.number: dict[str, Ints] = {
            name: self.first[name] + np.arange(counts.size).reshape(counts.shape)
            for name, counts in self.counts.items()
        }

    def flat(self, blocks: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return all cells of all blocks as one array."""
        return np.concatenate([blocks[name].ravel() for name in self.counts])

    def split(self, flat: Flags) -> dict[str, Flags]:
        """Return one array as the blocks that it was made of."""
        return {
            name: flat[self.first[name] : self.first[name] + counts.size].reshape(counts.shape)
            for name, counts in self.counts.items()
        }

    def rest(self, nodes: int) -> dict[str, Flags]:
        """Return which cells are of people in none of a node's children."""
        found = {}
        for name, counts in self.counts.items():
            found[name] = np.zeros(counts.shape, dtype=bool)
            found[name][nodes:] = True
        return found

    def unseen(self) -> dict[str, Flags]:
        """Return which cells of people without an answer no table shows."""
        found = {name: np.zeros(counts.shape, dtype=bool) for name, counts in self.counts.items()}
        found["bases"][:, -1] = found["cells"][:, -1] = True
        found["cells"][:, :, -1:] = found["turned"][:, -1:] = True
        return found

    def lines(self, family: Family) -> list[Lines]:
        """Return all lines, the tightest first."""
        number = self.number
        cells, bases, turned = number["cells"], number["bases"], number["turned"]
        place = np.arange(len(bases))
        of_own = Lines(number["own_base"], bases, place)
        below = family.lines(self.first["bases"], bases.shape[1])
        if self.is_number:
            return [of_own, below]
        levels = turned.shape[1]
        lines = [
            _sums(bases, cells[:, :, :-1], np.arange(bases.size)),
            _sums(turned, cells[:, :-1].transpose(0, 2, 1), np.repeat(place, levels)),
            _sums(number["own"], cells[:, :, :-1].transpose(0, 2, 1), np.repeat(place, levels - 1)),
        ]
        if not self.by_number:
            groups = bases.shape[1] - 1
            lines.append(_sums(number["other"], cells[:, :-1], np.repeat(place, groups)))
        return [
            *lines,
            of_own,
            Lines(number["other_base"], turned, place),
            below,
            family.lines(self.first["cells"], cells[0].size, levels),
            family.lines(self.first["turned"], levels, levels),
        ]

    def settled(self, family: Family) -> list[Lines]:
        """Return the lines of each question alone, which were protected before."""
        lines = []
        for name in ("own", "other"):
            levels, base = self.number[name], f"{name}_base"
            lines += [
                Lines(self.number[base], levels, np.arange(len(levels))),
                family.lines(self.first[base], 1),
                family.lines(self.first[name], levels.shape[1]),
            ]
        return lines


def _sums(total: Ints, members: Ints, owner: Ints) -> Lines:
    """Return the lines of totals whose members stand along the last axis."""
    return Lines(total.ravel(), members.reshape(total.size, -1), owner)
