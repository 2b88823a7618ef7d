"""A process's share of the people: what it trains on, what it holds out, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reclust_spark.gmvae.columns import Floats
from reclust_spark.gmvae.objective import Batch


class Shard(NamedTuple):
    """The people of one process.

    Attributes
    ----------
    features : (n, slots) float32 array
    targets : (n, columns) float32 array
        NaN where missing.
    held_out : (n,) bool array
        Who is never trained on.
    """

    features: Floats
    targets: Floats
    held_out: NDArray[np.bool_]


def shares(n_rows: list[int], batch_size: int) -> NDArray[np.intp]:
    """Return how many rows each process has in each step of an epoch, shape (steps, processes).

    All processes take the same number of steps, and each person is in one of them: a process with
    fewer people has smaller batches.

    Parameters
    ----------
    n_rows : list of int
        That each process trains on.
    batch_size : int
        The most in a batch of one process.
    """
    steps = -(-max(n_rows) // batch_size)
    ends = np.arange(steps + 1)[:, None] * np.array(n_rows)[None, :] // max(steps, 1)
    return np.diff(ends, axis=0)


def epoch(
    shard: Shard, sizes: NDArray[np.intp], steps: range, seed: int, device: torch.device
) -> Iterator[Batch]:
    """Yield some batches of a pass over the people who are trained on.

    Parameters
    ----------
    shard : Shard
    sizes : ndarray of int, shape (steps of the pass,)
        Of its batches; together they are everyone, once.
    steps : range
        Of the pass: the batches wanted.
    seed : int
        Of the order.
    device : torch.device
    """
    rows = np.flatnonzero(~shard.held_out)
    order = rows[np.random.default_rng(seed).permutation(len(rows))]
    ends = np.concatenate([[0], sizes.cumsum()])
    for step in steps:
        yield take(shard, order[ends[step] : ends[step + 1]], device)


def held_out(shard: Shard, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Yield the people held out, in their own order."""
    rows = np.flatnonzero(shard.held_out)
    for at in range(0, len(rows), batch_size):
        yield take(shard, rows[at : at + batch_size], device)


def take(shard: Shard, rows: NDArray[np.intp], device: torch.device) -> Batch:
    """Return some people as tensors."""
    return Batch(
        torch.as_tensor(shard.features[rows]).to(device),
        torch.as_tensor(shard.targets[rows]).to(device),
    )
