"""The network: q(y|x), q(z|x,y), p(z|y), p(x|z).

y is a person's cluster, z their place in the latent space, x their answers.

    p(y) = Cat(π)    p(z|y) = N(μ_y, σ²_y)    p(x|z) = Π over questions of their own families
    q(y|x) = Cat(softmax(W h(x)))    q(z|x,y) = N(A h(x) + B y, exp(C h(x) + D y))

With VaDE, q(z|x) does not see y, and q(y|x) is p(y|z): see `objective`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reclust_spark.gmvae import distributions as d
from reclust_spark.gmvae.columns import (
    BERNOULLI,
    CATEGORICAL,
    CUMULATIVE,
    GAUSSIAN,
    GREY,
    LEAST_SPREAD,
    NEGATIVE_BINOMIAL,
    Column,
)


class Shape(NamedTuple):
    """What decides the network's parameters.

    Attributes
    ----------
    n_slots : int
        The width of `features`.
    n_clusters : int
    n_latent : int
    hidden : tuple of int
        Widths of the encoder's layers; the decoder has them in reverse.
    joint : bool
        q(z|x,y) sees y, and the network gives q(y|x).
    """

    n_slots: int
    n_clusters: int
    n_latent: int
    hidden: tuple[int, ...]
    joint: bool


class Gaussian(NamedTuple):
    """A diagonal Gaussian over the last dimension."""

    mean: Tensor
    log_variance: Tensor


class GMVAE(nn.Module):
    """A Gaussian mixture variational autoencoder for mixed survey answers.

    Parameters
    ----------
    shape : Shape
    columns : sequence of Column
    centre : (slots,) float32 array
    scale : float
        What is taken off the features, and what they are then divided by.
    """

    def __init__(
        self, shape: Shape, columns: Sequence[Column], centre: np.ndarray, scale: float
    ) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("centre", torch.as_tensor(centre))
        self.register_buffer("scale", torch.tensor(float(scale)))
        k, n_latent = shape.n_clusters, shape.n_latent
        self.encoder = _layers((shape.n_slots, *shape.hidden))
        width = shape.hidden[-1]
        self.z_mean = nn.Linear(width, n_latent)
        self.z_log_variance = nn.Linear(width, n_latent)
        if shape.joint:
            self.y_logits = nn.Linear(width, k)
            self.z_mean_of_y = nn.Parameter(torch.zeros(k, n_latent))
            self.z_log_variance_of_y = nn.Parameter(torch.zeros(k, n_latent))
        self.prior_logits = nn.Parameter(torch.zeros(k), requires_grad=not shape.joint)
        self.prior_mean = nn.Parameter(torch.randn(k, n_latent))
        self.prior_log_variance = nn.Parameter(torch.zeros(k, n_latent))
        self.decoder = _layers((n_latent, *reversed(shape.hidden)))
        self.heads = Heads(columns, shape.hidden[0])

    def encode(self, features: Tensor) -> Tensor:
        """Return h(x), shape (n, width), of features as the table has them."""
        return self.encoder((features - self.centre) / self.scale)

    def q_y(self, hidden: Tensor) -> Tensor:
        """Return log q(y|x), shape (n, clusters)."""
        return torch.log_softmax(self.y_logits(hidden), dim=-1)

    def q_z(self, hidden: Tensor, y: Tensor | None = None) -> Gaussian:
        """Return q(z|x,y) for shares of clusters `y` (n, clusters), or q(z|x)."""
        mean, log_variance = self.z_mean(hidden), self.z_log_variance(hidden)
        if y is not None:
            mean = mean + y @ self.z_mean_of_y
            log_variance = log_variance + y @ self.z_log_variance_of_y
        return Gaussian(mean, log_variance)

    def q_z_each(self, hidden: Tensor) -> Gaussian:
        """Return q(z|x,y) for every cluster, shape (clusters, n, latent)."""
        mean, log_variance = self.z_mean(hidden), self.z_log_variance(hidden)
        return Gaussian(
            mean + self.z_mean_of_y[:, None], log_variance + self.z_log_variance_of_y[:, None]
        )

    def p_y(self) -> Tensor:
        """Return log p(y), shape (clusters,)."""
        return torch.log_softmax(self.prior_logits, dim=-1)

    def p_z(self, y: Tensor | None = None) -> Gaussian:
        """Return p(z|y) for shares of clusters `y`, or of every cluster: (clusters, latent)."""
        if y is None:
            return Gaussian(self.prior_mean, self.prior_log_variance)
        return Gaussian(y @ self.prior_mean, y @ self.prior_log_variance)

    def p_y_given_z(self, z: Tensor) -> Tensor:
        """Return log p(y|z), shape (n, clusters): Bayes' rule on the mixture."""
        return torch.log_softmax(self.log_joint(z), dim=-1)

    def log_joint(self, z: Tensor) -> Tensor:
        """Return log p(z, y) for every cluster, shape (n, clusters)."""
        prior = self.p_z()
        constant = prior.log_variance.sum(-1) + self.shape.n_latent * d.LOG_2PI
        apart = d.distance_to_each(z, 0.0, prior.mean, prior.log_variance)
        return self.p_y() - 0.5 * (constant + apart)

    def kl_to_each(self, q_z: Gaussian) -> Tensor:
        """Return KL(q(z|x) ‖ p(z|y)) for every cluster, shape (n, clusters)."""
        prior = self.p_z()
        apart = d.distance_to_each(q_z.mean, q_z.log_variance.exp(), prior.mean, prior.log_variance)
        spreads = prior.log_variance.sum(-1) - q_z.log_variance.sum(-1, keepdim=True)
        return 0.5 * (spreads + apart - self.shape.n_latent)

    def log_likelihood(self, z: Tensor, targets: Tensor) -> Tensor:
        """Return log p(x|z) of each question, weighted: (..., n, columns); 0 where missing."""
        return self.heads(self.decoder(z), targets)


