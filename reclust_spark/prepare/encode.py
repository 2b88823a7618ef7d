"""From answers to features in which every question has the same influence.

A feature is ``(transform(answer) − centre) / scale``, cut to ±limit, times weight: exactly what the
feature_map table holds, so that anyone can encode new people from it and question_map:

============  ===========================================================================
transform     of an answer
============  ===========================================================================
identity      itself
log1p         log(1 + answer), for counts (below 0: as 0)
rank          the place of its code among question_map's codes, from 0
indicator     1 where the answer is the slot's level, else 0
============  ===========================================================================

Equal influence: the squared distance between two people drawn at random, summed over a question's
slots, is 2 on average: the variances of its slots add up to 1 in the sample that it is learned
from. A multi-select block is one question. Without more care an answer that one person in ten
thousand gives would lie 100 units away and make an island of its own; no variance is therefore
taken to be less than that of an answer which 1 % give, relative to the slot's range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.prepare.questions import Question
from reclust_spark.prepare.values import Floats
from reclust_spark.warehouse.names import BINARY, COUNT, NOMINAL, ORDINAL

IDENTITY, LOG1P, RANK, INDICATOR = "identity", "log1p", "rank", "indicator"
LIMIT = 3.0
RARE = 0.01
RARE_VARIANCE = RARE * (1 - RARE)


class Slot(NamedTuple):
    """A slot of `features`: a row of the feature_map table.

    Attributes
    ----------
    feature : str
        The column, and for an indicator its level.
    position : int
        The question's position in `answers`.
    level : str or None
        The level of an indicator.
    transform : str
    centre, scale : float
        In the unit of the transformed answer.
    limit : float or None
        In scales; None: no cut.
    weight : float
    """

    feature: str
    position: int
    level: str | None
    transform: str
    centre: float
    scale: float
    limit: float | None
    weight: float


@dataclass(frozen=True)
class Encoder:
    """What was learned, and how to apply it.

    Attributes
    ----------
    questions : tuple of Question
        By position.
    slots : tuple of Slot
    fill : (slots,) float64 array
        The feature of a question's centre, for an answer that no donor can give.
    """

    questions: tuple[Question, ...]
    slots: tuple[Slot, ...]
    fill: Floats

    @property
    def positions(self) -> npt.NDArray[np.intp]:
        """The position that each slot belongs to."""
        return np.array([slot.position for slot in self.slots], dtype=np.intp)

    def features(self, answers: Floats) -> npt.NDArray[np.float32]:
        """Encode answers.

        Parameters
        ----------
        answers : (n, positions) float64 array
            Own units or level indexes, NaN where missing: from `questions.answers_of`.

        Returns
        -------
        (n, slots) float32 array
            NaN where the answer is missing.
        """
        encoded = np.empty((len(answers), len(self.slots)), dtype=np.float32, order="F")
        for i, slot in enumerate(self.slots):
            level = _place(slot, self.questions[slot.position])
            values = transformed(answers[:, slot.position], slot.transform, level)
            values = (values - slot.centre) / slot.scale
            if slot.limit is not None:
                values = np.clip(values, -slot.limit, slot.limit)
            encoded[:, i] = values * slot.weight
        return np.ascontiguousarray(encoded)


def transformed(answers: Floats, transform: str, level: int | None = None) -> Floats:
    """Return transformed answers.

    Parameters
    ----------
    answers : (n,) float64 array
        Own units, or level indexes (so that a rank is the index itself).
    transform : str
    level : int, optional
        Of an indicator.

    Returns
    -------
    (n,) float64 array
        NaN where missing.
    """
    if transform == LOG1P:
        return np.log1p(np.maximum(answers, 0.0))
    if transform == INDICATOR:
        return np.where(np.isnan(answers), np.nan, answers == level)
    return answers


def learn(questions: Sequence[Question], answers: Floats) -> Encoder:
    """Learn the encoding under ``prepare.scaling: question``.

    Parameters
    ----------
    questions : sequence of Question
        Each with at least two distinct answers over all rows.
    answers : (k, positions) float64 array
        The sample, in its own order.

    Returns
    -------
    Encoder
    """
    block_weights = _block_weights(questions)
    slots: list[Slot] = []
    for position, question in enumerate(questions):
        if question.kind == NOMINAL:
            slots += _nominal(question, position)
        elif question.kind in (ORDINAL, BINARY):
            slots.append(_rank(question, position, block_weights))
        else:
            slots.append(_scale(question, position, answers[:, position]))
    return Encoder(tuple(questions), tuple(slots), np.zeros(len(slots)))


def learn_as_is(questions: Sequence[Question], answers: Floats) -> Encoder:
    """Learn next to nothing, under ``prepare.scaling: none``: a feature is the answer itself.

    Parameters
    ----------
    questions : sequence of Question
    answers : (k, positions) float64 array
        The sample; its medians fill what no donor can.

    Returns
    -------
    Encoder
    """
    slots = tuple(
        Slot(question.column, position, None, IDENTITY, 0.0, 1.0, None, 1.0)
        for position, question in enumerate(questions)
    )
    fill = np.array([_median(answers[:, i]) for i in range(len(slots))], dtype=np.float64)
    return Encoder(tuple(questions), slots, fill)


def _place(slot: Slot, question: Question) -> int | None:
    return None if slot.level is None else (question.levels or ()).index(slot.level)


def _shares(question: Question) -> Floats:
    counts = np.asarray(question.counts, dtype=np.float64)
    return counts / counts.sum()


def _nominal(question: Question, position: int) -> list[Slot]:
    shares = _shares(question)
    variance = max(1 - float(np.sum(shares**2)), 2 * RARE_VARIANCE)
    weight = variance**-0.5
    return [
        Slot(f"{question.column}={level}", position, level, INDICATOR, float(p), 1.0, None, weight)
        for level, p in zip(question.levels or (), shares, strict=True)
    ]


def _rank(question: Question, position: int, block_weights: dict[str, float]) -> Slot:
    centre, variance = _rank_moments(question)
    seen = np.flatnonzero(question.counts)
    reach = float(seen[-1] - seen[0])
    weight = max(variance, RARE_VARIANCE * reach**2) ** -0.5
    if question.block_id is not None:
        weight = block_weights[question.block_id]
    return Slot(question.column, position, None, RANK, centre, 1.0, None, weight)


def _rank_moments(question: Question) -> tuple[float, float]:
    shares, ranks = _shares(question), np.arange(len(question.counts))
    centre = float(np.sum(shares * ranks))
    return centre, float(np.sum(shares * (ranks - centre) ** 2))


def _block_weights(questions: Sequence[Question]) -> dict[str, float]:
    """Return the common weight of each block's columns: their variances add up to 1."""
    variances: dict[str, float] = {}
    for question in questions:
        if question.block_id is not None:
            so_far = variances.get(question.block_id, 0.0)
            variances[question.block_id] = so_far + _rank_moments(question)[1]
    return {key: max(value, RARE_VARIANCE) ** -0.5 for key, value in variances.items()}


