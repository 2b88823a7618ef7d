"""A split that a GMVAE has found: its clusters, or HDBSCAN's of its latent space. Pure arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reclust_spark.config import ZoomOptions
from reclust_spark.warehouse.names import ONE_CLUSTER
from reclust_spark.zoom.arrays import Floats, Ints
from reclust_spark.zoom.node import NOISE, Rows, Split, cluster, trustworthiness_of


class Latents(NamedTuple):
    """Where a GMVAE has people, in the order of a node's rows.

    Attributes
    ----------
    clusters : ndarray of int, shape (n_rows, n_kept)
        The most probable ones, falling.
    probabilities : ndarray of float32, shape (n_rows, n_kept)
    z : ndarray of float32, shape (n_rows, n_latent)
    """

    clusters: Ints
    probabilities: Floats
    z: Floats


def split_latents(
    rows: Rows,
    latents: Latents,
    seed: int,
    min_cluster_size: int,
    by: str,
    options: ZoomOptions,
) -> Split:
    """Split a node as a GMVAE has it.

    Parameters
    ----------
    rows : Rows
        Sorted by row_id.
    latents : Latents
    seed : int
        The node's own.
    min_cluster_size : int
        In rows.
    by : str
        argmax: the most probable cluster; hdbscan: HDBSCAN on the latent space.
    options : ZoomOptions

    Returns
    -------
    Split
        Under argmax strength is q(y|x), and persistence is NaN: there is no hierarchy to last in.
    """
    with threadpool_limits(1):
        if by == "hdbscan":
            labels, strength, persistence = cluster(latents.z, min_cluster_size, options)
        else:
            labels, strength = most_probable(latents, min_cluster_size)
            persistence = np.full(int(labels.max(initial=NOISE)) + 1, math.nan)
        xy = discriminants(latents.z, labels)
        trust = trustworthiness_of(rows.features, xy, seed, options.metric)
    if len(persistence) < 2:
        nothing = (np.zeros(len(xy), dtype=np.intp), np.zeros(len(xy)), np.zeros(0))
        return Split(ONE_CLUSTER, *nothing, xy, trust)
    return Split(None, labels, strength, persistence, xy, trust)


def most_probable(
    latents: Latents, min_cluster_size: int
) -> tuple[Ints, NDArray[np.float64]]:
    """Return people's most probable cluster among those that are large enough, and q(y|x) of it.

    The smallest cluster below the size is dissolved, its people go to their next one, and so on;
    whose kept clusters are all dissolved is noise.

    Parameters
    ----------
    latents : Latents
    min_cluster_size : int
        In rows.

    Returns
    -------
    labels : ndarray of int, shape (n_rows,)
        From 0 by falling size, then by first row; -1 is noise.
    strength : ndarray of float64, shape (n_rows,)
    """
    n_clusters = int(latents.clusters.max()) + 1
    stands = np.ones(n_clusters, dtype=bool)
    while True:
        usable = stands[latents.clusters]
        rank = usable.argmax(axis=1)
        at = np.arange(len(rank))
        found = np.where(usable.any(axis=1), latents.clusters[at, rank], NOISE)
        sizes = np.bincount(found[found >= 0], minlength=n_clusters)
        small = np.flatnonzero(stands & (sizes < min_cluster_size))
        if not len(small):
            break
        stands[small[sizes[small].argmin()]] = False
    strength = np.where(found >= 0, latents.probabilities[at, rank], 0.0).astype(np.float64)
    present, first = np.unique(found, return_index=True)
    first, present = first[present >= 0], present[present >= 0]
    number = np.full(n_clusters + 1, NOISE, dtype=np.intp)
    number[present[np.lexsort((first, -sizes[present]))]] = np.arange(len(present))
    return number[found], strength


def discriminants(z: Floats, labels: Ints) -> Floats:
    """Return the plane on which clusters lie furthest apart, in units of their own spread.

    Fisher's linear discriminants (Rao 1948); with fewer than three clusters what is left of the
    plane is the direction of most spread.

    Parameters
    ----------
    z : ndarray of float32, shape (n_rows, n_latent)
    labels : ndarray of int, shape (n_rows,)

    Returns
    -------
    ndarray of float32, shape (n_rows, 2)
    """
    centred = z.astype(np.float64) - z.mean(axis=0, dtype=np.float64)
    means = np.zeros_like(centred)
    for label in np.unique(labels[labels >= 0]):
        means[labels == label] = centred[labels == label].mean(axis=0)
    within = np.cov((centred - means).T).reshape(z.shape[1], z.shape[1])
    scale, axes = np.linalg.eigh(within)
    whiten = axes / np.sqrt(np.maximum(scale, 1e-6 * max(scale.max(), 1e-12)))
    white = centred @ whiten
    # a little of everyone's spread orders the directions in which clusters do not differ
    spread = np.cov((means @ whiten).T) + 1e-6 * np.cov(white.T)
    _, directions = np.linalg.eigh(spread.reshape(z.shape[1], z.shape[1]))
    chosen = directions[:, ::-1][:, :2]
    sign = np.where(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])] < 0, -1, 1)
    places = np.zeros((len(z), 2), dtype=np.float32)
    places[:, : chosen.shape[1]] = white @ (chosen * sign)
    return places
