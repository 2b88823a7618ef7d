"""From the cells of a question to its shares, mean and median at every node of the tree.

A node is a domain of the sample: who else is in its strata and sampling units counts for the
variance. The tree is taken as given. A cluster is tested against everyone who is not in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reclust_spark.crosstab import scale
from reclust_spark.crosstab.cells import (
    MISSING,
    Addends,
    Cells,
    Ints,
    Shape,
    Sums,
    added,
    powers,
    roll_up,
    sums_of,
)
from reclust_spark.crosstab.design import Design, Estimates
from reclust_spark.crosstab.intervals import (
    effective_df,
    mean_limits,
    p_values,
    pooled_df,
    quantile_t,
    share_limits,
)
from reclust_spark.crosstab.variance import (
    RELATIVE_ZERO,
    Floats,
    Moments,
    complement,
    ratio,
    ratio_covariance,
    ratio_variance,
)
from reclust_spark.warehouse.names import MEAN, MEDIAN, SHARE


class _Totals(NamedTuple):
    """Sums of each node's people who answered, shape (nodes, 1); see `Cells`."""

    n: Floats
    w: Floats
    w2: Floats
    wy: Floats
    wyy: Floats

    def rest(self) -> _Totals:
        """Return the sums of everyone who is not in the node."""
        return _Totals(*(column[:1] - column for column in self))

    @property
    def kish(self) -> Floats:
        """Kish's effective sample size, (Σw)² / Σw²."""
        return self.w**2 / self.w2

    @property
    def spread(self) -> Floats:
        """The variance of the numbers; 0 where they are all alike but for rounding."""
        mean = self.wy / self.w
        square = self.wyy / self.w
        return np.where(square - mean**2 > RELATIVE_ZERO * square, square - mean**2, 0.0)


class _Domain(NamedTuple):
    """A ratio at each node: its variance, that of a single answer, n_eff, degrees of freedom."""

    value: Floats
    variance: Floats
    spread: Floats
    n_eff: Floats
    df: Floats


def people(cells: Cells, design: Design, levels: int) -> Ints:
    """Return people by node and level; those without an answer are the last column.

    Parameters
    ----------
    cells : Cells
        MISSING among the levels.
    design : Design
    levels : int

    Returns
    -------
    (nodes, levels + 1) int64 array
        Whose weight is not 0.
    """
    rolled, nodes = roll_up(cells, design.ancestors), design.nodes
    column = np.where(rolled.level == MISSING, levels, rolled.level)
    counts = added(rolled.path * (levels + 1) + column, rolled.n, nodes * (levels + 1))
    return np.rint(counts).astype(np.int64).reshape(nodes, levels + 1)


@np.errstate(invalid="ignore", divide="ignore")
def shares(cells: Cells, design: Design, levels: int) -> Estimates:
    """Return the share of each level, by `Cells` of which all have one of `levels` levels."""
    rolled = roll_up(cells, design.ancestors)
    addends = Addends(rolled.level, rolled.w, rolled.w, rolled.w2, rolled.w2, rolled.w2)
    sums, totals = sums_of(rolled, addends, _shape(design, levels)), _totals(rolled, design)
    own = _domain(sums.own, sums.units, totals, design.n_h, None)
    limits = share_limits(
        own.value, own.variance, totals.n, own.n_eff, own.df, design.confidence
    )  # fmt: skip
    p_value = _against_rest(own, sums, totals, design, is_share=True)
    return Estimates(SHARE, own.value, limits.low, limits.high, own.n_eff, p_value)


@np.errstate(invalid="ignore", divide="ignore")
def means(cells: Cells, design: Design, centre: float) -> Estimates:
    """Return the mean.

    Parameters
    ----------
    cells : Cells
        Of those who answered, with the numbers less `centre`.
    design : Design
    centre : float
        Near the population's mean: squares then lose nothing to rounding.

    Returns
    -------
    Estimates
    """
    rolled = roll_up(cells, design.ancestors)
    addends = Addends(
        np.zeros_like(rolled.level), rolled.wy, rolled.w, rolled.w2yy, rolled.w2y, rolled.w2
    )
    sums, totals = sums_of(rolled, addends, _shape(design, 1)), _totals(rolled, design)
    own = _domain(sums.own, sums.units, totals, design.n_h, totals.spread)
    own = own._replace(df=_df_of_mean(rolled, own, sums))
    limits = mean_limits(own.value, own.variance, own.df, design.confidence)
    p_value = _against_rest(own, sums, totals, design, is_share=False)
    return Estimates(
        MEAN, own.value + centre, limits.low + centre, limits.high + centre, own.n_eff, p_value
    )


