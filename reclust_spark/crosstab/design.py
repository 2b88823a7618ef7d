"""What holds for all estimates of a question, and the estimates of all nodes, a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from reclust_spark.crosstab.cells import Ints
from reclust_spark.crosstab.variance import Floats

MOST_SUMS = 2_000_000
"""Nodes × strata × levels whose sums are held at a time: a dozen numbers each."""


class Design(NamedTuple):
    """What holds for all cells.

    Attributes
    ----------
    ancestors : (nodes, depths) int64 array
        The nodes above each node, itself included, the root, node 0, among them; −1: no more.
    n_h : (strata,) float64 array
        Units of each stratum in the whole sample, whether they answered or not.
    confidence : float
        Of the intervals.
    """

    ancestors: Ints
    n_h: Floats
    confidence: float

    @property
    def nodes(self) -> int:
        """How many nodes estimates are wanted of."""
        return int(self.ancestors.max()) + 1


class Estimates(NamedTuple):
    """A statistic at every node, and of every level where it is a share; NaN where unknown.

    Attributes
    ----------
    statistic : str
        SHARE, MEAN or MEDIAN.
    value, low, high, n_eff, p_value : (nodes, levels) float64 array
        p_value against everyone who is not in the node.
    """

    statistic: str
    value: Floats
    low: Floats
    high: Floats
    n_eff: Floats
    p_value: Floats


def in_parts(
    work: Callable[[Design], Estimates], design: Design, levels: int, most: int = MOST_SUMS
) -> Estimates:
    """Estimate some nodes at a time, the root always among them, so that memory is bounded.

    Parameters
    ----------
    work : callable
        Estimates the nodes of a design.
    design : Design
    levels : int
    most : int
        Nodes × strata × levels at a time.

    Returns
    -------
    Estimates
        Of all nodes.
    """
    at_once = max(1, most // (len(design.n_h) * levels) - 1)
    if design.nodes <= at_once + 1:
        return work(design)
    parts = []
    for first in range(1, design.nodes, at_once):
        chosen = np.append(0, np.arange(first, min(first + at_once, design.nodes)))
        number = np.full(design.nodes + 1, -1)
        number[chosen] = np.arange(len(chosen))
        found = work(design._replace(ancestors=number[design.ancestors]))
        parts.append([column[0 if first == 1 else 1 :] for column in found[1:]])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Estimates(found.statistic, *columns)
