"""One node: embed its own rows, cluster them, and measure what was found. Pure arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reclust_spark.config import ZoomOptions
from reclust_spark.warehouse.names import NO_STRUCTURE, ONE_CLUSTER
from reclust_spark.zoom.arrays import Floats, Ints
from reclust_spark.zoom.clock import Clock
from reclust_spark.zoom.embed import embed, find_patterns, spread

DIAGNOSTIC_ROWS = 1_000
TRUSTWORTHINESS_NEIGHBORS = 15
NOISE = -1


class Rows(NamedTuple):
    """People at a node, sorted by row_id.

    Attributes
    ----------
    ids : ndarray of str objects, shape (n_rows,)
    features : ndarray of float32, shape (n_rows, n_features)
    weights : ndarray of float64, shape (n_rows,)
    """

    ids: NDArray[np.object_]
    features: Floats
    weights: NDArray[np.float64]

    def take(self, index: Ints) -> Rows:
        """Return some of the rows, in the order of the index."""
        return Rows(self.ids[index], self.features[index], self.weights[index])


class Split(NamedTuple):
    """What a fit found at a node.

    Attributes
    ----------
    stop_reason : str or None
        None where the node is split.
    labels : ndarray of int, shape (n_rows,)
        The cluster of each row, from 0 by falling size; -1 is noise. All 0 where it is not split.
    strength : ndarray of float64, shape (n_rows,)
        HDBSCAN's membership strength in [0, 1].
    persistence : ndarray of float64, shape (n_clusters,)
        HDBSCAN's relative persistence of each cluster.
    xy : ndarray of float32, shape (n_rows, 2), or None
        The map of the node; None where there was nothing to embed.
    trustworthiness : float or None
        Of the map, on a seeded sample of patterns, in [0, 1].
    seconds : dict of str to float
        How long each part of the fit took.
    """

    stop_reason: str | None
    labels: Ints
    strength: NDArray[np.float64]
    persistence: NDArray[np.float64]
    xy: Floats | None
    trustworthiness: float | None
    seconds: dict[str, float]


def split(
    rows: Rows, seed: int, min_cluster_size: int, options: ZoomOptions, threads: int = 1
) -> Split:
    """Embed and cluster the rows of one node.

    Parameters
    ----------
    rows : Rows
        Sorted by row_id; the result depends on their order.
    seed : int
        The node's own.
    min_cluster_size : int
        In rows.
    options : ZoomOptions
    threads : int
        The result does not depend on it.

    Returns
    -------
    Split
    """
    n_rows, clock = len(rows.ids), Clock()
    nothing = (np.zeros(n_rows, dtype=np.intp), np.zeros(n_rows), np.zeros(0))
    with clock.time("patterns"):
        patterns = find_patterns(rows.features)
    if len(patterns.counts) < 2:
        return Split(NO_STRUCTURE, *nothing, None, None, clock.seconds)
    with threadpool_limits(1):
        dimensions = dict.fromkeys((options.n_components, 2))
        maps = embed(patterns.values, list(dimensions), seed, options, threads, clock)
        with clock.time("patterns"):
            spreads = [spread(places, patterns, options.n_neighbors, seed) for places in maps]
        everyone, flat, xy = spreads[0], maps[-1], spreads[-1]
        with clock.time("diagnostics"):
            trust = trustworthiness_of(patterns.values, flat, seed, options.metric)
        with clock.time("cluster"):
            labels, strength, persistence = cluster(everyone, min_cluster_size, options)
    if len(persistence) < 2:
        return Split(ONE_CLUSTER, *nothing, xy, trust, clock.seconds)
    return Split(None, labels, strength, persistence, xy, trust, clock.seconds)


def medoid(features: Floats, seed: int, metric: str) -> int:
    """Find the most central row: the least sum of distances, within a seeded sample.

    Parameters
    ----------
    features : ndarray of float32, shape (n_rows, n_features)
    seed : int
    metric : str
        UMAP's name of the distance.

    Returns
    -------
    int
        The row's position.
    """
    sample = _sample(len(features), seed)
    with threadpool_limits(1):
        totals = _distances(features[sample], metric).sum(axis=1)
    return int(sample[totals.argmin()])


def cluster(
    places: Floats, min_cluster_size: int, options: ZoomOptions
) -> tuple[Ints, NDArray[np.float64], NDArray[np.float64]]:
    """Cluster by HDBSCAN and number the clusters by falling size, then by first row."""
    from hdbscan import HDBSCAN

    model = HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=min(options.min_samples, len(places) - 1),
        cluster_selection_method=options.cluster_selection_method,
        core_dist_n_jobs=1,
    ).fit(places.astype(np.float64))
    found = np.asarray(model.labels_, dtype=np.intp)
    present, first, sizes = np.unique(found[found >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = np.full(len(present) + 1, NOISE, dtype=np.intp)
    number[present[order]] = np.arange(len(present))
    persistence = np.asarray(model.cluster_persistence_, dtype=np.float64)[present[order]]
    return number[found], np.asarray(model.probabilities_, dtype=np.float64), persistence


def trustworthiness_of(values: Floats, places: Floats, seed: int, metric: str) -> float | None:
    """Share of map neighbours that are neighbours in the answers too (Venna & Kaski 2001)."""
    from sklearn.manifold import trustworthiness

    sample = _sample(len(values), seed)
    n_neighbors = min(TRUSTWORTHINESS_NEIGHBORS, (len(sample) - 1) // 2)
    if n_neighbors < 1:
        return None
    return float(
        trustworthiness(
            _distances(values[sample], metric),
            places[sample],
            n_neighbors=n_neighbors,
            metric="precomputed",
        )
    )


def _sample(n_rows: int, seed: int) -> Ints:
    if n_rows <= DIAGNOSTIC_ROWS:
        return np.arange(n_rows)
    chosen = np.random.default_rng(seed).choice(n_rows, DIAGNOSTIC_ROWS, replace=False)
    return np.sort(chosen)


def _distances(values: Floats, metric: str) -> NDArray[np.float64]:
    if not values.shape[1]:  # no question had two answers: everyone is alike
        return np.zeros((len(values), len(values)))
    from sklearn.metrics import pairwise_distances

    distances = np.asarray(pairwise_distances(values.astype(np.float64), metric=metric))
    np.fill_diagonal(distances, 0.0)
    return distances
