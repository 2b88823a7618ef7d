"""What is not shown, against someone who knows everything that is and can subtract."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reclust_spark.crosstab.discovery import q_values
from reclust_spark.crosstab.hiding import Family, family_of, hide_alone, hide_crossed
from reclust_spark.paths import ROOT, child, depth, parent

LEAST = 10
TREE = (ROOT, "/001/", "/001/001/", "/001/002/", "/002/", "/003/")
BINARY = {"is_number": False, "by_number": False}


def counted(own: np.ndarray, paths: tuple[str, ...]) -> np.ndarray:
    """Counts of nodes, all below included, from those of the people of each node itself."""
    return np.array([own[[p.startswith(path) for p in paths]].sum(0) for path in paths])


@st.composite
def trees(draw) -> tuple[str, ...]:
    paths = [ROOT]
    for path in paths:
        if depth(path) < 3 and len(paths) < 16:
            n = draw(st.integers(2 if path == ROOT else 0, 4))
            paths += [child(path, k + 1) for k in range(n)] if n > 1 else []
    return tuple(sorted(paths))


@st.composite
def peoples(draw) -> tuple[tuple[str, ...], np.ndarray]:
    """A tree, and its people by node, second answer and answer; small groups and gaps abound."""
    paths = draw(trees())
    shape = (len(paths), draw(st.integers(2, 5)) + 1, draw(st.integers(2, 4)) + 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate = draw(st.sampled_from([2.0, 10.0, 40.0]))
    own = rng.poisson(rng.gamma(0.5, rate, shape)) * (rng.random(shape) < 0.8)
    for axis in (1, 2):
        if draw(st.booleans()):  # a question that all answered
            np.moveaxis(own, axis, 0)[-1] = 0
    own[:, -1, -1] = 0
    return paths, counted(own, paths)


class Attacker:
    """Knows cells by name, and lines: one cell is the sum of others. Works out what follows."""

    def __init__(self) -> None:
        self.known: dict[tuple, int] = {}
        self.truth: dict[tuple, int] = {}
        self.lines: list[tuple[tuple, list[tuple]]] = []

    def add(self, cell: tuple, n: int, shown: bool) -> None:
        self.truth[cell] = int(n)
        if shown:
            self.known[cell] = int(n)

    def solve(self) -> None:
        changed = True
        while changed:
            changed = False
            for total, members in self.lines:
                unknown = [cell for cell in members if cell not in self.known]
                so_far = sum(self.known[cell] for cell in members if cell in self.known)
                found: dict[tuple, int] = {}
                if total not in self.known:
                    found = {} if unknown else {total: so_far}
                elif len(unknown) == 1:
                    found = {unknown[0]: self.known[total] - so_far}
                elif self.known[total] == so_far:
                    found = dict.fromkeys(unknown, 0)
                self.known |= found
                changed |= bool(found)
        assert all(self.truth[cell] == n for cell, n in self.known.items()), "it subtracts right"

    def small(self) -> list[tuple]:
        return [cell for cell, n in self.known.items() if 0 < n < LEAST]


def rest(path: str) -> str:
    return f"{path}rest"


def places(paths: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Inner nodes, with their children and those in none of these."""
    for path in paths:
        children = [p for p in paths if p != ROOT and parent(p) == path]
        if children:
            yield path, [*children, rest(path)]


