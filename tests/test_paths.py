"""The algebra of cluster paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclust_spark.paths import ROOT, child, depth, is_within, parent, seed_of

numbers = st.integers(1, 999)
paths = st.lists(numbers, max_size=5).map(lambda steps: _walk(steps))


def _walk(steps):
    path = ROOT
    for number in steps:
        path = child(path, number)
    return path


@given(paths, numbers)
def test_a_child_lies_below_its_parent_and_leads_back(path, number):
    below = child(path, number)
    assert parent(below) == path
    assert depth(below) == depth(path) + 1
    assert is_within(below, path) and not is_within(path, below)


@given(st.lists(paths, min_size=2, max_size=20))
def test_sorting_paths_walks_the_tree(found):
    for first, second in zip(sorted(found), sorted(found)[1:], strict=False):
        assert not is_within(first, second) or first == second


@given(paths, paths)
def test_a_prefix_is_exactly_a_subtree(path, other):
    steps, others = path.split("/")[1:-1], other.split("/")[1:-1]
    assert is_within(other, path) == (others[: len(steps)] == steps)


@given(st.integers(0, 2**40), paths)
def test_seeds_fit_numpy_and_differ_by_path(seed, path):
    assert 0 <= seed_of(seed, path) < 2**31
    assert seed_of(seed, path) == seed_of(seed, path)
    assert seed_of(seed, path) != seed_of(seed, child(path, 1))


def test_a_seed_is_pinned():
    """Stored trees name their seeds; another hash would be another tree."""
    assert seed_of(42, "/") == 899628874
    assert seed_of(42, "/001/") == 1470562066


@pytest.mark.parametrize("number", [0, 1000, -1])
def test_a_child_has_three_digits(number):
    with pytest.raises(ValueError, match="1 to 999"):
        child(ROOT, number)


def test_the_root_has_no_parent():
    assert parent(ROOT) is None
    assert depth(ROOT) == 0
