"""What an outside column asks: which levels it has, or on which scale its numbers lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reclust_spark.crosstab import scale
from reclust_spark.crosstab.cells import MISSING, Ints
from reclust_spark.crosstab.variance import Floats
from reclust_spark.prepare.levels import CATEGORICAL, observed_levels
from reclust_spark.prepare.profile import ColumnProfile
from reclust_spark.prepare.questions import Question
from reclust_spark.prepare.values import as_text

MOST_DISTINCT = 500
"""Numbers with at most so many different values have exact medians."""
MOST_MARKS, FEWEST_MARKS = 250, 20
"""Of the scale of all others, on which medians are interpolated."""
MOST_PLACES = 5_000_000
"""Nodes × strata × places of a scale, at most: they are one task's memory."""
QUARTERS = (0.25, 0.5, 0.75)
_DIGITS = 4


class Sampled(NamedTuple):
    """The answers of a sample, NaN where missing, and their weights: (n,) float64 arrays."""

    numbers: Floats
    weights: Floats


@dataclass(frozen=True)
class Asked:
    """A column as a question.

    Attributes
    ----------
    question : Question
        How it is read.
    levels : tuple of str
        What is shown for each level, in order; empty where the answers are numbers.
    marks : tuple of float
        The scale of the numbers.
    centre : float
        About their mean.
    cuts : tuple of float
        Where they are cut, as a second question: a level goes up to its cut.
    groups : tuple of str
        The levels of a second question: `levels`, or the names of what is cut.
    """

    question: Question
    levels: tuple[str, ...] = ()
    marks: tuple[float, ...] = ()
    centre: float = 0.0
    cuts: tuple[float, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether mean and median are asked for, not shares."""
        return not self.levels

    @property
    def n_levels(self) -> int:
        """Levels; of a number, the places of its scale."""
        return scale.n_places(np.asarray(self.marks)) if self.is_number else len(self.levels)

    def level_of(self, answers: Floats) -> Ints:
        """Return the levels of answers, or their places on the scale; MISSING where there is none.

        Parameters
        ----------
        answers : (n,) float64 array
            From `prepare.questions.answers_of`: numbers, or indices of levels; NaN.
        """
        known = ~np.isnan(answers)
        given = np.where(known, answers, 0.0)
        level = scale.place_of(given, np.asarray(self.marks)) if self.is_number else given
        return np.where(known, level, MISSING).astype(np.int64)

    def group_of(self, answers: Floats) -> Ints:
        """Return the levels of answers to a second question; MISSING where there is none."""
        known = ~np.isnan(answers)
        given = np.where(known, answers, 0.0)
        group = np.searchsorted(np.asarray(self.cuts), given) if self.is_number else given
        return np.where(known, group, MISSING).astype(np.int64)


def asked_of(
    question: Question,
    profile: ColumnProfile,
    sample: Sampled,
    most_marks: int,
    max_values: int,
) -> Asked:
    """Return what a column asks.

    Parameters
    ----------
    question : Question
    profile : ColumnProfile
        Of everyone.
    sample : Sampled
        Of a column of numbers.
    most_marks : int
        Of a scale; see `most_marks`.
    max_values : int
        Numbers of at most so many different values are not cut: each is a level.

    Returns
    -------
    Asked
    """
    if question.kind in CATEGORICAL:
        levels = _shown(question)
        return Asked(question, levels, groups=levels)
    known = ~np.isnan(sample.numbers)
    numbers, weights = sample.numbers[known], sample.weights[known]
    values = observed_levels(profile, as_numbers=True)
    distinct = None if values is None else np.array(list(values), dtype=np.float64)
    low, high = profile.minimum, profile.maximum
    if not len(numbers):  # so few answered that none of them was sampled
        numbers = np.array([low, high]) if distinct is None else distinct
        weights = np.ones(len(numbers))
    if distinct is not None and len(distinct) <= most_marks:
        marks = distinct
    else:
        marks = scale.marks_of(numbers, low, high, min(most_marks, MOST_MARKS))
    if distinct is not None and len(distinct) <= max_values:
        cuts, groups = distinct[:-1], tuple(map(as_text, distinct))
    else:
        cuts = _quartiles(numbers, weights, high)
        groups = _names(cuts, profile.whole)
    return Asked(
        question,
        marks=tuple(marks.tolist()),
        centre=float(numbers.mean()),
        cuts=tuple(cuts.tolist()),
        groups=groups,
    )


def most_marks(n_nodes: int, n_strata: int) -> int:
    """Return how many marks a scale may have, so that a task's memory is bounded."""
    places = MOST_PLACES // (n_nodes * n_strata)
    return int(np.clip(places // 2, FEWEST_MARKS, MOST_DISTINCT))


def _shown(question: Question) -> tuple[str, ...]:
    """Return what is shown for each level; two of the same label are told apart by their value."""
    values = question.levels or ()
    labels = question.labels or values
    times = Counter(labels)
    return tuple(
        label if label.strip() and times[label] == 1 else f"{label} ({value})".strip()
        for label, value in zip(labels, values, strict=True)
    )


def _quartiles(numbers: Floats, weights: Floats, maximum: float) -> Floats:
    """Return the population's quartiles as limits that people can read, each below the maximum."""
    order = np.argsort(numbers)
    numbers, below = numbers[order], np.cumsum(weights[order])
    whole = below[-1] if len(below) else 0.0
    at = [min(int(np.searchsorted(below, part * whole)), len(below) - 1) for part in QUARTERS]
    cuts = np.unique([float(f"{number:.{_DIGITS}g}") for number in numbers[at] if number < maximum])
    beyond = np.searchsorted(numbers, cuts, side="right")
    cuts = cuts[(np.diff(beyond, prepend=0) > 0) & (beyond < len(numbers))]
    # three quarters and more have the largest number: it stands alone
    return cuts if len(cuts) else np.array([numbers[numbers < maximum].max(initial=numbers[0])])


def _names(cuts: Floats, whole: bool) -> tuple[str, ...]:
    shown: Sequence[str] = [as_text(cut) for cut in cuts]
    if whole and all(float(cut).is_integer() for cut in cuts):
        after = [as_text(cut + 1) for cut in cuts]
        between = [
            low if low == high else f"{low} to {high}"
            for low, high in zip(after[:-1], shown[1:], strict=True)
        ]
        return (f"up to {shown[0]}", *between, f"{after[-1]} and more")
    between = [f"over {low} to {high}" for low, high in pairwise(shown)]
    return (f"up to {shown[0]}", *between, f"over {shown[-1]}")
