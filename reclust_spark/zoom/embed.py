"""Where people stand: UMAP on distinct answer patterns, and a place for everyone who shares one.

Likert grids tie. Many people with the same answers would stand on one point, and a density
clusterer sees infinite density there: an island for every popular answer sheet. So each pattern is
embedded once, and its people are spread evenly over a ball among the pattern's neighbours, the
larger the more they are. What is clustered is then a smooth density of *people*, in which
min_cluster_size counts people, and a popular pattern is a hill among its neighbours instead of an
island. A pattern held by one person stays exactly where UMAP put it: data without ties are not
touched.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reclust_spark.config import ZoomOptions
from reclust_spark.zoom.arrays import Floats, Ints
from reclust_spark.zoom.clock import Clock

if TYPE_CHECKING:
    from reclust_spark.zoom.neighbors import Neighbors

APART = 1 / 3

EPOCHS = 500
HUBS, NO_HUBS = 30_000, 60_000
"""Points up to which hubs are held back in full, and from which they are not."""


class Patterns(NamedTuple):
    """The distinct rows of a node.

    Attributes
    ----------
    values : ndarray of float32, shape (n_patterns, n_features)
        In the order in which they first occur.
    of_row : ndarray of int, shape (n_rows,)
        The pattern of each row.
    counts : ndarray of int, shape (n_patterns,)
        How many rows share it.
    """

    values: Floats
    of_row: Ints
    counts: Ints


def find_patterns(features: Floats) -> Patterns:
    """Find the distinct rows, bit for bit.

    Parameters
    ----------
    features : ndarray of float32, shape (n_rows, n_features)

    Returns
    -------
    Patterns
    """
    if not features.shape[1]:
        return Patterns(features[:1], np.zeros(len(features), np.intp), np.array([len(features)]))
    rows = np.ascontiguousarray(features + np.float32(0))  # -0.0 and 0.0 are one answer
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Patterns(features[first[order]], rank[inverse.ravel()], counts[order])


def embed(
    values: Floats,
    dimensions: Sequence[int],
    seed: int,
    options: ZoomOptions,
    threads: int,
    clock: Clock,
) -> list[Floats]:
    """Embed distinct rows by UMAP; the seed alone decides the result.

    With no more rows than n_neighbors the neighbour graph is complete and holds nothing to learn:
    such rows stand at their first principal coordinates.

    Parameters
    ----------
    values : ndarray of float32, shape (n_patterns, n_features)
    dimensions : sequence of int
        Of each map wanted.
    seed : int
    options : ZoomOptions
    threads : int
        The result does not depend on it.
    clock : Clock
        Is told of neighbors, graph, start and layout.

    Returns
    -------
    list of ndarray of float32, shape (n_patterns, n_components)
    """
    if len(values) <= options.n_neighbors:
        return [_principal_coordinates(values, n_components) for n_components in dimensions]
    from reclust_spark.zoom.neighbors import find_neighbors

    correction, mix = hubs_held_back(len(values), options)
    with clock.time("neighbors"):
        neighbors = find_neighbors(
            values, options.n_neighbors, options.metric, correction, seed, threads
        )
    if options.layout == "umap":
        with clock.time("layout"):
            return [_by_umap(values, neighbors, n, seed, mix, options) for n in dimensions]
    from reclust_spark.zoom.graph import fuzzy_graph
    from reclust_spark.zoom.layout import lay_out, start_of

    with clock.time("graph"):
        graph = fuzzy_graph(neighbors, mix)
    n_epochs = options.n_epochs or EPOCHS
    maps = []
    for n_components in dimensions:
        with clock.time("start"):
            start = start_of(graph, values, n_components, seed)
        with clock.time("layout"):
            maps.append(lay_out(graph, start, n_epochs, options.min_dist, seed, threads))
    return maps


def hubs_held_back(n_points: int, options: ZoomOptions) -> tuple[float, float]:
    """Return how distances are corrected for hubs, and how far one-sided neighbourhoods count.

    As the options say up to 30,000 points. The more there are, the narrower are the neighbourhoods
    of so many neighbours, and the less do hubs reach into them, while what keeps them out begins to
    cut groups up: from 60,000 points on, distances are as they come and the graph is UMAP's own
    (README, results).

    Parameters
    ----------
    n_points : int
    options : ZoomOptions

    Returns
    -------
    correction : float
        From 0 to the option's.
    mix : float
        From the option's to 1.
    """
    left = min(1.0, max(0.0, (NO_HUBS - n_points) / (NO_HUBS - HUBS)))
    return left * options.hub_correction, 1 - left * (1 - options.set_op_mix_ratio)


def _by_umap(
    values: Floats,
    neighbors: Neighbors,
    n_components: int,
    seed: int,
    mix: float,
    options: ZoomOptions,
) -> Floats:
    """Lay out by umap-learn itself, on one thread, because it is seeded."""
    from umap import UMAP

    from reclust_spark.warehouse.compiled import enable_compile_cache

    enable_compile_cache()
    reducer = UMAP(
        n_neighbors=options.n_neighbors,
        precomputed_knn=(*neighbors, None),
        force_approximation_algorithm=True,  # or UMAP looks for few rows' neighbours itself
        set_op_mix_ratio=mix,
        min_dist=options.min_dist,
        n_components=n_components,
        metric=options.metric,
        n_epochs=options.n_epochs,
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # a node can hold separate components; UMAP then starts each in its own place
        warnings.filterwarnings("ignore", category=UserWarning)
        return np.ascontiguousarray(reducer.fit_transform(values), dtype=np.float32)


def spread(places: Floats, patterns: Patterns, reach: int, seed: int) -> Floats:
    """Give every row its own place: its pattern's, or one in the ball around it.

    The ball of a shared pattern ends at the nearest pattern within which as many other people stand
    as share it, and at the reach-th nearest at the latest: the crowd is then at most about twice as
    dense as its surroundings, and nobody leaves the neighbourhood. Where there are no more patterns
    than `reach`, no neighbourhood is there to blend into; then the balls are kept apart.

    Parameters
    ----------
    places : ndarray of float32, shape (n_patterns, n_components)
        Where each pattern stands.
    patterns : Patterns
    reach : int
        The most patterns that a ball takes in.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n_rows, n_components)
    """
    everyone = places[patterns.of_row]
    shared = np.flatnonzero(patterns.counts > 1)
    if not len(shared) or len(places) < 2:
        return everyone
    from scipy.spatial import cKDTree

    steps = min(reach, len(places) - 1)
    distances, near = cKDTree(places).query(places[shared], k=steps + 1)
    radius = np.zeros(len(places))
    if len(places) <= reach:
        radius[shared] = APART * distances[:, 1]
    else:
        people = patterns.counts[near[:, 1:]].cumsum(axis=1)
        enough = np.minimum((people < patterns.counts[shared, None]).sum(axis=1), steps - 1)
        radius[shared] = distances[np.arange(len(shared)), 1 + enough]
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=everyone.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    far = rng.random(len(everyone)) ** (1 / everyone.shape[1]) * radius[patterns.of_row]
    return (everyone + direction * far[:, None]).astype(np.float32)


def _principal_coordinates(values: Floats, n_components: int) -> Floats:
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    left, scale, right = np.linalg.svd(centred, full_matrices=False)
    sign = np.where(right[np.arange(len(scale)), np.abs(right).argmax(axis=1)] < 0, -1.0, 1.0)
    places = np.zeros((len(values), n_components), dtype=np.float32)
    kept = min(n_components, len(scale))
    places[:, :kept] = (left * scale * sign)[:, :kept]
    return places