class Heads(nn.Module):
    """p(x|z): each question by the distribution of its family; missing answers count nothing.

    Parameters
    ----------
    columns : sequence of Column
        In the order of their families.
    width : int
        Of the decoder's last layer.
    """

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.register_buffer("weight", torch.tensor([column.weight for column in columns]))
        self.parts = nn.ModuleList()
        self.ends: list[tuple[int, int]] = []
        at = 0
        while at < len(columns):
            family, n_levels = columns[at].family, columns[at].n_levels
            end = at
            while end < len(columns) and _alike(columns[end], family, n_levels):
                end += 1
            self.parts.append(HEADS[family](columns[at:end], width))
            self.ends.append((at, end))
            at = end

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return weighted log likelihoods, shape (..., n, columns).

        Parameters
        ----------
        hidden : Tensor, shape (..., n, width)
        targets : Tensor, shape (n, columns)
            NaN where missing.
        """
        missing = torch.isnan(targets)
        known = torch.where(missing, 0.0, targets)
        told = [
            head(hidden, known[..., start:end])
            for head, (start, end) in zip(self.parts, self.ends, strict=True)
        ]
        return torch.where(missing, 0.0, torch.cat(told, dim=-1)) * self.weight


def _alike(column: Column, family: str, n_levels: int) -> bool:
    """Tell whether a column shares a head; categoricals do with those of as many levels."""
    same_width = family != CATEGORICAL or column.n_levels == n_levels
    return column.family == family and same_width


class GaussianHead(nn.Module):
    """Numbers: a mean each, and a spread that is the same for everyone."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        self.mean = nn.Linear(width, len(columns))
        self.log_spread = nn.Parameter(torch.zeros(len(columns)))

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return log densities."""
        log_spread = self.log_spread.clamp_min(float(np.log(LEAST_SPREAD)))
        return d.gaussian_log_prob(targets, self.mean(hidden), 2 * log_spread)


class CountHead(nn.Module):
    """Counts: a negative binomial's mean each, in units of the column's own, and its size."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        self.log_mean = nn.Linear(width, len(columns))
        self.log_size = nn.Parameter(torch.zeros(len(columns)))
        units = torch.tensor([column.scale for column in columns])
        self.register_buffer("log_unit", units.log())

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return log probabilities."""
        log_mean = self.log_mean(hidden).clamp(-20.0, 20.0) + self.log_unit
        return d.count_log_prob(targets, log_mean, self.log_size.clamp(-10.0, 10.0))


class BernoulliHead(nn.Module):
    """Yes or no, and shares such as grey values: a logit each."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        self.logit = nn.Linear(width, len(columns))
        _start(self.logit, columns)

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return log probabilities."""
        return d.bernoulli_log_prob(targets, self.logit(hidden))


class CumulativeHead(nn.Module):
    """Ordered levels: a score each, and thresholds that are the same for everyone."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, len(columns), bias=False)
        most = max(column.n_levels for column in columns)
        starts = np.zeros((len(columns), most - 1), dtype=np.float32)
        for i, column in enumerate(columns):
            starts[i, : column.n_levels - 1] = column.start
        steps = np.maximum(np.diff(starts, axis=1), 1e-3)
        self.first = nn.Parameter(torch.tensor(starts[:, 0]))
        self.steps = nn.Parameter(torch.as_tensor(np.log(np.expm1(steps))))
        self.register_buffer("n_levels", torch.tensor([column.n_levels for column in columns]))

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return log probabilities."""
        thresholds = d.ordinal_thresholds(self.first, self.steps, self.n_levels)
        return d.ordinal_log_prob(targets.long(), self.score(hidden), thresholds)


class CategoricalHead(nn.Module):
    """Unordered levels: a logit each, of questions with the same number of levels."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        self.n_levels = columns[0].n_levels
        self.logits = nn.Linear(width, len(columns) * self.n_levels)
        _start(self.logits, columns)

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return log probabilities."""
        logits = self.logits(hidden).unflatten(-1, (-1, self.n_levels))
        return d.categorical_log_prob(targets.long(), logits)


HEADS = {
    GAUSSIAN: GaussianHead,
    GREY: BernoulliHead,
    NEGATIVE_BINOMIAL: CountHead,
    BERNOULLI: BernoulliHead,
    CUMULATIVE: CumulativeHead,
    CATEGORICAL: CategoricalHead,
}


def _start(layer: nn.Linear, columns: Sequence[Column]) -> None:
    """Let the decoder start from what everybody's answers give."""
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([x for column in columns for x in column.start]))


def _layers(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)
