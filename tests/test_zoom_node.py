"""One node: patterns and their places, clusters, diagnostics, degenerate rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reclust_spark.config import ZoomOptions
from reclust_spark.warehouse.names import NO_STRUCTURE
from reclust_spark.zoom.clock import Clock
from reclust_spark.zoom.embed import embed, find_patterns, spread
from reclust_spark.zoom.node import Rows, cluster, medoid, split
from tests.planted import blobs

OPTIONS = ZoomOptions(n_neighbors=15, n_epochs=100)


def rows_of(values):
    values = np.asarray(values, dtype=np.float32)
    ids = np.array([f"{i:06d}" for i in range(len(values))], dtype=object)
    return Rows(ids, values, np.ones(len(values)))


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 3)),
                     elements=st.sampled_from([0.0, -0.0, 1.0, 2.5])))  # fmt: skip
def test_patterns_are_the_distinct_rows_in_order_of_appearance(values):
    patterns = find_patterns(values)
    assert np.array_equal(patterns.values[patterns.of_row], values)
    assert np.array_equal(np.bincount(patterns.of_row), patterns.counts)
    assert len({tuple(row) for row in values.tolist()}) == len(patterns.counts)
    first = [list(patterns.of_row).index(i) for i in range(len(patterns.counts))]
    assert first == sorted(first)


def test_groups_that_lie_apart_are_found_numbered_by_size():
    values, group = blobs([200, 500, 300])
    found = split(rows_of(values), 1, 50, OPTIONS)
    assert found.stop_reason is None
    assert [int((found.labels == i).sum()) for i in range(3)] == [500, 300, 200]
    for label, planted in ((0, 1), (1, 2), (2, 0)):
        assert set(group[found.labels == label]) == {planted}
    assert found.xy.shape == (1000, 2)
    assert found.trustworthiness > 0.8
    assert np.all((found.strength >= 0) & (found.strength <= 1))


def test_popular_answer_sheets_are_not_islands():
    """On a grid of answers without groups, patterns that 60 people share found no cluster alone."""
    rng = np.random.default_rng(0)
    grid, popular = rng.integers(0, 4, size=(3000, 4)), rng.integers(0, 4, size=(12, 4))
    rows = rows_of(np.concatenate([grid, np.repeat(popular, 60, axis=0)]))
    patterns = find_patterns(rows.features)

    def largest_share_of_a_pattern(places):
        labels = cluster(places, 50, OPTIONS)[0]
        of_cluster = [patterns.of_row[labels == i] for i in range(labels.max() + 1)]
        return max(np.bincount(found).max() / len(found) for found in of_cluster)

    [places] = embed(patterns.values, [2], 1, OPTIONS, 1, Clock())
    assert largest_share_of_a_pattern(places[patterns.of_row]) > 0.8, "on one point: an island"
    assert largest_share_of_a_pattern(spread(places, patterns, 15, 1)) < 0.7


def test_a_pattern_held_by_one_person_stays_where_it_is():
    values, _ = blobs([60, 60])
    values[1] = values[0]
    patterns = find_patterns(values)
    places = np.arange(2 * len(patterns.counts), dtype=np.float32).reshape(-1, 2)
    everyone = spread(places, patterns, 10, 1)
    assert np.array_equal(everyone[2:], places[1:])
    assert not np.array_equal(everyone[0], everyone[1])


@pytest.mark.parametrize("width", [3, 0])
def test_identical_rows_have_no_structure(width):
    rows = rows_of(np.ones((500, width)))
    found = split(rows, 1, 20, OPTIONS)
    assert medoid(rows.features, 1, "euclidean") in range(500)
    assert found.stop_reason == NO_STRUCTURE
    assert found.xy is None


def test_two_distinct_rows_are_two_clusters():
    values = np.repeat([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], [300, 200], axis=0)
    found = split(rows_of(values), 1, 20, OPTIONS)
    assert found.stop_reason is None
    assert [int((found.labels == i).sum()) for i in range(2)] == [300, 200]


def test_sixty_per_cent_duplicates_leave_the_groups_as_they_are():
    values, group = blobs([400, 300])
    copied = np.random.default_rng(1).integers(0, 700, size=1050)
    values, group = np.concatenate([values, values[copied]]), np.concatenate([group, group[copied]])
    found = split(rows_of(values), 1, 100, OPTIONS)
    assert len(found.persistence) == 2
    for label in range(2):
        assert len(set(group[found.labels == label])) == 1


@pytest.mark.parametrize("n_rows", [2, 3, 10, 16, 40])
def test_few_rows_are_no_reason_to_fail(n_rows):
    values = np.random.default_rng(n_rows).normal(size=(n_rows, 4))
    found = split(rows_of(values), 1, 2, OPTIONS)
    assert len(found.labels) == n_rows
    assert found.xy.shape == (n_rows, 2)


def test_more_components_still_give_a_flat_map():
    values, _ = blobs([200, 200])
    found = split(rows_of(values), 1, 40, OPTIONS.model_copy(update={"n_components": 4}))
    assert len(found.persistence) == 2
    assert found.xy.shape == (400, 2)


def test_the_seed_alone_decides():
    rows = rows_of(blobs([150, 150])[0])
    one, two, other = (split(rows, seed, 30, OPTIONS) for seed in (1, 1, 2))
    assert np.array_equal(one.xy, two.xy)
    assert np.array_equal(one.strength, two.strength)
    assert not np.array_equal(one.xy, other.xy)


def test_the_medoid_is_in_the_middle():
    values = np.array([[0.0], [10.0], [11.0], [12.0], [50.0]], dtype=np.float32)
    assert medoid(values, 1, "euclidean") == 2