@np.errstate(invalid="ignore", divide="ignore")
def medians(cells: Cells, design: Design, marks: Floats) -> Estimates:
    """Return the median with Woodruff's interval: the limits of the share below it, read back.

    Parameters
    ----------
    cells : Cells
        Of those who answered; their levels are places on the scale of `marks`.
    design : Design
    marks : (k,) float64 array

    Returns
    -------
    Estimates
        Without p-values.

    References
    ----------
    Woodruff (1952). Confidence intervals for medians and other position measures. JASA 47.
    """
    rolled = roll_up(cells, design.ancestors)
    nodes, places = design.nodes, scale.n_places(marks)
    weights = added(rolled.path * places + rolled.level, rolled.w, nodes * places)
    weights = weights.reshape(nodes, places)
    middle = scale.median(weights, marks)
    part = np.where(rolled.level == middle.place[rolled.path], middle.part[rolled.path], 1.0)
    part = np.where(rolled.level > middle.place[rolled.path], 0.0, part)
    w, w2 = part * rolled.w, part * rolled.w2
    addends = Addends(np.zeros_like(rolled.level), w, rolled.w, w2, w2, rolled.w2)
    sums, totals = sums_of(rolled, addends, _shape(design, 1)), _totals(rolled, design)
    below = _domain(sums.own, sums.units, totals, design.n_h, None)
    half = quantile_t(design.confidence, below.df) * np.sqrt(below.variance)
    low, high = (
        scale.reached(weights, marks, np.clip(np.nan_to_num(share[:, 0], nan=0.5), 0.0, 1.0)).value
        for share in (0.5 - half, 0.5 + half)
    )
    known = np.isfinite(half[:, 0]) & (below.variance[:, 0] > 0)
    nothing = np.full((nodes, 1), np.nan)
    return Estimates(
        MEDIAN,
        middle.value[:, None],
        np.where(known, low, np.nan)[:, None],
        np.where(known, high, np.nan)[:, None],
        below.n_eff,
        nothing,
    )


def _shape(design: Design, levels: int) -> Shape:
    return Shape(design.nodes, len(design.n_h), levels)


def _totals(rolled: Cells, design: Design) -> _Totals:
    nodes = design.nodes
    columns = (rolled.n, rolled.w, rolled.w2, rolled.wy, rolled.wyy)
    return _Totals(*(added(rolled.path, column, nodes)[:, None] for column in columns))


def _domain(
    moments: Moments, units: Floats, totals: _Totals, n_h: Floats, spread: Floats | None
) -> _Domain:
    """Return a ratio's figures; the spread of a share is its own, that of a mean is given."""
    value, variance = ratio(moments), ratio_variance(moments, n_h)
    if spread is None:
        spread = value * (1 - value)
    real = (spread > 0) & (variance > RELATIVE_ZERO * spread / totals.n)
    variance = np.where(real, variance, 0.0)
    n_eff = np.minimum(totals.n, spread / variance)
    n_eff = np.where(spread > 0, np.where(variance > 0, n_eff, totals.n), totals.kish)
    df = units.sum(1, keepdims=True) - (units > 0).sum(1, keepdims=True)
    return _Domain(value, variance, spread, np.where(totals.n > 0, n_eff, np.nan), df)


def _df_of_mean(rolled: Cells, own: _Domain, sums: Sums) -> Floats:
    squares, fourths = powers(rolled, own.value)
    return effective_df(squares, fourths, sums.units.sum(1, keepdims=True), own.df)


def _against_rest(
    own: _Domain, sums: Sums, totals: _Totals, design: Design, *, is_share: bool
) -> Floats:
    """Return p-values of the difference between each node and everyone else.

    The variance of a share of few people says little: of none at all, it is 0. The larger of two
    is taken, therefore: as estimated, and as it were, at the same effective sizes, if both shares
    were that of the whole. So it is with means where a node's numbers are all alike.
    """
    whole = Moments(*(column[:1] for column in sums.own))
    rest_moments, cross = complement(sums.own, whole, sums.cross)
    rest_totals = totals.rest()
    spread = None if is_share else rest_totals.spread
    rest = _domain(rest_moments, sums.rest_units, rest_totals, design.n_h, spread)
    covariance = ratio_covariance(sums.own, rest_moments, cross, design.n_h)
    apart = own.variance + rest.variance
    together = np.where(apart > 0, 1 - 2 * covariance / apart, 1.0)
    sides = [
        np.where(
            is_share | (side.spread <= 0),
            np.maximum(side.variance, own.spread[:1] / side.n_eff),
            side.variance,
        )
        for side in (own, rest)
    ]
    variance = (sides[0] + sides[1]) * together
    df = pooled_df((sides[0], sides[1]), (own.df, rest.df))
    tested = (totals.n > 0) & (rest_totals.n > 0) & (np.arange(len(totals.n)) > 0)[:, None]
    return np.where(tested, p_values(own.value - rest.value, variance, df), np.nan)
