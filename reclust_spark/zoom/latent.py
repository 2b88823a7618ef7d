"""A root that a GMVAE has split: its clusters, or HDBSCAN's of its latent space. Pure arrays.

The GMVAE's own clusters need no node in one worker's memory: each person's place follows from
their own row of the latents table and from what is known of all (`Standing`, `Plane`), so that a
population of any size is placed a batch at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reclust_spark.config import ZoomOptions
from reclust_spark.paths import ROOT, child, seed_of
from reclust_spark.prepare.hashing import row_hashes
from reclust_spark.prepare.sample import threshold
from reclust_spark.warehouse.lists import matrix
from reclust_spark.warehouse.names import ONE_CLUSTER
from reclust_spark.zoom.arrays import Floats, Ints
from reclust_spark.zoom.clock import Clock
from reclust_spark.zoom.node import (
    DIAGNOSTIC_ROWS,
    NOISE,
    Rows,
    Split,
    cluster,
    medoid,
    trustworthiness_of,
)
from reclust_spark.zoom.tree import Growth, Map, Node, Open, Placed

GMVAE_ENGINE = "gmvae"
MAX_CELLS = 20_000_000
"""Answers that the samples of all children hold together."""
LEAST_ROWS = 50
"""People of a child that its medoid is chosen from, however many children there are."""


class Latents(NamedTuple):
    """Where a GMVAE has people.

    Attributes
    ----------
    ids : ndarray of str objects, shape (n_rows,)
    weights : ndarray of float64, shape (n_rows,)
    clusters : ndarray of int, shape (n_rows, n_kept)
        The most probable ones, falling.
    probabilities : ndarray of float32, shape (n_rows, n_kept)
    z : ndarray of float32, shape (n_rows, n_latent)
    """

    ids: NDArray[np.object_]
    weights: NDArray[np.float64]
    clusters: Ints
    probabilities: Floats
    z: Floats


def latents_of(rows: pa.RecordBatch | pa.Table) -> Latents:
    """Read rows of the latents table."""
    return Latents(
        np.asarray(rows["row_id"], dtype=object),
        np.asarray(rows["weight"], dtype=np.float64),
        matrix(rows["clusters"], dtype=np.intp),
        matrix(rows["probabilities"]),
        matrix(rows["z"]),
    )


class Standing(NamedTuple):
    """The GMVAE's clusters that are large enough to be the root's children.

    Attributes
    ----------
    clusters : ndarray of int, shape (n_children,)
        By falling size, then by number.
    sizes : ndarray of int, shape (n_children,)
        People whose most probable cluster it is, among those that stand.
    """

    clusters: Ints
    sizes: Ints


class Plane(NamedTuple):
    """A plane through the latent space.

    Attributes
    ----------
    centre : ndarray of float64, shape (n_latent,)
    axes : ndarray of float64, shape (n_latent, 2)
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]

    def places(self, z: Floats) -> Floats:
        """Return where people are on it, shape (n_rows, 2)."""
        # summed one dimension after the other: a person's place is the same beside anybody
        found = np.zeros((len(z), 2))
        for dimension, axes in zip((z - self.centre).T, self.axes, strict=True):
            found += dimension[:, None] * axes
        return found.astype(np.float32)


def standing(count: Callable[[list[int]], dict[int, int]], min_cluster_size: int) -> Standing:
    """Dissolve clusters that are too small, the smallest first.

    The people of a dissolved cluster go to the next one on their list, which may make that one
    large enough; whose list is used up is noise.

    Parameters
    ----------
    count : callable
        From the clusters that are dissolved to the sizes of those that stand.
    min_cluster_size : int
        In rows.

    Returns
    -------
    Standing
    """
    dissolved: list[int] = []
    while True:
        sizes = count(dissolved)
        small = [one for one in sizes if sizes[one] < min_cluster_size]
        if not small:
            break
        dissolved.append(min(small, key=lambda one: (sizes[one], one)))
    order = sorted(sizes, key=lambda one: (-sizes[one], one))
    return Standing(np.array(order, dtype=np.intp),
                    np.array([sizes[one] for one in order], dtype=np.intp))  # fmt: skip