def _scale(question: Question, position: int, answers: Floats) -> Slot:
    """Centre on the median, scale by the spread, cut the tails, weight to unit variance."""
    transform = LOG1P if question.kind == COUNT else IDENTITY
    ends = transformed(np.array([question.minimum, question.maximum]), transform)
    values = transformed(answers[~np.isnan(answers)], transform)
    centre = _median(values) if len(values) else float(ends.mean())
    scale = _spread(values, centre) or float(np.abs(ends - centre).max())
    cut = np.clip((values - centre) / scale, -LIMIT, LIMIT)
    low, high = np.clip((ends - centre) / scale, -LIMIT, LIMIT)
    variance = float(cut.var()) if len(cut) else 0.0
    weight = max(variance, RARE_VARIANCE * float(high - low) ** 2) ** -0.5
    return Slot(question.column, position, None, transform, centre, scale, LIMIT, weight)


def _spread(values: Floats, centre: float) -> float:
    """Return the interquartile range; where that is 0, the spread of what differs from the centre.

    The larger of that part's own interquartile range and its median distance: the former alone
    would be next to nothing for a part that lies close together but far from the centre.
    """
    if not len(values):
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    if high > low:
        return float(high - low)
    apart = values[values != centre] - centre
    if not len(apart):
        return 0.0
    low, high = np.quantile(apart, [0.25, 0.75])
    return float(max(high - low, np.median(np.abs(apart))))


def _median(values: Floats) -> float:
    answered = values[~np.isnan(values)]
    return float(np.median(answered)) if len(answered) else 0.0
