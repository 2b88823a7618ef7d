"""Clusters of a sample of people, by their places in the latent space.

Done in a process of its own: Numba's threads, once started, wait busily for as long as their
process lives, and take from the training that follows a third of two cores.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from reclust_spark.warehouse.compiled import enable_compile_cache

Floats = NDArray[np.float32]
Labels = NDArray[np.intp]

VOTERS = 15
UMAP_DIMENSIONS = 10


def cluster_apart(z: Floats, k: int, seed: int) -> Labels:
    """Call `cluster_sample` in another process, of one thread: the seed decides, not the cores."""
    with ProcessPoolExecutor(1, get_context("spawn"), _be_one_thread) as other:
        return other.submit(cluster_sample, z, k, seed).result()


def _be_one_thread() -> None:
    from threadpoolctl import threadpool_limits

    os.environ["NUMBA_NUM_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"
    threadpool_limits(1)


def cluster_sample(z: Floats, k: int, seed: int) -> Labels:
    """Cluster a sample's places in two ways and keep the one that is found again.

    k-means suits groups that are round, as in surveys of few answers; a Gaussian mixture on the
    places' UMAP suits what lies along curved sheets, as images do. Each is fitted to two halves;
    how far the two agree on other people, to whom either speaks by a vote of their nearest
    neighbours, is its stability (Lange et al. 2004).

    Parameters
    ----------
    z : (n, latent) float32 array
    k : int
        At most n.
    seed : int

    Returns
    -------
    (n,) int array
        From 0 to k − 1 at most.
    """
    from sklearn.metrics import adjusted_rand_score

    order = np.random.default_rng(seed).permutation(len(z))
    ours, theirs, others = np.array_split(order, 3)
    if len(others) <= max(k, UMAP_DIMENSIONS + 2):
        return by_k_means(z, k, seed)
    stability = {}
    for way in (by_k_means, by_umap):
        votes = [_vote(z[half], way(z[half], k, seed), z[others]) for half in (ours, theirs)]
        stability[way] = adjusted_rand_score(*votes)
    best = max(stability, key=lambda way: stability[way])
    return best(z, k, seed)


Way = Callable[[Floats, int, int], Labels]


def by_k_means(z: Floats, k: int, seed: int) -> Labels:
    """Cluster by k-means, the best of ten starts."""
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=10, random_state=seed).fit_predict(z).astype(np.intp)


def by_umap(z: Floats, k: int, seed: int) -> Labels:
    """Cluster by a mixture of Gaussians on the UMAP of places."""
    from sklearn.mixture import GaussianMixture
    from umap import UMAP

    enable_compile_cache()
    with warnings.catch_warnings():
        # UMAP says that a seed leaves it one thread, and scikit-learn that people are alike
        warnings.simplefilter("ignore")
        places = UMAP(
            n_neighbors=min(VOTERS, len(z) - 1),
            n_components=UMAP_DIMENSIONS,
            min_dist=0.0,
            random_state=seed,
            n_jobs=1,
        ).fit_transform(z)
        mixture = GaussianMixture(k, n_init=5, random_state=seed, reg_covar=1e-3)
        return mixture.fit_predict(places.astype(np.float64)).astype(np.intp)


def _vote(z: Floats, labels: Labels, others: Floats) -> Labels:
    from sklearn.neighbors import KNeighborsClassifier

    voters = KNeighborsClassifier(min(VOTERS, len(z))).fit(z, labels)
    return voters.predict(others)
