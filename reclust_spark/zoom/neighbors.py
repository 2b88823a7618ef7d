"""Who is near whom, with hubs held back.

In many dimensions a few points (hubs: the sparse images among digits, the middling answers in a
survey) are near to nearly everyone, and whatever is odd is taken for one of them. Each distance is
therefore measured against the surroundings of both its ends, as in the contextual dissimilarity
NICDM (Jégou et al. 2007), which does best of many against hubs (Feldbauer & Flexer 2019), and as
PaCMAP does when it chooses neighbours:

    d'(x, y) = d(x, y) / (μ_x μ_y)^(correction / 2)

μ is the mean distance to the ten nearest. The full correction (1) lets groups that only touch flow
together; half of it, the default, keeps the strays out and the groups apart (README, results).

References
----------
Jégou, Harzallah, Schmid (2007). A contextual dissimilarity measure for accurate and efficient image
search. CVPR. Feldbauer, Flexer (2019). A comprehensive empirical comparison of hubness reduction in
high-dimensional spaces. Knowl. Inf. Syst. 59.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reclust_spark.zoom.arrays import Floats

EXACT_ROWS = 4_096
"""Up to here all pairs are compared, as in UMAP."""

SURROUNDINGS = 10
CANDIDATES = 2
"""Neighbours looked at for each one kept."""


class Neighbors(NamedTuple):
    """The nearest points of each point, itself first.

    Attributes
    ----------
    indices : ndarray of int32, shape (n_points, k)
    distances : ndarray of float32, shape (n_points, k)
    """

    indices: NDArray[np.int32]
    distances: Floats


def find_neighbors(
    values: Floats, n_neighbors: int, metric: str, correction: float, seed: int
) -> Neighbors:
    """Find each point's neighbours, by distances corrected for hubs.

    Parameters
    ----------
    values : ndarray of float32, shape (n_points, n_features)
        Distinct.
    n_neighbors : int
        How many to keep, the point itself included; less than n_points.
    metric : str
    correction : float
        From 0 (none) to 1 (NICDM).
    seed : int
        Of the search, where it is not exact.

    Returns
    -------
    Neighbors
        Sorted by corrected distance.
    """
    if correction == 0:
        return _nearest(values, n_neighbors, metric, seed)
    wanted = min(len(values), max(CANDIDATES * n_neighbors, SURROUNDINGS + 1))
    return _corrected(_nearest(values, wanted, metric, seed), n_neighbors, correction)


def _corrected(found: Neighbors, n_neighbors: int, correction: float) -> Neighbors:
    own, others = found.indices[:, :1], found.indices[:, 1:]
    distances = found.distances[:, 1:].astype(np.float64)
    near = distances[:, :SURROUNDINGS]
    # the search may miss a neighbour: index −1 at an infinite distance
    surroundings = near.mean(axis=1, where=np.isfinite(near))
    # a metric that sees only the angle can put distinct points on one place
    surroundings = np.maximum(surroundings, np.finfo(np.float32).tiny)
    scale = (surroundings[:, None] * surroundings[others]) ** (correction / 2)
    relative = distances / scale
    order = np.argsort(relative, axis=1, kind="stable")[:, : n_neighbors - 1]
    indices = np.hstack([own, np.take_along_axis(others, order, axis=1)])
    nearest = np.take_along_axis(relative, order, axis=1)
    return Neighbors(indices, np.hstack([np.zeros((len(own), 1)), nearest]).astype(np.float32))


def _nearest(values: Floats, n_neighbors: int, metric: str, seed: int) -> Neighbors:
    if len(values) <= EXACT_ROWS:
        return _exact(values, n_neighbors, metric)
    from umap.umap_ import nearest_neighbors

    indices, distances, _ = nearest_neighbors(
        values,
        n_neighbors,
        metric,
        {},
        False,
        np.random.RandomState(seed),
        n_jobs=1,
    )
    rows = np.arange(len(values))
    place = (indices == rows[:, None]).argmax(axis=1)  # a twin under the metric may come first
    indices[rows, place], indices[:, 0] = indices[:, 0].copy(), rows
    return Neighbors(indices, np.asarray(distances, dtype=np.float32))


def _exact(values: Floats, n_neighbors: int, metric: str) -> Neighbors:
    from sklearn.metrics import pairwise_distances

    everyone = np.arange(len(values))
    distances = pairwise_distances(values.astype(np.float64), metric=metric).astype(np.float32)
    distances[everyone, everyone] = -1.0  # itself before any twin under this metric
    indices = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
    distances[everyone, everyone] = 0.0
    near = np.take_along_axis(distances, indices, axis=1)
    return Neighbors(indices.astype(np.int32), near)
