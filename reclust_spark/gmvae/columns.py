"""What the decoder is to say of each question: its distribution, its targets, its weight.

Every question has the same influence, as in `features`: its log likelihood is divided by the nats
that it can tell at most (the entropy of its answers; for a number, from the spread of everyone to
the least spread that the model may claim), and these weights are 1 on average. Where all questions
are of one kind and spread, the weights are all 1 and bounds are bounds on log p(x) itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reclust_spark.errors import InputError
from reclust_spark.onevsall.predict import Question
from reclust_spark.warehouse.names import COUNT, NOMINAL, NUMERIC, ORDINAL

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]

GAUSSIAN, NEGATIVE_BINOMIAL, BERNOULLI, CUMULATIVE, CATEGORICAL = (
    "gaussian",
    "negative binomial",
    "bernoulli",
    "cumulative logits",
    "categorical",
)
GREY = "bernoulli of a share"
"""Of numbers that share one range, such as the pixels of images: (x − least) / (most − least)."""

LEAST_SPREAD = 0.2
"""A Gaussian may claim no less than this share of everyone's spread."""
RARE = 0.01
"""No entropy is taken to be less than that of an answer which one person in a hundred gives."""


class Column(NamedTuple):
    """How a question is told.

    Attributes
    ----------
    name : str
        The source column.
    position : int
        In `answers`.
    slot : int
        In `features`, of a number; -1 for others.
    family : str
    n_levels : int
        0 for numbers and counts.
    centre, scale : float
        A number's target is (feature − centre) / scale; a count's mean is predicted in units of
        `scale`.
    weight : float
        Of its log likelihood.
    start : tuple of float
        Where the decoder starts: what everybody's answers give.
    """

    name: str
    position: int
    slot: int
    family: str
    n_levels: int
    centre: float
    scale: float
    weight: float
    start: tuple[float, ...]


class Summary(NamedTuple):
    """What is known of some people's answers; those of several shards are merged by `merge`.

    Attributes
    ----------
    rows : int
    answered : (positions,) float64 array
        How many people answered each question.
    mean, spread : (slots,) float64 arrays
        Of the features: means, and sums of squared distances from them.
    least, most : (slots,) float64 arrays
    level_counts : (positions, most levels) float64 array
    count_sums : (positions,) float64 array
        Sums of the answers to counts; 0 for others.
    """

    rows: int
    answered: Sums
    mean: Sums
    spread: Sums
    least: Sums
    most: Sums
    level_counts: Sums
    count_sums: Sums


def summarise(features: Floats, inputs: Floats, questions: Sequence[Question]) -> Summary:
    """Summarise a shard.

    Parameters
    ----------
    features : (n, slots) float32 array
        Encoded for distance; finite.
    inputs : (n, positions) float32 array
        Own units, or the index of the level; NaN where missing: `predict.inputs_of`.
    questions : sequence of Question

    Raises
    ------
    InputError
        If an answer is impossible for its question.
    """
    check(inputs, questions)
    widest = max([len(q.levels or ()) for q in questions], default=0)
    counts = np.zeros((len(questions), widest))
    sums = np.zeros(len(questions))
    for i, question in enumerate(questions):
        given = inputs[:, i][~np.isnan(inputs[:, i])]
        if question.levels is not None:
            counts[i] = np.bincount(given.astype(np.intp), minlength=widest)
        elif question.kind == COUNT:
            sums[i] = given.sum(dtype=np.float64)
    slots = features.shape[1]
    if not len(features):
        none = np.zeros(slots)
        return Summary(0, np.zeros(len(questions)), none, none, none + np.inf, none - np.inf,
                       counts, sums)  # fmt: skip
    mean = features.mean(axis=0, dtype=np.float64)
    spread = np.array(
        [np.square(features[:, j] - mean[j], dtype=np.float64).sum() for j in range(slots)]
    )
    answered = (~np.isnan(inputs)).sum(axis=0).astype(np.float64)
    least, most = features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64)
    return Summary(len(features), answered, mean, spread, least, most, counts, sums)


def merge(parts: Sequence[Summary]) -> Summary:
    """Merge shards' summaries; means and spreads by Chan, Golub & LeVeque (1983)."""
    whole = parts[0]
    for part in parts[1:]:
        rows = whole.rows + part.rows
        share = part.rows / rows if rows else 0.0
        apart = part.mean - whole.mean
        whole = Summary(
            rows,
            whole.answered + part.answered,
            whole.mean + share * apart,
            whole.spread + part.spread + share * whole.rows * apart**2,
            np.minimum(whole.least, part.least),
            np.maximum(whole.most, part.most),
            whole.level_counts + part.level_counts,
            whole.count_sums + part.count_sums,
        )
    return whole


def check(inputs: Floats, questions: Sequence[Question]) -> None:
    """Refuse answers that no distribution of their question could give.

    Raises
    ------
    InputError
        Naming the column and one such answer.
    """
    for i, question in enumerate(questions):
        given = inputs[:, i][~np.isnan(inputs[:, i])]
        if question.levels is not None:
            allowed = f"the places of its {len(question.levels)} levels, from 0"
            wrong = given[(given < 0) | (given >= len(question.levels)) | (given % 1 != 0)]
        elif question.kind == COUNT:
            allowed = "whole numbers from 0"
            wrong = given[(given < 0) | (given % 1 != 0) | np.isinf(given)]
        else:
            allowed = "finite numbers"
            wrong = given[np.isinf(given)]
        if len(wrong):
            raise InputError(
                f"column {question.source_column!r} ({question.kind})",
                f"{len(wrong):,} answers are impossible, such as {wrong[0]:g}",
                allowed,
                "mend the table, or give the column another kind in the codebook, and run "
                "`reclust prepare` again",
            )


