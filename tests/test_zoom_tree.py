"""The recursion: stop rules, noise, numbering, and the array interface."""

import numpy as np
import pandas as pd
import pytest

from reclust_spark import zoom_array
from reclust_spark.config import ZoomOptions
from reclust_spark.errors import ConfigError, InputError
from reclust_spark.paths import parent
from reclust_spark.zoom.tree import cluster_size, inline_rows_in, stop_before_fit
from tests.planted import blobs, nested_blobs

QUICK = {"n_neighbors": 15, "n_epochs": 100}


@pytest.mark.parametrize(
    ("path", "n_rows", "options", "expected"),
    [
        ("/001/", 1000, {}, 100),  # 1 % of the population is more than 5 % of the node
        ("/001/", 5000, {}, 250),
        ("/001/", 5001, {}, 251),  # a share is rounded up
        ("/001/", 5000, {"min_cluster_size": 300}, 300),
        ("/", 10_000, {"root_min_cluster_size": 700}, 700),
        ("/001/", 60, {"min_share": 0}, 3),  # .05 * 60 is a hair above 3 in floating point
        ("/001/", 10, {"min_share": 0}, 2),
    ],
)
def test_the_smallest_cluster_is_a_share_of_node_or_population(path, n_rows, options, expected):
    assert cluster_size(path, n_rows, 10_000, ZoomOptions(**options)) == expected


def test_a_node_below_two_clusters_or_at_the_last_level_is_not_fitted():
    options = ZoomOptions(max_depth=2)
    assert stop_before_fit("/001/", 199, 10_000, options) == "too_small"
    assert stop_before_fit("/001/", 200, 10_000, options) is None
    assert stop_before_fit("/001/001/", 5_000, 10_000, options) == "max_depth"


@pytest.fixture(scope="module")
def nested():
    values, group, half = nested_blobs()
    return zoom_array(values, max_depth=2, root_min_cluster_size=400, **QUICK), group, half


@pytest.mark.parametrize(
    ("sizes", "slots", "expected"),
    [
        ([70_000], 2, [5_000]),  # alone, it leaves its large children to other slots
        ([8_000] * 9, 2, [8_000] * 9),
        ([8_000] * 9, 20, [5_000] * 9),  # more slots than nodes: what is left over has room
        ([40_000, 9_000, 9_000, 900], 1, [5_000, 9_000, 9_000, 5_000]),
    ],
)
def test_a_small_part_of_a_wave_is_finished_in_its_task(sizes, slots, expected):
    assert inline_rows_in(sizes, sizes, slots, ZoomOptions(inline_rows=5_000)) == expected


def test_the_zoom_finds_the_halves_that_the_root_cannot_show(nested):
    result, group, half = nested
    nodes = result.nodes.set_index("path")
    assert nodes.loc["/", "n_children"] == 3, "halves of 300 are too small for the root's 400"
    places = result.assignments.assign(row=result.assignments.row_id.astype(int)).sort_values("row")
    first = places[group == 0]
    # the halves lie in different leaves
    shares = pd.crosstab(first.path[~first.is_noise], half[~first.is_noise.to_numpy()])
    assert shares.max(axis=1).sum() / shares.to_numpy().sum() > 0.95


def test_everyone_has_one_place_and_sizes_add_up(nested):
    result, _, _ = nested
    nodes, places = result.nodes.set_index("path"), result.assignments
    assert places.row_id.is_unique and len(places) == nodes.loc["/", "n_rows"]
    for path, node in nodes.iterrows():
        below = places[places.path.str.startswith(path)]
        assert len(below) == node.n_rows
        own = places[places.path == path]
        assert own.is_noise.sum() == node.n_noise
        if node.n_children:
            assert own.is_noise.all() and node.stop_reason is None
            children = nodes[nodes.parent_path == path]
            assert len(children) == node.n_children
            assert children.n_rows.is_monotonic_decreasing
            assert children.n_rows.sum() + node.n_noise == node.n_rows
        else:
            assert not own.is_noise.any() and node.stop_reason is not None
        if path != "/":
            assert parent(path) in nodes.index
            assert node.parent_share == pytest.approx(node.n_rows / nodes.n_rows[parent(path)])


def test_the_medoid_of_a_node_is_one_of_its_people(nested):
    result, _, _ = nested
    place = result.assignments.set_index("row_id").path
    for node in result.nodes.itertuples():
        assert place[node.medoid_row_id].startswith(node.path)


def test_maps_are_there_for_every_fitted_node_and_no_other(nested):
    result, _, _ = nested
    fitted = result.nodes[result.nodes.engine.notna()]
    drawn = result.embeddings.groupby("path").size()
    assert dict(drawn) == dict(zip(fitted.path, fitted.n_fit, strict=True))
    split = set(result.nodes.path[result.nodes.n_children > 0])
    assert set(result.embeddings.dropna(subset="child_path").path) == split


def test_weights_enter_shares_and_never_the_fit():
    values, group = blobs([300, 300])
    weights = np.where(group == 0, 3.0, 1.0)
    plain = zoom_array(values, max_depth=1, **QUICK)
    weighted = zoom_array(values, weights=weights, max_depth=1, **QUICK)
    columns = ["row_id", "path", "is_noise", "strength"]
    pd.testing.assert_frame_equal(plain.assignments[columns], weighted.assignments[columns])
    shares = weighted.nodes.set_index("path").share
    assert sorted(shares[["/001/", "/002/"]].round(2)) == [0.25, 0.75]


def test_row_order_and_task_size_do_not_matter():
    values, _, _ = nested_blobs()
    ids = [f"p{i}" for i in range(len(values))]
    order = np.random.default_rng(0).permutation(len(values))
    one = zoom_array(values, ids, max_depth=2, **QUICK)
    two = zoom_array(values[order], [ids[i] for i in order], max_depth=2, inline_rows=7, **QUICK)
    for first, second in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(first, second)


def test_fewer_rows_than_a_cluster_needs_are_a_tree_of_one_node():
    result = zoom_array(blobs([20])[0], min_cluster_size=15)
    assert list(result.nodes.path) == ["/"]
    assert list(result.nodes.stop_reason) == ["too_small"]
    assert not result.assignments.is_noise.any() and result.embeddings.empty


def test_one_blob_is_one_cluster():
    result = zoom_array(blobs([400])[0], min_cluster_size=190, **QUICK)
    assert list(result.nodes.stop_reason) == ["one_cluster"]
    assert result.embeddings.child_path.isna().all()


@pytest.mark.parametrize(
    ("arguments", "error", "found"),
    [
        ({"X": np.ones((0, 3))}, InputError, "(0, 3)"),
        ({"X": np.ones(3)}, InputError, "(3,)"),
        ({"X": [[1.0, np.nan]]}, InputError, "NaN"),
        ({"X": [[1.0], [2.0]], "ids": ["a", "a"]}, InputError, "1 of them distinct"),
        ({"X": [[1.0], [2.0]], "ids": ["a"]}, InputError, "1 ids"),
        ({"X": [[1.0], [2.0]], "depth": 3}, ConfigError, "depth"),
    ],
)
def test_what_cannot_be_clustered_is_named(arguments, error, found):
    with pytest.raises(error) as caught:
        zoom_array(**arguments)
    assert found in str(caught.value)
