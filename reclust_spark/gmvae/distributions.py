"""Densities, divergences and samples of the GMVAE, each a function of tensors.

All broadcast over leading dimensions; what a person's answers are compared with may carry one more
of them, the cluster's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LOG_2PI = math.log(2 * math.pi)


def gaussian_log_prob(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return log N(x; mean, exp(log_variance)), elementwise."""
    return -0.5 * (LOG_2PI + log_variance + (x - mean).square() * torch.exp(-log_variance))


def gaussian_kl(
    mean: Tensor, log_variance: Tensor, mean_0: Tensor, log_variance_0: Tensor
) -> Tensor:
    """Return KL(N(mean, …) ‖ N(mean_0, …)) of diagonal Gaussians, over the last dimension."""
    ratio = torch.exp(log_variance - log_variance_0)
    apart = (mean - mean_0).square() * torch.exp(-log_variance_0)
    return 0.5 * (log_variance_0 - log_variance + ratio + apart - 1).sum(-1)


def distance_to_each(
    mean: Tensor, variance: Tensor | float, mean_0: Tensor, log_variance_0: Tensor
) -> Tensor:
    """Return the expected squared distance to each of many Gaussians, in units of their variances.

    Parameters
    ----------
    mean, variance : Tensor, shape (n, latent)
        Of what is measured; 0 for points.
    mean_0, log_variance_0 : Tensor, shape (clusters, latent)

    Returns
    -------
    Tensor, shape (n, clusters)

    Notes
    -----
    The square is multiplied out, so that three matrix products do what would else need an
    (n, clusters, latent) tensor; from a common middle, which keeps the digits.
    """
    middle = mean_0.mean(0).detach()
    mean, mean_0 = mean - middle, mean_0 - middle
    precision = torch.exp(-log_variance_0)
    whole = (variance + mean.square()) @ precision.T - 2 * mean @ (mean_0 * precision).T
    return whole + (mean_0.square() * precision).sum(-1)


def categorical_kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(q ‖ p) of categoricals, from log probabilities over the last dimension."""
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def sample_gaussian(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """Draw once from each diagonal Gaussian, by reparametrisation (Kingma & Welling 2014)."""
    noise = torch.empty_like(mean).normal_(generator=generator)
    return mean + torch.exp(0.5 * log_variance) * noise


def sample_concrete(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw from the Concrete distribution (Maddison et al. 2017; Jang et al. 2017).

    Parameters
    ----------
    logits : Tensor, shape (..., n_clusters)
    temperature : float
        Towards 0 the draws become one-hot.
    generator : torch.Generator

    Returns
    -------
    Tensor, shape (..., n_clusters)
        On the simplex, differentiable in the logits.
    """
    # minus the logarithm of an exponential draw is a Gumbel draw; 0 is kept off its logarithm
    exponential = torch.empty_like(logits).exponential_(generator=generator)
    gumbel = -torch.log(exponential.clamp_min(torch.finfo(logits.dtype).tiny))
    return torch.softmax((logits + gumbel) / temperature, dim=-1)


def sample_categorical(log_q: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a cluster from each categorical; shape of `log_q` without its last dimension."""
    return torch.multinomial(log_q.exp(), 1, generator=generator).squeeze(-1)


def bernoulli_log_prob(x: Tensor, logit: Tensor) -> Tensor:
    """Return x log p + (1 − x) log(1 − p); x in [0, 1] may be a share, such as a grey value."""
    return x * logit - F.softplus(logit)


def ordinal_log_prob(level: Tensor, score: Tensor, thresholds: Tensor) -> Tensor:
    """Return log P(level) under cumulative logits: P(answer ≤ l) = σ(threshold_l − score).

    Parameters
    ----------
    level : int64 Tensor, shape (..., n_questions)
        From 0.
    score : Tensor, shape (..., n_questions)
    thresholds : Tensor, shape (n_questions, n_levels + 1)
        Rising; the first is −∞'s stand-in and the last ∞'s, see `ordinal_thresholds`.

    Returns
    -------
    Tensor, shape (..., n_questions)

    Notes
    -----
    McCullagh (1980). With a > b, log(σ(a) − σ(b)) is computed as
    −softplus(−a) − softplus(b) + log(1 − exp(b − a)), which loses no digits in the tails.
    """
    question = torch.arange(thresholds.shape[0], device=thresholds.device)
    upper, lower = thresholds[question, level + 1], thresholds[question, level]
    within = torch.log(-torch.expm1(lower - upper))
    return -F.softplus(score - upper) - F.softplus(lower - score) + within


ENDLESS = 1e4
"""Stands for ∞ among thresholds: far beyond any score, and still a number whose gradient is 0."""


def ordinal_thresholds(first: Tensor, steps: Tensor, n_levels: Tensor) -> Tensor:
    """Return rising thresholds with both ends.

    Parameters
    ----------
    first : Tensor, shape (n_questions,)
        Between the two lowest levels.
    steps : Tensor, shape (n_questions, most_levels − 2)
        Softplus of these lies between a threshold and the next.
    n_levels : int64 Tensor, shape (n_questions,)
        From its number on, a question's thresholds are all the upper end's.

    Returns
    -------
    Tensor, shape (n_questions, most_levels + 1)
    """
    inner = torch.cat([first[:, None], first[:, None] + F.softplus(steps).cumsum(1)], dim=1)
    end = torch.full_like(first[:, None], ENDLESS)
    place = torch.arange(1, inner.shape[1] + 1, device=inner.device)
    inner = torch.where(place < n_levels[:, None], inner, end)
    return torch.cat([-end, inner, end], dim=1)


def categorical_log_prob(level: Tensor, logits: Tensor) -> Tensor:
    """Return log P(level); `level` (..., n_questions), `logits` (..., n_questions, n_levels)."""
    log_p = torch.log_softmax(logits, dim=-1)
    shape = torch.broadcast_shapes(level.shape, log_p.shape[:-1])
    return log_p.gather(-1, level.expand(shape)[..., None]).squeeze(-1)


def count_log_prob(count: Tensor, log_mean: Tensor, log_size: Tensor) -> Tensor:
    """Return log P(count) under the negative binomial with variance mean + mean² / size."""
    size = torch.exp(log_size)
    log_total = torch.logaddexp(log_size, log_mean)
    return (
        torch.lgamma(count + size)
        - torch.lgamma(size)
        - torch.lgamma(count + 1)
        + size * (log_size - log_total)
        + count * (log_mean - log_total)
    )
