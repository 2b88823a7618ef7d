"""Starts: nearly an autoencoder, then a mixture that holds the clusters of a sample.

From random parameters the mixture and the latent space have to find each other, and what they
settle in is seldom what tells people apart; a mixture that is fitted to an autoencoder's latent
space starts nearer (VaDE, Jiang et al. 2017, section 3). But an autoencoder does not make its
clusters round. So a sample is clustered, in two ways of which the one is kept that finds the same
clusters again in other people, and the network is taught these clusters before it goes on alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reclust_spark.gmvae import distributions as d
from reclust_spark.gmvae.columns import Floats
from reclust_spark.gmvae.network import GMVAE
from reclust_spark.gmvae.objective import Batch
from reclust_spark.warehouse.compiled import enable_compile_cache

Labels = NDArray[np.intp]

VOTERS = 15
UMAP_DIMENSIONS = 10
CLASS_WEIGHT = 10.0
"""Of telling a person's cluster, against telling their answers, while the network is taught."""


def warm_loss(
    model: GMVAE, batch: Batch, kl: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the loss of an autoencoder with a little of KL(q(z|x) ‖ N(0, 1)), and what is told.

    Parameters
    ----------
    model : GMVAE
    batch : Batch
    kl : float
        The KL's weight.
    generator : torch.Generator

    Returns
    -------
    loss : Tensor, shape ()
        Summed over people.
    told : Tensor, shape (n, columns)
    """
    q_z = model.q_z(model.encode(batch.features))
    z = d.sample_gaussian(*q_z, generator)
    told = model.log_likelihood(z, batch.targets)
    zero = torch.zeros((), device=z.device)
    apart = d.gaussian_kl(*q_z, zero, zero)
    return (kl * apart - told.sum(-1)).sum(), told


def taught_loss(
    model: GMVAE, batch: Batch, cluster: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the loss of people whose cluster is given, and what is told.

    Minus the bound on log p(x|y), and the cross-entropy of q(y|x): the labelled part of the
    objective of Kingma et al. (2014), equations 6 and 9.

    Parameters
    ----------
    model : GMVAE
    batch : Batch
    cluster : int64 Tensor, shape (n,)
    generator : torch.Generator

    Returns
    -------
    loss : Tensor, shape ()
        Summed over people.
    told : Tensor, shape (n, columns)
    """
    hidden = model.encode(batch.features)
    y = torch.nn.functional.one_hot(cluster, model.shape.n_clusters).to(hidden.dtype)
    q_z = model.q_z(hidden, y if model.shape.joint else None)
    z = d.sample_gaussian(*q_z, generator)
    log_q = model.q_y(hidden) if model.shape.joint else model.p_y_given_z(z)
    told = model.log_likelihood(z, batch.targets)
    missed = -(log_q * y).sum(-1)
    apart = d.gaussian_kl(*q_z, *model.p_z(y))
    return (CLASS_WEIGHT * missed + apart - told.sum(-1)).sum(), told


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


def set_mixture(model: GMVAE, z: Floats, labels: Labels) -> None:
    """Set p(z|y), and p(y) where it is learned, to the places of each cluster's people."""
    counts = np.bincount(labels, minlength=model.shape.n_clusters)
    with torch.no_grad():
        for k in np.flatnonzero(counts > 1):
            mine = z[labels == k]
            model.prior_mean[k] = torch.as_tensor(mine.mean(axis=0))
            model.prior_log_variance[k] = torch.as_tensor(np.log(mine.var(axis=0) + 1e-4))
        if not model.shape.joint:
            shares = (counts + 1) / (counts + 1).sum()
            model.prior_logits[:] = torch.as_tensor(np.log(shares), dtype=torch.float32)


def _vote(z: Floats, labels: Labels, others: Floats) -> Labels:
    from sklearn.neighbors import KNeighborsClassifier

    voters = KNeighborsClassifier(min(VOTERS, len(z))).fit(z, labels)
    return voters.predict(others)
