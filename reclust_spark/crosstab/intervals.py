"""Limits of shares and means, and tests of a difference; all on Student's t."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from reclust_spark.crosstab.variance import Floats

_HALF = 0.5


class Limits(NamedTuple):
    """The lower and upper limit of an interval; NaN where there is none."""

    low: Floats
    high: Floats


def quantile_t(confidence: float, df: Floats) -> Floats:
    """Return the t quantile of a two-sided interval; NaN without degrees of freedom."""
    positive = np.where(df > 0, df, np.nan)
    return np.asarray(stats.t.ppf(0.5 + confidence / 2, positive))


def share_limits(
    share: Floats, variance: Floats, n: Floats, n_eff: Floats, df: Floats, confidence: float
) -> Limits:
    """Return the limits of shares: symmetric on the logit scale; Korn and Graubard's at the ends.

    The logit is Anscombe's, of half a person more on either side, at the effective sample size
    share × (1 − share) / variance: without them the limits of small shares are too wide. Where the
    estimated variance is 0, as it is for shares of 0 and 1, the limits are Clopper and Pearson's
    for the effective sample size, corrected for the degrees of freedom.

    Parameters
    ----------
    share, variance, n, n_eff, df : float64 array
        n people, n_eff as many as they are worth; df of the variance.
    confidence : float

    Returns
    -------
    Limits

    References
    ----------
    Anscombe (1956). On estimating binomial response relations. Biometrika 43.
    Korn, Graubard (1998). Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data. Survey Methodology 24.
    Franco, Little, Louis, Slud (2019). Comparative study of confidence intervals for proportions
    in complex sample surveys. Journal of Survey Statistics and Methodology 7.
    """
    flat = variance <= 0
    t = quantile_t(confidence, df)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = share * (1 - share) / variance
        near = (share * size + _HALF) / (size + 2 * _HALF)
        logit = np.log(near) - np.log1p(-near)
        half = t / np.sqrt(size * near * (1 - near))
        low, high = 1 / (1 + np.exp(half - logit)), 1 / (1 + np.exp(-half - logit))
        exact = _clopper_pearson(
            share, n_eff * (quantile_t(confidence, n - 1) / t) ** 2, confidence
        )  # fmt: skip
    return Limits(np.where(flat, exact.low, low), np.where(flat, exact.high, high))


def _clopper_pearson(share: Floats, size: Floats, confidence: float) -> Limits:
    x, tail = share * size, (1 - confidence) / 2
    low = np.where(x > 0, stats.beta.ppf(tail, x, size - x + 1), 0.0)
    high = np.where(x < size, stats.beta.ppf(1 - tail, x + 1, size - x), 1.0)
    known = np.isfinite(size)
    return Limits(np.where(known, low, np.nan), np.where(known, high, np.nan))


def mean_limits(mean: Floats, variance: Floats, df: Floats, confidence: float) -> Limits:
    """Return t limits of means; none where the variance is 0: that nobody differs is no measure."""
    half = quantile_t(confidence, df) * np.sqrt(np.where(variance > 0, variance, np.nan))
    return Limits(mean - half, mean + half)


def p_values(difference: Floats, variance: Floats, df: Floats) -> Floats:
    """Return two-sided p-values of differences; NaN where variance or df say nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.abs(difference) / np.sqrt(np.where(variance > 0, variance, np.nan))
        return np.asarray(2 * stats.t.sf(t, np.where(df > 0, df, np.nan)))


def pooled_df(variances: tuple[Floats, Floats], dfs: tuple[Floats, Floats]) -> Floats:
    """Return Welch and Satterthwaite's degrees of freedom of a sum of two variances."""
    (one, other), (df_one, df_other) = variances, dfs
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((one + other) ** 2 / (one**2 / df_one + other**2 / df_other))


def effective_df(squares: Floats, fourths: Floats, n: Floats, df: Floats) -> Floats:
    """Return Satterthwaite's degrees of freedom of a variance, from the kurtosis of what it sums.

    A variance in which a few people of large weight count for most is worth less than their
    number: 2 · E(v)² / Var(v), with v = Σ z² and Var(v) about Σ z⁴ − (Σ z²)² / n.

    Parameters
    ----------
    squares, fourths : float64 array
        Σ z² and Σ z⁴ over the units.
    n, df : float64 array
        Units, and the degrees of freedom that they would have at most.

    References
    ----------
    Valliant, Rust (2010). Degrees of freedom approximations and rules-of-thumb. Journal of
    Official Statistics 26.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = fourths - squares**2 / n
        return np.where(spread > 0, np.minimum(df, 2 * squares**2 / spread), df)
