"""Search, graph and layout: as umap-learn's, and the same on any number of threads."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from reclust_spark import zoom_array
from reclust_spark.config import ZoomOptions
from reclust_spark.zoom import layout as layouts
from reclust_spark.zoom import neighbors as searches
from reclust_spark.zoom.embed import hubs_held_back
from reclust_spark.zoom.graph import fuzzy_graph
from reclust_spark.zoom.layout import lay_out, start_of
from reclust_spark.zoom.neighbors import find_neighbors
from tests.planted import blobs


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    return load_digits().data.astype(np.float32)


def graph_of(values, mix=1.0):
    return fuzzy_graph(find_neighbors(values, 15, "euclidean", 0.0, 0), mix)


@pytest.mark.parametrize("mix", [1.0, 0.25, 0.0])
def test_the_graph_is_that_of_umap_learn(digits, mix):
    from umap.umap_ import fuzzy_simplicial_set

    near = find_neighbors(digits, 15, "euclidean", 0.0, 0)
    theirs = fuzzy_simplicial_set(
        digits, 15, np.random.RandomState(0), "euclidean", knn_indices=near.indices,
        knn_dists=near.distances, set_op_mix_ratio=mix,
    )[0]  # fmt: skip
    ours = fuzzy_graph(near, mix)
    assert abs(ours - theirs).max() < 1e-3
    assert abs(ours - ours.T).max() < 1e-6 and not ours.diagonal().any()


def test_the_layout_is_the_same_on_any_number_of_threads(digits, monkeypatch):
    monkeypatch.setattr(layouts, "SHARED_POINTS", 0)
    graph = graph_of(digits)
    start = start_of(graph, digits, 2, 7)
    alone = lay_out(graph, start, 30, 0.0, 7, threads=1)
    for threads in (2, 3):
        assert np.array_equal(alone, lay_out(graph, start, 30, 0.0, 7, threads))
    assert not np.array_equal(alone, lay_out(graph, start, 30, 0.0, 8))


def test_the_search_is_the_same_on_any_number_of_threads_and_misses_little(monkeypatch):
    values = np.random.default_rng(3).normal(size=(6_000, 8)).astype(np.float32)
    exact = find_neighbors(values, 15, "euclidean", 0.0, 0)
    monkeypatch.setattr(searches, "EXACT_ROWS", 1_000)
    monkeypatch.setattr(searches, "CELL_ROWS", 100)
    alone = find_neighbors(values, 15, "euclidean", 0.0, 0)
    shared = find_neighbors(values, 15, "euclidean", 0.0, 0, threads=3)
    assert np.array_equal(alone.indices, shared.indices)
    assert np.array_equal(alone.distances, shared.distances)
    found = [len(set(a) & set(b)) for a, b in zip(exact.indices, alone.indices, strict=True)]
    assert np.mean(found) / 15 > 0.9


def test_a_tree_is_the_same_on_any_number_of_threads(digits):
    one, two = (
        zoom_array(digits, threads=threads, layout="parallel", n_epochs=50, max_depth=2)
        for threads in (1, 3)
    )
    assert one.assignments.equals(two.assignments) and one.embeddings.equals(two.embeddings)


def test_what_is_tied_stays_together():
    """No pair leaps off the map, and groups without a tie between them do not mix."""
    values, group = blobs([200, 500, 300])
    graph = fuzzy_graph(find_neighbors(values.astype(np.float32), 15, "euclidean", 0.5, 0), 0.25)
    assert connected_components(graph)[0] == 3
    for seed in range(3):
        places = lay_out(graph, start_of(graph, values, 2, seed), 200, 0.0, seed)
        middles = np.array([np.median(places[group == i], axis=0) for i in range(3)])
        away = np.linalg.norm(places[:, None] - middles, axis=2)
        assert (away.argmin(axis=1) == group).all()
        assert away.min(axis=1).max() < 10


@pytest.mark.parametrize("n_components", [1, 3])
def test_maps_of_other_dimensions(digits, n_components):
    graph = graph_of(digits[:300])
    places = lay_out(graph, start_of(graph, digits[:300], n_components, 0), 20, 0.1, 0)
    assert places.shape == (300, n_components) and np.isfinite(places).all()


def test_cosine_neighbours_are_those_of_the_angle(digits):
    found = find_neighbors(digits, 10, "cosine", 0.0, 0)
    unit = digits / np.linalg.norm(digits, axis=1, keepdims=True)
    distance = 1 - unit[:50] @ unit.T
    assert np.allclose(found.distances[:50], np.sort(distance, axis=1)[:, :10], atol=1e-5)


def test_hubs_are_held_back_less_the_more_points_there_are():
    options = ZoomOptions()
    assert hubs_held_back(30_000, options) == (0.25, 0.6)
    assert hubs_held_back(45_000, options) == (0.125, 0.8)
    assert hubs_held_back(60_000, options) == (0, 1) == hubs_held_back(10**7, options)


@pytest.mark.parametrize("layout", ["umap", "parallel"])
def test_either_layout_finds_digits(digits, layout):
    tree = zoom_array(digits, layout=layout, n_epochs=200, max_depth=1)
    assert tree.nodes.n_children[0] > 4
