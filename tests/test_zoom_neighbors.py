"""Neighbours: exact or searched, and hubs held back."""

import numpy as np
import pytest

from reclust_spark.zoom.neighbors import find_neighbors


def hub_share(values: np.ndarray, correction: float) -> float:
    """Return the share of all neighbourhoods that the most popular point is in."""
    found = find_neighbors(values, 15, "euclidean", correction, 0)
    return np.bincount(found.indices[:, 1:].ravel()).max() / len(values)


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1500, 200)).astype(np.float32)


def test_each_point_comes_first_and_the_rest_in_order(wide):
    for correction in (0.0, 0.5, 1.0):
        found = find_neighbors(wide, 15, "euclidean", correction, 0)
        assert found.indices.shape == found.distances.shape == (1500, 15)
        assert np.array_equal(found.indices[:, 0], np.arange(1500))
        assert not found.distances[:, 0].any()
        assert (np.diff(found.distances, axis=1) >= 0).all()
        assert all(len(set(row)) == 15 for row in found.indices.tolist())


def test_without_correction_they_are_the_nearest(wide):
    found = find_neighbors(wide, 15, "euclidean", 0.0, 0)
    to_first = np.linalg.norm(wide - wide[0], axis=1)
    assert found.indices[0].tolist() == np.argsort(to_first)[:15].tolist()
    assert np.allclose(found.distances[0], np.sort(to_first)[:15], rtol=1e-4)


def test_correction_holds_hubs_back(wide):
    """Uniform directions in 200 dimensions have hubs; the correction halves the largest."""
    assert hub_share(wide, 0.5) < 0.7 * hub_share(wide, 0.0)
    assert hub_share(wide, 1.0) < hub_share(wide, 0.5)


def test_the_search_finds_what_comparing_all_finds():
    values = np.random.default_rng(1).normal(size=(4200, 8)).astype(np.float32)
    searched = find_neighbors(values, 15, "euclidean", 0.0, 0)
    assert np.array_equal(searched.indices[:, 0], np.arange(4200))
    to_all = np.linalg.norm(values[:200, None] - values[None], axis=2)
    exact = np.argsort(to_all, axis=1)[:, :15]
    shared = [len(set(a) & set(b)) for a, b in zip(exact, searched.indices[:200], strict=True)]
    assert np.mean(shared) / 15 > 0.95


def test_points_that_a_metric_cannot_tell_apart_are_no_reason_to_fail():
    values = np.repeat(np.random.default_rng(2).normal(size=(5, 3)), 20, axis=0)
    values *= np.tile(np.arange(1, 21), 5)[:, None]
    found = find_neighbors(values.astype(np.float32), 10, "cosine", 0.5, 0)
    assert np.isfinite(found.distances).all()
    assert np.array_equal(found.indices[:, 0], np.arange(100))
