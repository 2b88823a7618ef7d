"""Taylor-linearised variances of shares and means, for domains of a stratified, clustered sample.

A share and a mean are ratios: the sum of w·y over the sum of w, of the people of a domain. With
z the linearised value of a person, w·(y − ratio) / Σw inside the domain and 0 outside, the
variance is that of the total of z under sampling with replacement:

    Σ_h n_h / (n_h − 1) · Σ_i (z_hi − z̄_h)²

over the strata h and their n_h units i: people, or primary sampling units (PSUs). z̄_h runs over
all n_h, those without anybody in the domain included. All of it comes from sums by stratum, so
that nothing is kept of the people but `Moments`.

A stratum of a single unit has no deviation from its own mean. It contributes that from the mean
over all ("adjust" in R's survey package), which is 0 for a ratio: the z of a domain add up to 0.

References
----------
Särndal, Swensson, Wretman (1992). Model Assisted Survey Sampling. Springer, 5.5–5.8 and 10.3.
Lumley (2010). Complex Surveys. Wiley, 2.2 and C.1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RELATIVE_ZERO = 1e-12
"""A variance below this share of its scale is what rounding leaves of 0."""


class Moments(NamedTuple):
    """Sums over the units of a stratum, for a unit's numerator a and denominator d.

    Attributes
    ----------
    a, d : (nodes, strata, levels) float64 array
        Of the units' values; d may have one level that stands for all.
    aa, ad, dd : (nodes, strata, levels) float64 array
        Of their products.
    """

    a: Floats
    d: Floats
    aa: Floats
    ad: Floats
    dd: Floats


class Cross(NamedTuple):
    """Sums over units of products of one domain's a and d with another's; shaped as `Moments`."""

    aa: Floats
    ad: Floats
    da: Floats
    dd: Floats


def ratio(moments: Moments) -> Floats:
    """Return Σa / Σd, shape (nodes, levels); NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return moments.a.sum(1) / moments.d.sum(1)


def ratio_variance(moments: Moments, n_h: Floats) -> Floats:
    """Return the variance of a ratio.

    Parameters
    ----------
    moments : Moments
    n_h : (strata,) float64 array
        Units of each stratum in the whole sample.

    Returns
    -------
    (nodes, levels) float64 array
        NaN where the denominator is 0.
    """
    p = ratio(moments)[:, None, :]
    squares = moments.aa - 2 * p * moments.ad + p**2 * moments.dd
    sums = moments.a - p * moments.d
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.maximum(_within(squares, sums, sums, n_h), 0.0) / moments.d.sum(1) ** 2


def ratio_covariance(one: Moments, other: Moments, cross: Cross, n_h: Floats) -> Floats:
    """Return the covariance of the ratios of two domains, shape (nodes, levels).

    Parameters
    ----------
    one, other : Moments
    cross : Cross
        Of `one` with `other`.
    n_h : (strata,) float64 array
    """
    p, q = ratio(one)[:, None, :], ratio(other)[:, None, :]
    products = cross.aa - q * cross.ad - p * cross.da + p * q * cross.dd
    sums, others = one.a - p * one.d, other.a - q * other.d
    with np.errstate(invalid="ignore", divide="ignore"):
        return _within(products, sums, others, n_h) / (one.d.sum(1) * other.d.sum(1))


def _within(products: Floats, sums: Floats, others: Floats, n_h: Floats) -> Floats:
    """Return Σ_h n_h/(n_h−1) · (Σ_i x_i·y_i − Σ_i x_i · Σ_i y_i / n_h)."""
    n = n_h[:, None]
    lonely = n <= 1
    factor = np.where(lonely, 1.0, n / np.maximum(n - 1, 1.0))
    means = np.where(lonely, 0.0, sums * others / np.maximum(n, 1.0))
    return np.asarray((factor * (products - means)).sum(1))


def complement(own: Moments, whole: Moments, cross: Cross) -> tuple[Moments, Cross]:
    """Return the moments of the rest of a whole, and their products with a part of it.

    Parameters
    ----------
    own : Moments
        Of the part.
    whole : Moments
        Of the whole, with one node.
    cross : Cross
        Of the part with the whole.

    Returns
    -------
    (Moments, Cross)
        Of the rest; of the part with the rest.
    """
    rest = Moments(
        whole.a - own.a,
        whole.d - own.d,
        whole.aa - 2 * cross.aa + own.aa,
        whole.ad - cross.ad - cross.da + own.ad,
        whole.dd - 2 * cross.dd + own.dd,
    )
    between = Cross(
        cross.aa - own.aa, cross.ad - own.ad, cross.da - own.ad, cross.dd - own.dd
    )  # fmt: skip
    return rest, between