def attacker_of(paths, n: np.ndarray, both_ways: bool) -> Attacker:
    """Someone who has read the tables of both questions, alone and crossed, one or both ways."""
    family, least = family_of(paths), LEAST
    n_by, n_levels = n.shape[1] - 1, n.shape[2] - 1
    alone = hide_alone(n[:, :, :-1].sum(1), family, least, is_number=False)
    other = hide_alone(n[:, :-1].sum(2), family, least, is_number=False)
    crossed = hide_crossed(n, family, least, **BINARY)
    who = Attacker()
    extended = family.extended(n)
    names = [*paths, *(rest(path) for path, _ in places(paths))]
    assert len(names) == len(extended)
    for k, path in enumerate(names):
        seen = k < len(paths)
        cells = extended[k]
        who.add(("q", path), cells[:, :-1].sum(), seen and not alone.base[k])
        who.add(("b", path), cells[:-1].sum(), seen and not other.base[k])
        for i in range(n_levels + 1):
            shown = seen and i < n_levels and not (alone.base[k] or alone.cells[k, i])
            who.add(("q", path, i), cells[:, i].sum(), shown)
            shown = both_ways and seen and i < n_levels and not crossed.turned[k, i]
            who.add(("turned", path, i), cells[:-1, i].sum(), shown)
        for j in range(n_by + 1):
            shown = seen and j < n_by and not (other.base[k] or other.cells[k, j])
            who.add(("b", path, j), cells[j].sum(), shown)
            shown = seen and j < n_by and not crossed.base[k, j]
            who.add(("by", path, j), cells[j, :-1].sum(), shown)
            for i in range(n_levels + 1):
                shown = seen and j < n_by and i < n_levels and not crossed.cells[k, j, i]
                one, turned = ("by", path, j) in who.known, ("turned", path, i) in who.known
                who.add(("cell", path, j, i), cells[j, i], shown and (one or turned))
        levels, groups = range(n_levels), range(n_by)
        for i in range(n_levels + 1):
            across = [("cell", path, j, i) for j in groups]
            who.lines.append((("turned", path, i), across))
            if i < n_levels:
                who.lines.append((("q", path, i), [*across, ("cell", path, n_by, i)]))
        for j in range(n_by + 1):
            down = [("cell", path, j, i) for i in levels]
            who.lines.append((("by", path, j), down))
            if j < n_by:
                who.lines.append((("b", path, j), [*down, ("cell", path, j, n_levels)]))
        who.lines += [
            (("q", path), [("q", path, i) for i in levels]),
            (("b", path), [("b", path, j) for j in groups]),
            (("q", path), [("by", path, j) for j in range(n_by + 1)]),
            (("b", path), [("turned", path, i) for i in range(n_levels + 1)]),
        ]
        # who sees that everyone answered needs no line to tell one table's bases from another's
        if not n[:, :, -1].any():
            who.lines += [(("b", path, j), [("by", path, j)]) for j in range(n_by)]
        if not n[:, -1].any():
            who.lines += [(("q", path, i), [("turned", path, i)]) for i in levels]
    kinds = {cell[:1] + cell[2:] for cell in who.truth}
    who.lines += [
        ((kind[0], path, *kind[1:]), [(kind[0], p, *kind[1:]) for p in below])
        for kind in kinds
        for path, below in places(paths)
    ]
    return who


@settings(max_examples=150, deadline=None)
@given(peoples(), st.booleans())
def test_nobody_works_out_a_small_cell_from_all_that_is_shown(given_, both_ways):
    paths, n = given_
    missing = (n.shape[1] - 1, n.shape[2] - 1)
    who = attacker_of(paths, n, both_ways)
    who.solve()
    for cell in who.small():
        kind, path, *at = cell
        if path.endswith("rest"):
            continue  # nobody is told who they are
        # how many did not answer is no secret; so if all of these say the same, nor is that
        alike = kind == "cell" and who.truth[cell] == who.truth["by", path, at[0]]
        allowed = {
            "q": at == [missing[1]],
            "b": at == [missing[0]],
            "by": at == [missing[0]],
            "turned": at == [missing[1]],
            "cell": at[1:] == [missing[1]] or (at[:1] == [missing[0]] and (both_ways or alike)),
        }
        assert allowed[kind], cell


def test_the_attacker_would_find_what_is_not_protected():
    n = counted(np.array([[0, 0], [0, 0], [300, 7], [200, 90], [500, 60], [400, 30]]), TREE)
    who = Attacker()
    for k, path in enumerate(TREE):
        for i in range(2):
            who.add(("q", path, i), n[k, i], not 0 < n[k, i] < LEAST)
        who.add(("q", path), n[k].sum(), True)
        who.lines.append((("q", path), [("q", path, i) for i in range(2)]))
    who.solve()
    assert who.small() == [("q", "/001/001/", 1)]


@settings(max_examples=60, deadline=None)
@given(peoples())
def test_lines_hide_nothing_two_or_more_and_at_least_the_least(given_):
    paths, n = given_
    family = family_of(paths)
    crossed = hide_crossed(n, family, LEAST, **BINARY)
    cells = n[:, :-1, :-1]
    assert crossed.cells[(cells > 0) & (cells < LEAST)].all()
    base = cells.sum(2)
    assert crossed.base[(base > 0) & (base < LEAST)].all()
    for place in zip(*np.nonzero(~crossed.base), strict=True):
        hidden = cells[place][crossed.cells[place]]
        assert not len(hidden) or (np.sum(hidden > 0) != 1 and hidden.sum() >= LEAST)