def describe(
    summary: Summary,
    questions: Sequence[Question],
    slot_positions: Sequence[int],
    numeric: str = GAUSSIAN,
) -> tuple[Column, ...]:
    """Decide how each question is told.

    Parameters
    ----------
    summary : Summary
        Of everyone who is trained on.
    questions : sequence of Question
    slot_positions : sequence of int
        The position that each slot of `features` belongs to.
    numeric : str
        GAUSSIAN, or GREY for numbers that share one range.

    Returns
    -------
    tuple of Column
        In the order of their families, and within one of position.
    """
    scale = _common_scale(summary)
    slots = {position: slot for slot, position in reversed(list(enumerate(slot_positions)))}
    numbers = [slots[i] for i, q in enumerate(questions) if q.kind == NUMERIC]
    least = min((summary.least[j] for j in numbers), default=0.0)
    most = max((summary.most[j] for j in numbers), default=1.0)
    told = []
    for i, question in enumerate(questions):
        if question.kind == NUMERIC and numeric == GREY:
            reach = float(most - least) or 1.0
            share = (summary.mean[slots[i]] - least) / reach
            told.append(Column(question.source_column, i, slots[i], GREY, 0, float(least), reach,
                               math.log(2), (_logit(share),)))  # fmt: skip
        elif question.kind == NUMERIC:
            centre = float(summary.mean[slots[i]])
            told.append(Column(question.source_column, i, slots[i], GAUSSIAN, 0, centre, scale,
                               -math.log(LEAST_SPREAD), (0.0,)))  # fmt: skip
        elif question.kind == COUNT:
            mean = float(summary.count_sums[i] / max(summary.answered[i], 1.0)) or 1.0
            told.append(Column(question.source_column, i, slots[i], NEGATIVE_BINOMIAL, 0, 0.0,
                               mean, -math.log(LEAST_SPREAD), (0.0,)))  # fmt: skip
        else:
            told.append(_discrete(i, question, summary.level_counts[i]))
    return _weighted(told, questions)


def _discrete(position: int, question: Question, counts: Sums) -> Column:
    n_levels = len(question.levels or ())
    # half a person at each level: a level of the codebook that nobody gave has no logarithm
    shares = (counts[:n_levels] + 0.5) / (counts[:n_levels].sum() + 0.5 * n_levels)
    entropy = max(float(-(shares * np.log(shares)).sum()), _entropy(RARE))
    if question.kind == NOMINAL and n_levels > 2:
        family, start = CATEGORICAL, tuple(np.log(shares).tolist())
    elif question.kind == ORDINAL and n_levels > 2:
        below = np.clip(shares.cumsum()[:-1], 1e-6, 1 - 1e-6)
        family, start = CUMULATIVE, tuple(np.log(below / (1 - below)).tolist())
    else:
        family, start = BERNOULLI, (_logit(float(shares[-1])),)
    return Column(question.source_column, position, -1, family, n_levels, 0.0, 1.0, entropy, start)


def _weighted(told: list[Column], questions: Sequence[Question]) -> tuple[Column, ...]:
    """Turn what each can tell, a multi-select's columns together, into weights of mean 1."""
    blocks: dict[str, float] = {}
    for column in told:
        block = questions[column.position].block_id
        if block is not None:
            blocks[block] = blocks.get(block, 0.0) + column.weight
    tells = [blocks.get(questions[c.position].block_id or "", c.weight) for c in told]
    weights = 1 / np.array(tells) if told else np.zeros(0)
    weights /= weights.mean() if told else 1.0
    order = (GAUSSIAN, GREY, NEGATIVE_BINOMIAL, BERNOULLI, CUMULATIVE, CATEGORICAL)
    ready = [c._replace(weight=float(w)) for c, w in zip(told, weights, strict=True)]
    return tuple(sorted(ready, key=lambda c: (order.index(c.family), c.n_levels, c.position)))


def _common_scale(summary: Summary) -> float:
    """Return one spread for all slots: under scaling none their sizes are meant."""
    return float(np.sqrt(summary.spread.sum() / max(summary.rows * len(summary.spread), 1))) or 1.0


def centre_and_scale(summary: Summary) -> tuple[Floats, float]:
    """Return what the encoder takes off the features, and what it divides them by."""
    return summary.mean.astype(np.float32), _common_scale(summary)


def targets_of(features: Floats, inputs: Floats, columns: Sequence[Column]) -> Floats:
    """Return what the decoder is held against.

    Parameters
    ----------
    features : (n, slots) float32 array
    inputs : (n, positions) float32 array
    columns : sequence of Column

    Returns
    -------
    (n, columns) float32 array
        Standardised numbers, counts, or places of levels, in the order of the columns; NaN where
        the answer is missing.
    """
    targets = inputs[:, [column.position for column in columns]].astype(np.float32)
    for i, column in enumerate(columns):
        if column.family in (GAUSSIAN, GREY):
            told = (features[:, column.slot] - column.centre) / column.scale
            targets[:, i] = np.where(np.isnan(targets[:, i]), np.nan, told)
    return targets


def _entropy(share: float) -> float:
    return -share * math.log(share) - (1 - share) * math.log(1 - share)


def _logit(share: float) -> float:
    share = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(share / (1 - share))
