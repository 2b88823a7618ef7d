"""What every process of a training does: read its people, agree on the columns, train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

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
from reclust_spark.gmvae.rounds import Forgetful, Keeper, Round
from reclust_spark.gmvae.shard import Shard
from reclust_spark.gmvae.store import FileKeeper
from reclust_spark.gmvae.train import train
from reclust_spark.onevsall.predict import Question, inputs_of
from reclust_spark.prepare.hashing import row_hashes
from reclust_spark.warehouse.names import FEATURES

MOST_HELD_OUT = 20_000
"""So many tell the bound within a tenth of a nat, however large the population."""


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
    rounds : list of Round
    bound : float
        The best held-out bound, in nats a person.
    rows, silent_rows : int
        People, and those of them who answered nothing.
    """

    model: bytes
    rounds: list[Round]
    bound: float
    rows: int
    silent_rows: int


def run(job: Job, group: Group, on_round: Callable[[Round], None] = lambda done: None) -> Result:
    """Do this process's part of a training.

    Parameters
    ----------
    job : Job
    group : Group
    on_round : callable
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
    keep_out = _held_out(group, people.ids, summary.rows, job.options.held_out)
    shard = Shard(people.features, targets_of(people.features, inputs, columns), keep_out)
    model = new_model(summary, columns, job.options)
    keeper: Keeper = FileKeeper(job.checkpoints) if job.checkpoints else Forgetful()
    found = train(model, shard, group, job.options, keeper, on_round)
    silent = group.gather(int(np.isnan(inputs).all(axis=1).sum()))
    return Result(store.to_bytes(found.model), found.rounds, found.bound, summary.rows, sum(silent))


def _held_out(group: Group, ids: NDArray[np.object_], rows: int, share: float) -> NDArray[np.bool_]:
    """Choose whom this process never trains on, by a hash of the row_id; few of a large table."""
    share = min(share, MOST_HELD_OUT / max(rows, 1))
    chosen = row_hashes(ids) < np.uint64(share * 2**64)
    total = sum(group.gather(int(chosen.sum())))
    if not 0 < total < rows:
        raise InputError(
            f"table {FEATURES.name}", f"{rows} people, of whom {total} are held out",
            "people to train on, and others to tell by when to stop",
            "use more people, or another share gmvae.held_out",
        )  # fmt: skip
    return chosen


def new_model(summary: Summary, columns: Sequence[Column], options: GmvaeOptions) -> GMVAE:
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
