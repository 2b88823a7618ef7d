"""Three objectives behind one interface, and the bounds that models are compared by.

=========  =====================================================================================
concrete   y is drawn from a Concrete distribution: one pass through the decoder, whatever K
exact      the sum over all K clusters, weighted by q(y|x) (Kingma et al. 2014, M2; Shu 2016)
vade       q(z|x) does not see y and q(y|x) = p(y|z): one pass (Jiang et al. 2017)
=========  =====================================================================================

Each maximises E[log p(x|z)] − KL(q(z|x,y) ‖ p(z|y)) − KL(q(y|x) ‖ p(y)), the KLs in closed form.
Under a Concrete y that is no bound on log p(x), since a mixed y is no cluster; what is *reported*
is therefore always taken at a hard y or summed over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from reclust_spark.gmvae import distributions as d
from reclust_spark.gmvae.network import GMVAE


class Batch(NamedTuple):
    """Some people.

    Attributes
    ----------
    features : Tensor, shape (n, slots)
    targets : Tensor, shape (n, columns)
        NaN where missing.
    """

    features: Tensor
    targets: Tensor


class Terms(NamedTuple):
    """What an objective is made of, in nats.

    Attributes
    ----------
    told : Tensor, shape (n, columns)
        Each question's weighted log likelihood.
    kl_z, kl_y : Tensor, shape (n,)
    """

    told: Tensor
    kl_z: Tensor
    kl_y: Tensor

    @property
    def bound(self) -> Tensor:
        """Return the evidence lower bound of each person, shape (n,)."""
        return self.told.sum(-1) - self.kl_z - self.kl_y


Objective = Callable[[GMVAE, Batch, float, torch.Generator], Terms]


def concrete(model: GMVAE, batch: Batch, temperature: float, generator: torch.Generator) -> Terms:
    """Return the terms for one Concrete draw of y."""
    hidden = model.encode(batch.features)
    log_q = model.q_y(hidden)
    y = d.sample_concrete(log_q, temperature, generator)
    return _given_y(model, hidden, log_q, y, batch, generator)


def exact(model: GMVAE, batch: Batch, temperature: float, generator: torch.Generator) -> Terms:
    """Return the terms summed over all clusters; one draw of z for each."""
    hidden = model.encode(batch.features)
    log_q = model.q_y(hidden)
    q_z, prior = model.q_z_each(hidden), model.p_z()
    z = d.sample_gaussian(*q_z, generator)
    share = log_q.exp().T
    told = (share[..., None] * model.log_likelihood(z, batch.targets)).sum(0)
    apart = d.gaussian_kl(*q_z, prior.mean[:, None], prior.log_variance[:, None])
    return Terms(told, (share * apart).sum(0), d.categorical_kl(log_q, model.p_y()))


def vade(model: GMVAE, batch: Batch, temperature: float, generator: torch.Generator) -> Terms:
    """Return the terms of VaDE, whose q(y|x) is p(y|z) at the z that was drawn."""
    q_z = model.q_z(model.encode(batch.features))
    z = d.sample_gaussian(*q_z, generator)
    told = model.log_likelihood(z, batch.targets)
    log_q = model.p_y_given_z(z)
    apart = (log_q.exp() * model.kl_to_each(q_z)).sum(-1)
    return Terms(told, apart, d.categorical_kl(log_q, model.p_y()))


OBJECTIVES: dict[str, Objective] = {"concrete": concrete, "exact": exact, "vade": vade}


def bound(model: GMVAE, batch: Batch, generator: torch.Generator) -> Tensor:
    """Return a lower bound on each person's log p(x), shape (n,): one draw, of a hard y.

    VaDE's is marginalised over y instead: log p(z) is a sum over the mixture.
    """
    hidden = model.encode(batch.features)
    if not model.shape.joint:
        q_z = model.q_z(hidden)
        z = d.sample_gaussian(*q_z, generator)
        told = model.log_likelihood(z, batch.targets).sum(-1)
        log_q_z = d.gaussian_log_prob(z, *q_z).sum(-1)
        return told + torch.logsumexp(model.log_joint(z), dim=-1) - log_q_z
    log_q = model.q_y(hidden)
    y = _one_hot(d.sample_categorical(log_q, generator), model)
    return _given_y(model, hidden, log_q, y, batch, generator).bound


def importance_bound(
    model: GMVAE, batch: Batch, samples: int, generator: torch.Generator
) -> Tensor:
    """Return the tighter bound of several draws of a hard y and z (Burda et al. 2016), shape (n,).

    Parameters
    ----------
    model : GMVAE
    batch : Batch
    samples : int
        1 gives a bound of the same mean as `bound`; more come closer to log p(x).
    generator : torch.Generator
    """
    hidden = model.encode(batch.features)
    found = []
    for _ in range(samples):
        if model.shape.joint:
            log_q = model.q_y(hidden)
            cluster = d.sample_categorical(log_q, generator)
            y = _one_hot(cluster, model)
            q_z, p_z = model.q_z(hidden, y), model.p_z(y)
            z = d.sample_gaussian(*q_z, generator)
            prior = d.gaussian_log_prob(z, *p_z).sum(-1) + model.p_y()[cluster]
            log_q_y = log_q.gather(-1, cluster[:, None]).squeeze(-1)
        else:
            q_z = model.q_z(hidden)
            z = d.sample_gaussian(*q_z, generator)
            prior, log_q_y = torch.logsumexp(model.log_joint(z), dim=-1), 0.0
        told = model.log_likelihood(z, batch.targets).sum(-1)
        found.append(told + prior - d.gaussian_log_prob(z, *q_z).sum(-1) - log_q_y)
    return torch.logsumexp(torch.stack(found), dim=0) - math.log(samples)


def clusters(model: GMVAE, features: Tensor) -> tuple[Tensor, Tensor]:
    """Return q(y|x), shape (n, clusters), and people's places in the latent space, (n, latent).

    A place is the mean of q(z|x,y), averaged over q(y|x).
    """
    hidden = model.encode(features)
    if not model.shape.joint:
        z = model.q_z(hidden).mean
        return model.p_y_given_z(z).exp(), z
    y = model.q_y(hidden).exp()
    return y, model.q_z(hidden, y).mean


def _given_y(
    model: GMVAE, hidden: Tensor, log_q: Tensor, y: Tensor, batch: Batch, generator: torch.Generator
) -> Terms:
    q_z = model.q_z(hidden, y)
    z = d.sample_gaussian(*q_z, generator)
    told = model.log_likelihood(z, batch.targets)
    return Terms(told, d.gaussian_kl(*q_z, *model.p_z(y)), d.categorical_kl(log_q, model.p_y()))


def _one_hot(cluster: Tensor, model: GMVAE) -> Tensor:
    return torch.nn.functional.one_hot(cluster, model.shape.n_clusters).to(model.prior_mean.dtype)