@settings(max_examples=60, deadline=None)
@given(peoples(), st.integers(0, 2))
def test_means_are_hidden_where_few_would_be_left(given_, axis):
    paths, n = given_
    number = np.concatenate([n[:, :, :-1].sum(2, keepdims=True), n[:, :, -1:]], axis=2)
    family = family_of(paths)
    crossed = hide_crossed(number, family, LEAST, is_number=True, by_number=False)
    alone = hide_alone(number[:, :, 0].sum(1)[:, None], family, LEAST, is_number=True)
    who = Attacker()
    extended = family.extended(number[:, :, 0])
    names = [*paths, *(rest(path) for path, _ in places(paths))]
    groups = range(n.shape[1])
    for k, path in enumerate(names):
        seen = k < len(paths)
        who.add(("q", path), extended[k].sum(), seen and not alone.base[k])
        for j in groups:
            shown = seen and j < n.shape[1] - 1 and not crossed.base[k, j]
            who.add(("by", path, j), extended[k, j], shown)
        who.lines.append((("q", path), [("by", path, j) for j in groups]))
    for path, below in places(paths):
        who.lines.append((("q", path), [("q", p) for p in below]))
        who.lines += [(("by", path, j), [("by", p, j) for p in below]) for j in groups]
    who.solve()
    assert not [cell for cell in who.small() if not cell[1].endswith("rest")]


def test_without_small_cells_nothing_is_hidden():
    n = np.full((len(TREE), 3, 3), 50)
    n[:, -1] = n[:, :, -1] = 0
    n = counted(n * np.array([0, 0, 1, 1, 1, 1])[:, None, None], TREE)
    family = family_of(TREE)
    assert not hide_crossed(n, family, LEAST, **BINARY).cells.any()
    assert not hide_alone(n[:, 0, :2], family, LEAST, is_number=False).cells.any()


def test_a_small_cell_is_hidden_with_as_little_else_as_can_be():
    own = np.array([[0, 0], [0, 0], [300, 7], [200, 90], [500, 60], [400, 30]])
    alone = hide_alone(counted(own, TREE), family_of(TREE), LEAST, is_number=False)
    hidden = {path for path, cells in zip(TREE, alone.cells, strict=False) if cells.any()}
    assert hidden == {"/001/001/", "/001/002/"}, "and the only cluster beside it"
    assert not alone.base.any()


def test_those_in_no_child_hide_no_cluster_and_cover_one():
    own = np.array([[40, 4], [0, 0], [300, 70], [200, 90], [500, 60], [400, 30]])
    alone = hide_alone(counted(own, TREE), family_of(TREE), LEAST, is_number=False)
    assert not alone.cells[: len(TREE)].any()
    own[-1] = 400, 7
    alone = hide_alone(counted(own, TREE), family_of(TREE), LEAST, is_number=False)
    assert alone.cells[: len(TREE)].any(1).nonzero()[0].tolist() == [TREE.index("/003/")]


def test_a_tree_of_one_node_has_no_lines_but_its_own():
    family = family_of((ROOT,))
    assert isinstance(family, Family) and family.places == 1
    n = np.array([[90, 3, 40]])
    assert hide_alone(n, family, LEAST, is_number=False).cells.tolist() == [[False, True, True]]
    assert hide_alone(n[:, :1], family, LEAST, is_number=True).base.tolist() == [False]
    assert hide_alone(n[:, 1:2], family, LEAST, is_number=True).base.tolist() == [True]


def test_false_discovery_rates_are_benjamini_and_hochbergs():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    assert q_values(p)[[0, 2, 3, 4]] == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert np.isnan(q_values(p)[1])
    assert len(q_values(np.array([]))) == 0


@given(st.lists(st.floats(0, 1) | st.just(np.nan), max_size=30))
def test_rates_rise_with_p_and_are_not_below_it(p):
    p = np.array(p, dtype=float)
    q = q_values(p)
    assert (np.isnan(q) == np.isnan(p)).all()
    known = ~np.isnan(p)
    assert (q[known] >= p[known] - 1e-12).all() and (q[known] <= 1).all()
    order = np.argsort(p[known])
    assert (np.diff(q[known][order]) >= -1e-12).all()
