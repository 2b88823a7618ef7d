"""A scale of numbers: single values and the ranges between them, on which medians are found.

A number's place is 2k where it is the k-th mark itself, and 2k − 1 where it lies between the marks
k − 1 and k. With a mark for every distinct value nothing lies between them and medians are exact;
else the marks are quantiles of the population, and medians are interpolated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reclust_spark.crosstab.cells import Ints
from reclust_spark.crosstab.variance import Floats

_ROUNDING = 1e-12


class Reached(NamedTuple):
    """Where a share of the weight is reached, for each node.

    Attributes
    ----------
    value : (nodes,) float64 array
        NaN where there is no weight.
    place : (nodes,) int64 array
        On the scale.
    part : (nodes,) float64 array
        How much of that place's weight counts as below the value: 1 at a mark.
    """

    value: Floats
    place: Ints
    part: Floats


def n_places(marks: Floats) -> int:
    """Return how many places a scale has."""
    return 2 * len(marks) - 1


def place_of(numbers: Floats, marks: Floats) -> Ints:
    """Return the place of numbers on a scale; beyond its ends, the end.

    Parameters
    ----------
    numbers : (n,) float64 array
        Without NaN.
    marks : (k,) float64 array
        Rising.
    """
    k = np.searchsorted(marks, numbers)
    at_mark = marks[np.minimum(k, len(marks) - 1)] == numbers
    return np.clip(np.where(at_mark, 2 * k, 2 * k - 1), 0, n_places(marks) - 1).astype(np.int64)


def marks_of(numbers: Floats, minimum: float, maximum: float, most: int) -> Floats:
    """Return the marks of a scale: quantiles, evenly spaced, and both ends.

    Parameters
    ----------
    numbers : (n,) float64 array
        A sample.
    minimum, maximum : float
        Of everyone.
    most : int
        Marks, ends included.

    Returns
    -------
    (k,) float64 array
        Rising, without repeats; a value that many share is a mark.
    """
    inner = np.quantile(numbers, np.linspace(0, 1, most)[1:-1], method="inverted_cdf")
    return np.unique(np.concatenate([[minimum], inner, [maximum]]))


def reached(weights: Floats, marks: Floats, share: Floats) -> Reached:
    """Return the smallest numbers up to which a share of the weight lies.

    Parameters
    ----------
    weights : (nodes, places) float64 array
    marks : (k,) float64 array
    share : (nodes,) float64 array
        Above 0 and up to 1.

    Returns
    -------
    Reached
    """
    below = np.cumsum(weights, axis=1)
    whole = below[:, -1]
    wanted = share * whole
    enough = below >= (wanted - _ROUNDING * whole)[:, None]
    place = enough.argmax(1)
    node = np.arange(len(weights))
    at_mark = place % 2 == 0
    low, high = marks[(place - 1) // 2], marks[(place + 1) // 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = 1 - (below[node, place] - wanted) / weights[node, place]
    part = np.where(at_mark, 1.0, np.clip(part, 0.0, 1.0))
    value = np.where(at_mark, high, low + part * (high - low))
    return Reached(np.where(whole > 0, value, np.nan), place, part)


def median(weights: Floats, marks: Floats) -> Reached:
    """Return weighted medians: where half is reached exactly at a mark, midway to the next number.

    Parameters
    ----------
    weights : (nodes, places) float64 array
    marks : (k,) float64 array
    """
    lower = reached(weights, marks, np.full(len(weights), 0.5))
    whole = weights.sum(1)
    upper = reached(weights, marks, np.full(len(weights), 0.5 + 1e-9))
    below = np.cumsum(weights, axis=1)[np.arange(len(weights)), lower.place]
    even = np.abs(below - 0.5 * whole) <= _ROUNDING * whole
    both_marks = (lower.place % 2 == 0) & (upper.place % 2 == 0)
    midway = (lower.value + upper.value) / 2
    return lower._replace(value=np.where(even & both_marks, midway, lower.value))
