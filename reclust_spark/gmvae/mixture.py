"""Starts: nearly an autoencoder, then a Gaussian mixture of where it puts people.

From random parameters the mixture and the latent space have to find each other, and often all
people end in a few clusters. A latent space that already holds what tells people apart, with a
mixture fitted to it, is a start that does not (VaDE, Jiang et al. 2017, section 3).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reclust_spark.gmvae import distributions as d
from reclust_spark.gmvae.network import GMVAE
from reclust_spark.gmvae.objective import Batch

TEACHING_STEPS = 300


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
    zero = torch.zeros(())
    apart = d.gaussian_kl(*q_z, zero.to(z), zero.to(z))
    return (kl * apart - told.sum(-1)).sum(), told


def start(model: GMVAE, hidden: Tensor, seed: int) -> None:
    """Set the mixture, and q(y|x), from people's places after the warm start.

    Parameters
    ----------
    model : GMVAE
    hidden : Tensor, shape (n, width)
        h(x) of a sample, without gradients.
    seed : int
    """
    from sklearn.mixture import GaussianMixture

    with torch.no_grad():
        places = model.q_z(hidden).mean
    k = min(model.shape.n_clusters, len(places))
    found = GaussianMixture(k, covariance_type="diag", random_state=seed, n_init=5, reg_covar=1e-4)
    found.fit(places.double().cpu().numpy())
    with torch.no_grad():
        model.prior_mean[:k] = torch.as_tensor(found.means_, dtype=torch.float32)
        model.prior_log_variance[:k] = torch.as_tensor(
            np.log(found.covariances_), dtype=torch.float32
        )
        if not model.shape.joint:
            model.prior_logits[:k] = torch.as_tensor(np.log(found.weights_), dtype=torch.float32)
    if model.shape.joint:
        _teach(model, hidden, model.p_y_given_z(places).exp().detach())


def _teach(model: GMVAE, hidden: Tensor, shares: Tensor) -> None:
    """Let q(y|x)'s layer say what the mixture says, by cross-entropy on the sample."""
    layer = model.y_logits
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(TEACHING_STEPS):
        optimizer.zero_grad()
        F.cross_entropy(layer(hidden), shares).backward()
        optimizer.step()