def labels_of(latents: Latents, stands: Standing) -> tuple[Ints, NDArray[np.float64]]:
    """Return each person's most probable cluster that stands, and q(y|x) of it.

    Parameters
    ----------
    latents : Latents
    stands : Standing

    Returns
    -------
    labels : ndarray of int, shape (n_rows,)
        The place in `stands`; -1 is noise.
    strength : ndarray of float64, shape (n_rows,)
        0 for noise.
    """
    n_clusters = max(latents.clusters.max(initial=0), stands.clusters.max(initial=0)) + 1
    number = np.full(n_clusters, NOISE, dtype=np.intp)
    number[stands.clusters] = np.arange(len(stands.clusters))
    listed = number[latents.clusters]
    first = (listed != NOISE).argmax(axis=1)
    rows = np.arange(len(first))
    labels = listed[rows, first]
    strength = np.where(labels != NOISE, latents.probabilities[rows, first], 0.0)
    return labels, strength.astype(np.float64)


def in_sample(latents: Latents, stands: Standing, population: int, width: int) -> NDArray[np.bool_]:
    """Choose people by a hash of their row_id: some of everyone, and some of each child.

    Parameters
    ----------
    latents : Latents
    stands : Standing
    population : int
    width : int
        Of `features`, which the sample will be joined with.

    Returns
    -------
    ndarray of bool, shape (2, n_rows)
        Who is in the sample of everyone; who is in any.
    """
    hashes = row_hashes(latents.ids)
    everyone = threshold(population, DIAGNOSTIC_ROWS)
    fair = MAX_CELLS // (width * max(1, len(stands.clusters)))
    rows = min(DIAGNOSTIC_ROWS, max(LEAST_ROWS, fair))
    limits = [max(everyone, threshold(int(size), rows)) for size in stands.sizes] + [everyone]
    labels, _ = labels_of(latents, stands)
    return np.stack(
        [hashes <= np.uint64(everyone), hashes <= np.array(limits, dtype=np.uint64)[labels]]
    )


def describe_root(
    sample: Latents,
    features: Floats,
    stands: Standing,
    weights: tuple[float, list[float]],
    population: int,
    options: ZoomOptions,
) -> tuple[list[Node], Plane]:
    """Return the root and its children, not yet fitted, and the plane that shows them.

    Parameters
    ----------
    sample : Latents
        Of the people of `in_sample`, sorted by row_id.
    features : ndarray of float32, shape (n_sample, n_features)
    stands : Standing
    weights : float and list of float
        The sums of all people's weights, and of each child's.
    population : int
    options : ZoomOptions

    Returns
    -------
    nodes : list of Node
        The root alone, with a stop_reason, where fewer than two clusters stand.
    plane : Plane
    """
    labels, _ = labels_of(sample, stands)
    plane = discriminants(sample.z, labels)
    seed = seed_of(options.seed, ROOT)
    everyone = np.flatnonzero(in_sample(sample, stands, population, features.shape[1])[0])
    of_all, xy = features[everyone], plane.places(sample.z[everyone])
    with threadpool_limits(1):
        trust = trustworthiness_of(of_all, xy, seed, options.metric)
    is_split = len(stands.clusters) >= 2
    root = Node(
        ROOT,
        population,
        weights[0],
        None,
        str(sample.ids[everyone[medoid(of_all, seed, options.metric)]]),
        seed,
        None if is_split else ONE_CLUSTER,
        len(stands.clusters) if is_split else 0,
        population - int(stands.sizes.sum()) if is_split else 0,
        GMVAE_ENGINE,
        population,
        trust,
    )
    if not is_split:
        return [root], plane
    nodes = [root]
    for number, size in enumerate(stands.sizes.tolist()):
        path = child(ROOT, number + 1)
        seed = seed_of(options.seed, path)
        members = np.flatnonzero(labels == number)
        central = members[medoid(features[members], seed, options.metric)]
        name = str(sample.ids[central])
        nodes.append(Node(path, size, weights[1][number], None, name, seed))
    return nodes, plane


