"""Fit a node's one-vs-all models: all of them on one shared matrix.

The negatives of a child are its siblings and the node's noise, so that a model can turn away who
belongs nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xgboost

from reclust_spark.config import ExplainOptions
from reclust_spark.onevsall.folds import Plan, Round
from reclust_spark.onevsall.predict import (
    INPUTS_ATTRIBUTE,
    PATH_ATTRIBUTE,
    Floats,
    Inputs,
    Question,
    fingerprint_of,
)
from reclust_spark.warehouse.names import NOMINAL

Ints = npt.NDArray[np.intp]

MAX_BIN = 128
"""Half of XGBoost's own: as good where few thousand people are seen, and a third quicker."""
SEEN_INPUTS, SEEN_SHARE = 100, 0.25
"""A tree sees so many inputs, or this share of them where that is more: of very many, trees that do
not all lean on the same few answers place people better."""


class Fitted(NamedTuple):
    """The models of a node's children.

    Attributes
    ----------
    boosters : list of xgboost.Booster
        One for each child.
    margins : (n, children) float64 array
        Of rows that were not trained on; NaN elsewhere.
    n_train : int
        The rows that the boosters were trained on.
    """

    boosters: list[Any]
    margins: Floats
    n_train: int


def feature_types(questions: tuple[Question, ...]) -> list[str]:
    """Return XGBoost's types: nominal questions are categories, all others have an order."""
    return ["c" if question.kind == NOMINAL else "q" for question in questions]


def parameters(options: ExplainOptions, share: float, n_inputs: int) -> dict[str, Any]:
    """Return XGBoost's parameters.

    Parameters
    ----------
    options : ExplainOptions
    share : float
        Of the training rows that are the child's: the model starts there.
    n_inputs : int
    """
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": options.max_depth,
        "learning_rate": options.learning_rate,
        "max_bin": MAX_BIN,
        "colsample_bytree": min(1.0, max(SEEN_SHARE, SEEN_INPUTS / max(n_inputs, 1))),
        "base_score": min(max(share, 1e-4), 1 - 1e-4),
        "seed": 0,
    }


def fit_children(
    inputs: Inputs,
    child: Ints,
    n_children: int,
    plan: Plan,
    questions: tuple[Question, ...],
    options: ExplainOptions,
) -> Fitted:
    """Fit one model for each child, by the plan.

    Parameters
    ----------
    inputs : (n, positions) float32 array
        Own units or level indexes, NaN where missing.
    child : (n,) intp array
        Each row's child, −1 for the node's noise.
    n_children : int
    plan : Plan
    questions : tuple of Question
    options : ExplainOptions

    Returns
    -------
    Fitted
    """
    margins = np.full((len(inputs), n_children), np.nan)
    counts = np.empty((len(plan.rounds), n_children), dtype=np.intp)
    boosters: list[Any] = []
    types = feature_types(questions)
    for number, part in enumerate(plan.rounds):
        boosters = _fit_round(inputs, child, n_children, part, types, options)
        counts[number] = [booster.num_boosted_rounds() for booster in boosters]
        outside = np.sort(np.concatenate([part.stop, part.held_out]))
        if plan.refit:
            outside = part.held_out
        margins[outside] = margins_of(boosters, inputs[outside], questions)
    if not plan.refit:
        return Fitted(boosters, margins, len(plan.rounds[0].train))
    n_rounds = np.rint(np.median(counts, axis=0)).astype(int)
    data = _quantiles(inputs, types)
    refitted = []
    for k in range(n_children):
        inside = child == k
        data.set_label(inside)
        settings = parameters(options, float(inside.mean()), inputs.shape[1]) | {"nthread": 1}
        refitted.append(xgboost.train(settings, data, int(n_rounds[k])))
    return Fitted(refitted, margins, len(inputs))


def margins_of(boosters: Sequence[Any], inputs: Inputs, questions: tuple[Question, ...]) -> Floats:
    """Return the margins of people, shape (n, boosters)."""
    matrix = _matrix(inputs, feature_types(questions))
    margins = [booster.predict(matrix, output_margin=True) for booster in boosters]
    return np.stack(margins, axis=1).astype(np.float64)


def named(booster: Any, path: str, questions: tuple[Question, ...]) -> bytes:
    """Return a booster as UBJSON that says whose it is, see `predict.load_booster`."""
    booster.set_attr(**{PATH_ATTRIBUTE: path, INPUTS_ATTRIBUTE: fingerprint_of(questions)})
    booster.set_attr(best_iteration=None, best_score=None)
    return bytes(booster.save_raw("ubj"))


def _fit_round(
    inputs: Inputs,
    child: Ints,
    n_children: int,
    part: Round,
    types: list[str],
    options: ExplainOptions,
) -> list[Any]:
    data = _quantiles(inputs[part.train], types)
    stop = _quantiles(inputs[part.stop], types, data) if len(part.stop) else None
    boosters = []
    for k in range(n_children):
        inside = child[part.train] == k
        data.set_label(inside)
        settings = parameters(
            options, float(inside.mean()) if len(inside) else 0.5, inputs.shape[1]
        )
        settings["nthread"] = 1
        if stop is None:
            boosters.append(xgboost.train(settings, data, options.n_estimators))
            continue
        stop.set_label(child[part.stop] == k)
        booster = xgboost.train(
            settings,
            data,
            options.n_estimators,
            evals=[(stop, "stop")],
            early_stopping_rounds=options.early_stopping_rounds,
            verbose_eval=False,
        )
        boosters.append(booster[: booster.best_iteration + 1])
    return boosters


def _quantiles(inputs: Inputs, types: list[str], reference: Any = None) -> Any:
    return xgboost.QuantileDMatrix(
        inputs,
        feature_types=types,
        enable_categorical=True,
        nthread=1,
        ref=reference,
        max_bin=MAX_BIN,
    )


def _matrix(inputs: Inputs, types: list[str]) -> Any:
    return xgboost.DMatrix(inputs, feature_types=types, enable_categorical=True, nthread=1)
