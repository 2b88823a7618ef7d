"""How sure models are: calibration and thresholds from some held-out rows, figures from others."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.onevsall.folds import Plan
from reclust_spark.onevsall.predict import Floats, decide, sigmoid

Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
_BINS = 10
_FEWEST = 5
"""Of fewer people no area under a curve is told: out of fold, it would be below chance."""
_NOBODY = 0.5
"""The threshold of a child that took nobody rightly: more likely in than out."""
HAIR = 1e-5
"""Of a probability: two that differ by less are one, rounded differently."""


class Rule(NamedTuple):
    """How margins become decisions.

    Attributes
    ----------
    slopes, intercepts : (children,) float64 arrays
        Of Platt's sigmoid.
    thresholds : (children,) float64 array
        In calibrated probability.
    """

    slopes: Floats
    intercepts: Floats
    thresholds: Floats

    def probabilities(self, margins: Floats) -> Floats:
        """Return calibrated probabilities, shape (n, children)."""
        return sigmoid(self.slopes * margins + self.intercepts)


class Figures(NamedTuple):
    """What a model is worth on test rows; None where these hold too few of a class.

    Attributes
    ----------
    auc, average_precision : float or None
    f1 : float
        Of those whom the child takes: it is the most probable one, and at its threshold.
    brier : float
    calibration_error : float
        The mean distance between calibrated probability and observed share, over ten bins of equal
        size.
    n_test : int
    """

    auc: float | None
    average_precision: float | None
    f1: float
    brier: float
    calibration_error: float
    n_test: int


class Verdict(NamedTuple):
    """The rule to store, what it is worth, and what it decided on the test rows.

    Attributes
    ----------
    rule : Rule
    figures : list of Figures
        One for each child.
    test : (m,) intp array
        The rows that were measured on.
    decided : (m,) intp array
        The child that took each of them; −1: none.
    """

    rule: Rule
    figures: list[Figures]
    test: Ints
    decided: Ints


def judge(margins: Floats, child: Ints, plan: Plan) -> Verdict:
    """Set calibration and thresholds, and measure them on rows that had no part in it.

    Parameters
    ----------
    margins : (n, children) float64 array
        Of held-out rows, from `fit_children`.
    child : (n,) intp array
        Each row's child, −1 for noise.
    plan : Plan

    Returns
    -------
    Verdict
    """
    n_children = margins.shape[1]
    probabilities = np.full(margins.shape, np.nan)
    decided = np.full(len(child), -1, dtype=np.intp)
    for part in plan.judged:
        rule = set_rule(margins[part.tune], child[part.tune])
        found = rule.probabilities(margins[part.test])
        probabilities[part.test] = found
        decided[part.test] = decide(found, rule.thresholds)
    test = plan.test
    figures = [
        _figures(probabilities[test, k], decided[test] == k, child[test] == k)
        for k in range(n_children)
    ]
    rule = set_rule(margins[plan.final], child[plan.final])
    return Verdict(rule, figures, test, decided[test])


def set_rule(margins: Floats, child: Ints) -> Rule:
    """Calibrate each child's margins and choose its threshold.

    Parameters
    ----------
    margins : (n, children) float64 array
    child : (n,) intp array

    Returns
    -------
    Rule
    """
    lines = [calibrate(margins[:, k], child == k) for k in range(margins.shape[1])]
    slopes, intercepts = (np.array(values) for values in zip(*lines, strict=True))
    probabilities = sigmoid(slopes * margins + intercepts)
    return Rule(slopes, intercepts, choose_thresholds(probabilities, child))


def calibrate(margins: Floats, inside: Bools) -> tuple[float, float]:
    """Fit Platt's sigmoid, with the smoothed targets that keep it finite on separable rows.

    Parameters
    ----------
    margins : (n,) float64 array
    inside : (n,) bool array

    Returns
    -------
    tuple of float
        Slope (above 0) and intercept.

    References
    ----------
    Platt (1999). Probabilistic outputs for support vector machines.
    """
    from sklearn.linear_model import LogisticRegression  # not where people are only scored

    n_in = int(inside.sum())
    n_out = len(inside) - n_in
    if not n_in or not n_out or np.ptp(margins) == 0:
        return 1.0, 0.0
    yes, no = (n_in + 1) / (n_in + 2), 1 / (n_out + 2)
    target = np.where(inside, yes, no)
    model = LogisticRegression(C=math.inf, tol=1e-8, max_iter=1_000)
    model.fit(
        np.tile(margins, 2)[:, None],
        np.repeat([1, 0], len(margins)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope = float(model.coef_[0, 0])
    # margins that run against the truth are chance: no order may be turned around by them
    return (slope, float(model.intercept_[0])) if slope > 0 else (1.0, 0.0)


def choose_thresholds(probabilities: Floats, child: Ints) -> Floats:
    """Choose each child's threshold: where most of those it would take are placed right.

    Of the people to whom a child is the most probable one, its own are right to be taken, and the
    node's noise is right to be left; a sibling's are wrong either way. The threshold with the most
    right ones is halfway between the last person taken and the next; where nobody is left, it is
    a hair below the last one's own probability: who is less sure than anyone seen is not taken, and
    who is just as sure is, however its probability is rounded when it is computed again.

    Parameters
    ----------
    probabilities : (n, children) float64 array
        Calibrated.
    child : (n,) intp array
        −1 for noise.

    Returns
    -------
    (children,) float64 array
    """
    best = probabilities.argmax(axis=1)
    thresholds = np.full(probabilities.shape[1], _NOBODY)
    for k in range(len(thresholds)):
        nearest = np.flatnonzero(best == k)
        if not len(nearest):
            continue
        order = nearest[np.argsort(-probabilities[nearest, k], kind="stable")]
        surest = probabilities[order, k]
        gain = np.where(child[order] == k, 1, np.where(child[order] < 0, -1, 0)).cumsum()
        below = surest * (1 - HAIR)
        last_of_ties = np.append(surest[1:] < below[:-1], True)
        gain = np.where(last_of_ties, gain, -len(order) - 1)
        last = int(gain.argmax())
        if gain[last] > 0:
            is_end = last + 1 == len(surest)
            thresholds[k] = below[last] if is_end else (surest[last] + surest[last + 1]) / 2
    return thresholds


def _figures(probability: Floats, taken: Bools, inside: Bools) -> Figures:
    from sklearn.metrics import (
        average_precision_score,
        brier_score_loss,
        f1_score,
        roc_auc_score,
    )

    both = _FEWEST <= inside.sum() <= len(inside) - _FEWEST
    return Figures(
        float(roc_auc_score(inside, probability)) if both else None,
        float(average_precision_score(inside, probability)) if both else None,
        float(f1_score(inside, taken, zero_division=0.0)),
        float(brier_score_loss(inside, probability)),
        calibration_error(probability, inside),
        len(inside),
    )


def calibration_error(probability: Floats, inside: Bools, bins: int = _BINS) -> float:
    """Return the mean distance between probability and observed share, bins of equal size.

    Parameters
    ----------
    probability : (n,) float64 array
    inside : (n,) bool array
    bins : int

    Returns
    -------
    float
        0 to 1.
    """
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(probability[part].mean() - inside[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(order))