def place(latents: Latents, stands: Standing, plane: Plane, nodes: list[Node]) -> Growth:
    """Return what becomes of some people at the root: noise, or open at a child; and the map.

    Parameters
    ----------
    latents : Latents
    stands : Standing
    plane : Plane
    nodes : list of Node
        Of `describe_root`.
    """
    xy = plane.places(latents.z)
    if len(nodes) == 1:
        nothing = np.full(len(latents.ids), np.nan)
        apart = np.full(len(latents.ids), NOISE, dtype=np.intp)
        return Growth(
            placed=[Placed(ROOT, False, latents.ids, nothing, latents.weights)],
            maps=[Map(ROOT, latents.ids, xy, apart)],
        )
    labels, strength = labels_of(latents, stands)
    growth = Growth(maps=[Map(ROOT, latents.ids, xy, labels)])
    for number, node in enumerate([None, *nodes[1:]], start=NOISE):
        found = np.flatnonzero(labels == number)
        if node is not None:
            growth.open.append(Open(node, latents.ids[found], strength[found]))
        elif len(found):
            growth.placed.append(
                Placed(ROOT, True, latents.ids[found], strength[found], latents.weights[found])
            )
    return growth


def split_latents(
    rows: Rows, seed: int, min_cluster_size: int, options: ZoomOptions, threads: int, z: Floats
) -> Split:
    """Split a node by HDBSCAN on where a GMVAE has its people.

    Parameters
    ----------
    rows : Rows
        Sorted by row_id.
    seed : int
        The node's own.
    min_cluster_size : int
        In rows.
    options : ZoomOptions
    threads : int
        Not used.
    z : ndarray of float32, shape (n_rows, n_latent)

    Returns
    -------
    Split
    """
    clock = Clock()
    with threadpool_limits(1):
        with clock.time("cluster"):
            labels, strength, persistence = cluster(z, min_cluster_size, options)
        with clock.time("layout"):
            xy = discriminants(z, labels).places(z)
        with clock.time("diagnostics"):
            trust = trustworthiness_of(rows.features, xy, seed, options.metric)
    if len(persistence) < 2:
        nothing = (np.zeros(len(xy), dtype=np.intp), np.zeros(len(xy)), np.zeros(0))
        return Split(ONE_CLUSTER, *nothing, xy, trust, clock.seconds)
    return Split(None, labels, strength, persistence, xy, trust, clock.seconds)


def discriminants(z: Floats, labels: Ints) -> Plane:
    """Return the plane on which clusters lie furthest apart, in units of their own spread.

    Fisher's linear discriminants (Rao 1948); with fewer than three clusters what is left of the
    plane is the direction of most spread.

    Parameters
    ----------
    z : ndarray of float32, shape (n_rows, n_latent)
    labels : ndarray of int, shape (n_rows,)
        -1 belongs to no cluster.

    Returns
    -------
    Plane
    """
    centre = z.mean(axis=0, dtype=np.float64)
    centred = z.astype(np.float64) - centre
    means = np.zeros_like(centred)
    for label in np.unique(labels[labels >= 0]):
        means[labels == label] = centred[labels == label].mean(axis=0)
    within = _covariance(centred - means)
    scale, axes = np.linalg.eigh(within)
    whiten = axes / np.sqrt(np.maximum(scale, 1e-6 * max(scale.max(), 1e-12)))
    # a little of everyone's spread orders the directions in which clusters do not differ
    spread = _covariance(means @ whiten) + 1e-6 * _covariance(centred @ whiten)
    _, directions = np.linalg.eigh(spread)
    chosen = (whiten @ directions[:, ::-1])[:, :2]
    chosen = np.pad(chosen, ((0, 0), (0, 2 - chosen.shape[1])))
    # of the two ways that an axis can point, the same one on any machine
    largest = np.abs(chosen).argmax(axis=0)
    return Plane(centre, chosen * np.where(chosen[largest, [0, 1]] < 0, -1.0, 1.0))


def _covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.T @ values / max(len(values), 1)
