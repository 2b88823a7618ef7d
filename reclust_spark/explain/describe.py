"""How a cluster answers a question, against its parent: direction, typical answers, lift.

A direction comes from the two distribution functions: `higher` or `lower` where the cluster's runs
below or above its parent's; where it does both, by much the same, answers have moved to the
`middle` (below first, then above) or to the `extremes`. A correlation with the answer would miss
the latter two. For nominal and binary questions it is the level that gained most share, `level:X`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.explain.shapley import Topic
from reclust_spark.onevsall.predict import Floats, Inputs, Question
from reclust_spark.warehouse.names import BINARY, NOMINAL

HIGHER, LOWER, MIDDLE, EXTREMES, LEVEL = "higher", "lower", "middle", "extremes", "level:"
_BOTH = 0.6
"""The smaller of the two gaps is no less than this part of the larger one: the spread has moved."""
_SAME = 1e-9
Bools = npt.NDArray[np.bool_]


class Description(NamedTuple):
    """A cluster's answers to a topic.

    Attributes
    ----------
    direction : str or None
        higher, lower, middle, extremes or level:X; None where the cluster gave no answer, or
        answers just as its parent does.
    cluster_value, parent_value : str or None
        The typical answers in words: the median, the most frequent level, or the options that at
        least half have chosen.
    lift : float or None
        How many times as frequent the answers in that direction are in the cluster as in its
        parent: those at the cluster's median or beyond, between its quartiles (middle), outside
        its parent's quartiles (extremes), or the level.
    """

    direction: str | None
    cluster_value: str | None
    parent_value: str | None
    lift: float | None


def describe(
    topic: Topic, questions: Sequence[Question], inputs: Inputs, inside: Bools, weights: Floats
) -> Description:
    """Describe a cluster's answers to a topic.

    Parameters
    ----------
    topic : Topic
    questions : sequence of Question
    inputs : (n, positions) float32 array
        Of all of the parent's people.
    inside : (n,) bool array
        Who is of the cluster.
    weights : (n,) float64 array
        Survey weights: shares, medians and lift are weighted.

    Returns
    -------
    Description
    """
    if topic.options:
        return _describe_block(topic, inputs[:, list(topic.positions)], inside, weights)
    position = topic.positions[0]
    question, values = questions[position], inputs[:, position].astype(np.float64)
    answered = ~np.isnan(values)
    values, inside, weights = values[answered], inside[answered], weights[answered]
    if not len(values):
        return Description(None, None, None, None)
    if question.kind in (NOMINAL, BINARY):
        return _describe_levels(question, values, inside, weights)
    order = np.argsort(values, kind="stable")
    return _describe_order(question, values[order], inside[order], weights[order])


def typical(question: Question, values: Floats, weights: Floats) -> str | None:
    """Return the typical answer in words: the most frequent level, or the median.

    Parameters
    ----------
    question : Question
    values : (n,) float64 array
        Own units or level indexes, none missing.
    weights : (n,) float64 array

    Returns
    -------
    str or None
        None where nobody answered.
    """
    if not len(values):
        return None
    if question.kind in (NOMINAL, BINARY):
        return words(question, float(_shares(question, values, weights).argmax()))
    return words(question, quantile(values, weights, 0.5))


def words(question: Question, value: float) -> str:
    """Return an answer as people read it: a level's label, or a number with its unit.

    Parameters
    ----------
    question : Question
    value : float
        Own units or a level's index.
    """
    if question.levels is not None:
        return (question.labels or question.levels)[round(value)]
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {question.unit}" if question.unit else number


def quantile(values: Floats, weights: Floats, q: float) -> float:
    """Return a weighted quantile that is one of the values: the lower one where two are as good.

    Parameters
    ----------
    values, weights : (n,) float64 array
        At least one of the weights above 0, else everyone counts 1.
    q : float
    """
    order = np.argsort(values, kind="stable")
    total = weights[order].cumsum()
    if total[-1] <= 0:
        total = np.arange(1.0, len(values) + 1)
    place = np.searchsorted(total, q * total[-1] * (1 - 1e-12))
    return float(values[order][min(place, len(values) - 1)])


def _describe_order(
    question: Question, values: Floats, inside: Bools, weights: Floats
) -> Description:
    """Describe answers that have an order; `values` rise, so that sorting them again is quick."""
    parent_value = typical(question, values, weights)
    own, own_weights = values[inside], weights[inside]
    if not own_weights.sum() > 0:
        return Description(None, None, parent_value, None)
    direction = _direction(values, inside, weights)
    middle = quantile(own, own_weights, 0.5)
    value = words(question, middle)
    if direction is None:
        return Description(None, value, parent_value, None)
    if direction == HIGHER:
        there = values >= middle
    elif direction == LOWER:
        there = values <= middle
    else:
        whose = inside if direction == MIDDLE else np.ones_like(inside)
        low, high = (quantile(values[whose], weights[whose], q) for q in (0.25, 0.75))
        there = (values >= low) & (values <= high)
        there = there if direction == MIDDLE else ~there
    return Description(direction, value, parent_value, _lift(there, inside, weights))


def _direction(values: Floats, inside: Bools, weights: Floats) -> str | None:
    """Compare the cluster's distribution function with its parent's, the largest gap either way."""
    place = np.concatenate([[0], (np.diff(values) > 0).cumsum()])
    everyone = np.bincount(place, weights=weights)
    own = np.bincount(place[inside], weights=weights[inside], minlength=len(everyone))
    moved = everyone.cumsum() / everyone.sum() - own.cumsum() / own.sum()
    up, down = float(moved.max()), float(-moved.min())
    if max(up, down) < _SAME:
        return None
    if min(up, down) > _BOTH * max(up, down):
        return MIDDLE if moved.argmax() < moved.argmin() else EXTREMES
    return HIGHER if up > down else LOWER


def _describe_levels(
    question: Question, values: Floats, inside: Bools, weights: Floats
) -> Description:
    parent_value = typical(question, values, weights)
    if not weights[inside].sum() > 0:
        return Description(None, None, parent_value, None)
    own = _shares(question, values[inside], weights[inside])
    gain = own - _shares(question, values, weights)
    level = int(gain.argmax())
    value = typical(question, values[inside], weights[inside])
    if gain[level] < _SAME:
        return Description(None, value, parent_value, None)
    direction = f"{LEVEL}{words(question, float(level))}"
    return Description(direction, value, parent_value, _lift(values == level, inside, weights))


def _describe_block(topic: Topic, values: Inputs, inside: Bools, weights: Floats) -> Description:
    """Describe a multi-select; the second level of an option is that it was chosen."""
    answered = ~np.isnan(values).all(axis=1)
    chosen, inside, weights = values[answered] > 0, inside[answered], weights[answered]
    if not len(chosen) or not weights.sum() > 0:
        return Description(None, None, None, None)
    everyone = np.average(chosen, axis=0, weights=weights)
    if not weights[inside].sum() > 0:
        return Description(None, None, _chosen(topic, everyone), None)
    own = np.average(chosen[inside], axis=0, weights=weights[inside])
    gain = own - everyone
    option = int(gain.argmax())
    if gain[option] <= 0:  # they chose less of everything
        lift = _lift(~np.asarray(chosen.any(axis=1)), inside, weights)
        return Description(LOWER, _chosen(topic, own), _chosen(topic, everyone), lift)
    return Description(
        f"{LEVEL}{topic.options[option]}",
        _chosen(topic, own),
        _chosen(topic, everyone),
        _lift(chosen[:, option], inside, weights),
    )


def _chosen(topic: Topic, shares: Floats) -> str:
    most = [option for option, share in zip(topic.options, shares, strict=True) if share >= 0.5]
    return ", ".join(most) if most else f"{topic.options[int(shares.argmax())]} (by some)"


def _shares(question: Question, values: Floats, weights: Floats) -> Floats:
    count = len(question.levels or ())
    mass = np.bincount(values.astype(np.intp), weights=weights, minlength=count)
    return np.asarray(mass / mass.sum() if mass.sum() > 0 else mass, dtype=np.float64)


def _lift(there: Bools, inside: Bools, weights: Floats) -> float | None:
    everyone = float(weights[there].sum() / weights.sum())
    own = float(weights[there & inside].sum() / weights[inside].sum())
    return own / everyone if everyone > 0 else None
