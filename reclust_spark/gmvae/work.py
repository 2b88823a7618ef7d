"""What every process of a training does: read its people, agree on the columns, train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from reclust_spark.config import GmvaeOptions
from reclust_spark.errors import InputError
from reclust_spark.gmvae import parquet, store
from reclust_spark.gmvae.columns import (
    GAUSSIAN,
    GREY,
    Column,
    Summary,
    centre_and_scale,
    describe,
    merge,
    summarise,
    targets_of,
)
from reclust_spark.gmvae.group import Group
from reclust_spark.gmvae.network import GMVAE, Shape
from reclust_spark.gmvae.shard import Shard
from reclust_spark.gmvae.store import FileKeeper
from reclust_spark.gmvae.train import Epoch, Forgetful, Keeper, train
from reclust_spark.onevsall.predict import Question, inputs_of
from reclust_spark.prepare.hashing import row_hashes


class Job(NamedTuple):
    """A training, as it is sent to its processes.

    Attributes
    ----------
    hands : list of list of RowGroup
        What each process reads.
    questions : tuple of Question
    slot_positions : tuple of int
        The position that each slot of `features` belongs to.
    options : GmvaeOptions
    checkpoints : str or None
        A folder that all processes reach.
    """

    hands: list[list[parquet.RowGroup]]
    questions: tuple[Question, ...]
    slot_positions: tuple[int, ...]
    options: GmvaeOptions
    checkpoints: str | None


class Result(NamedTuple):
    """What a training gave.

    Attributes
    ----------
    model : bytes
        Of `store.to_bytes`.
    epochs : list of Epoch
    bound : float
        The best held-out bound, in nats a person.
    rows, silent_rows : int
        People, and those of them who answered nothing.
    """

    model: bytes
    epochs: list[Epoch]
    bound: float
    rows: int
    silent_rows: int


def run(job: Job, group: Group, on_epoch: Callable[[Epoch], None] = lambda epoch: None) -> Result:
    """Do this process's part of a training.

    Parameters
    ----------
    job : Job
    group : Group
    on_epoch : callable
        Called by rank 0.

    Raises
    ------
    InputError, RunError
        In all processes together.
    """
    hand = job.hands[group.rank]
    people = parquet.read(hand, len(job.slot_positions), len(job.questions))
    inputs = inputs_of(people.answers, job.questions)
    summary = _agreed(group, people.features, inputs, job.questions)
    numeric = GREY if job.options.numeric == "grey" else GAUSSIAN
    columns = describe(summary, job.questions, job.slot_positions, numeric)
    keep_out = row_hashes(people.ids) < np.uint64(job.options.held_out * 2**64)
    shard = Shard(people.features, targets_of(people.features, inputs, columns), keep_out)
    model = new_model(summary, columns, job.options)
    keeper: Keeper = FileKeeper(job.checkpoints) if job.checkpoints else Forgetful()
    found = train(model, shard, group, job.options, keeper, on_epoch)
    silent = group.gather(int(np.isnan(inputs).all(axis=1).sum()))
    return Result(store.to_bytes(found.model), found.epochs, found.bound, summary.rows, sum(silent))


def new_model(
    summary: Summary, columns: Sequence[Column], options: GmvaeOptions
) -> GMVAE:
    """Return a model with the random parameters of the seed.

    Parameters
    ----------
    summary : Summary
    columns : sequence of Column
    options : GmvaeOptions
    """
    shape = Shape(
        len(summary.mean),
        options.k,
        options.n_latent,
        tuple(options.hidden),
        options.objective != "vade",
    )
    centre, scale = centre_and_scale(summary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return GMVAE(shape, columns, centre, scale)


def _agreed(
    group: Group, features: np.ndarray, inputs: np.ndarray, questions: tuple[Question, ...]
) -> Summary:
    """Return the summary of all processes' people; an error of one is raised by all."""
    found: Summary | InputError
    try:
        found = summarise(features, inputs, questions)
    except InputError as error:
        found = error
    everyone = group.gather(found)
    for one in everyone:
        if isinstance(one, InputError):
            raise one
    return merge(everyone)
