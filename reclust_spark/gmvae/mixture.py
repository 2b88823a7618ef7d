"""Starts: nearly an autoencoder, then a mixture that holds the clusters of a sample.

From random parameters the mixture and the latent space have to find each other, and what they
settle in is seldom what tells people apart; a mixture that is fitted to an autoencoder's latent
space starts nearer (VaDE, Jiang et al. 2017, section 3). But an autoencoder does not make its
clusters round. So a sample is clustered, in two ways of which the one is kept that finds the same
clusters again in other people, and the network is taught these clusters before it goes on alone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reclust_spark.gmvae import distributions as d
from reclust_spark.gmvae.columns import Floats
from reclust_spark.gmvae.network import GMVAE
from reclust_spark.gmvae.objective import Batch

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


def set_mixture(model: GMVAE, z: Floats, labels: NDArray[np.intp]) -> None:
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
