"""All that is learned of one split: its children's models, what they confuse, what they go by."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.config import ExplainOptions
from reclust_spark.explain.describe import describe
from reclust_spark.explain.shapley import Topic, contributions, draw, topics_of
from reclust_spark.onevsall.fit import Fitted, fit_children, margins_of, named
from reclust_spark.onevsall.folds import deal_folds, plan_rows
from reclust_spark.onevsall.judge import Verdict, judge
from reclust_spark.onevsall.predict import Floats, Inputs, Question, digest_of
from reclust_spark.paths import ROOT, depth
from reclust_spark.paths import child as child_of

LEADING = 10
"""Questions of which single people's values are kept, a cluster."""

Ints = npt.NDArray[np.intp]
Row = dict[str, Any]


class NodePeople(NamedTuple):
    """The people of a split node, in the order of a hash of their ids.

    Attributes
    ----------
    ids : (n,) array of str objects
    paths : (n,) array of str objects
        Their final places, at or below the node.
    is_noise : (n,) bool array
        They stay at their place, a split node, as noise.
    weights : (n,) float64 array
    inputs : (n, positions) float32 array
        Own units or level indexes, NaN where missing.
    """

    ids: npt.NDArray[np.object_]
    paths: npt.NDArray[np.object_]
    is_noise: npt.NDArray[np.bool_]
    weights: Floats
    inputs: Inputs


class Explained(NamedTuple):
    """Rows of the tables, without their version.

    Attributes
    ----------
    models, confusion, explanations : list of dict
        population_value is left out: the node does not know it.
    shap_values : dict of str to array
        Columns.
    held_out : dict of str to array
        Columns: row_id, depth of the node, and whether the models put the person where the fit did,
        for everyone whose place was decided by a model that was not trained on them.
    typical : dict of str to str or None
        At the root, everyone's typical answer to each question, by source_column.
    agreement : float
        The share of `held_out` that were put where the fit did.
    seconds : float
    """

    models: list[Row]
    confusion: list[Row]
    explanations: list[Row]
    shap_values: dict[str, Any]
    held_out: dict[str, Any]
    typical: dict[str, str | None]
    agreement: float
    seconds: float


def children_of(path: str, people: NodePeople, children: Sequence[str]) -> Ints:
    """Return the child that each person is in, −1 for the node's noise.

    Parameters
    ----------
    path : str
        The node.
    people : NodePeople
    children : sequence of str
        Their paths.

    Returns
    -------
    (n,) intp array
    """
    number = {child: k for k, child in enumerate(children)}
    length = len(child_of(path, 1))
    return np.array([number.get(place[:length], -1) for place in people.paths], dtype=np.intp)


def explain_node(
    path: str,
    children: Sequence[str],
    people: NodePeople,
    questions: tuple[Question, ...],
    options: ExplainOptions,
    boosters: Sequence[Any] | None = None,
) -> Explained:
    """Fit, judge and explain the one-vs-all models of a node's children.

    Parameters
    ----------
    path : str
        The node.
    children : sequence of str
        The paths of its children.
    people : NodePeople
        Those of the node that are drawn, see `explain.max_fit_rows`; noise is among them.
    questions : tuple of Question
    options : ExplainOptions
    boosters : sequence of xgboost.Booster, optional
        Models that were fitted elsewhere, on the training folds of all of the node's people.

    Returns
    -------
    Explained
    """
    started = time.monotonic()
    child = children_of(path, people, children)
    strata = people.paths + np.where(people.is_noise, "noise", "")
    plan = plan_rows(deal_folds(strata), child, len(children), may_refit=boosters is None)
    if boosters is None:
        fitted = fit_children(people.inputs, child, len(children), plan, questions, options)
    else:
        margins = margins_of(boosters, people.inputs, questions)
        fitted = Fitted(list(boosters), margins, len(plan.rounds[0].train))
    verdict = judge(fitted.margins, child, plan)
    explanations, shap_values = _explanations(
        children, child, people, fitted.boosters, questions, options
    )
    right = verdict.decided == child[verdict.test]
    held_out = {
        "row_id": people.ids[verdict.test],
        "depth": np.full(len(right), depth(path), dtype=np.int32),
        "agrees": right,
    }
    return Explained(
        _model_rows(path, children, fitted, verdict, questions),
        _confusion_rows(path, children, child, verdict),
        explanations,
        shap_values,
        held_out,
        _typical_answers(people, questions) if path == ROOT else {},
        float(right.mean()),
        time.monotonic() - started,
    )


def _model_rows(
    path: str,
    children: Sequence[str],
    fitted: Fitted,
    verdict: Verdict,
    questions: tuple[Question, ...],
) -> list[Row]:
    rule = verdict.rule
    blobs = [
        named(booster, child, questions)
        for booster, child in zip(fitted.boosters, children, strict=True)
    ]
    return [
        {
            "path": child,
            "parent_path": path,
            "model": blobs[k],
            "digest": digest_of(blobs[k]),
            "threshold": float(rule.thresholds[k]),
            "calibration": [float(rule.slopes[k]), float(rule.intercepts[k])],
            "n_train": fitted.n_train,
            **verdict.figures[k]._asdict(),
        }
        for k, child in enumerate(children)
    ]


def _confusion_rows(path: str, children: Sequence[str], child: Ints, verdict: Verdict) -> list[Row]:
    """Return the share of each group's test people by where they were put; noise is the last."""
    places = [*children, path]
    counts = np.zeros((len(places), len(places)), dtype=np.intp)
    np.add.at(counts, (child[verdict.test], verdict.decided), 1)  # −1 is the last, too
    return [
        {
            "path": place,
            "other_path": other,
            "parent_path": path,
            "share": float(counts[i, j] / counts[i].sum()),
            "n": int(counts[i, j]),
        }
        for i, place in enumerate(places)
        for j, other in enumerate(places)
        if counts[i].sum()
    ]


def _explanations(
    children: Sequence[str],
    child: Ints,
    people: NodePeople,
    boosters: Sequence[Any],
    questions: tuple[Question, ...],
    options: ExplainOptions,
) -> tuple[list[Row], dict[str, Any]]:
    topics = topics_of(questions)
    rows: list[Row] = []
    kept: list[dict[str, Any]] = []
    for k, path in enumerate(children):
        inside = child == k
        sample = draw(inside, options.shap_rows)
        shap = contributions(boosters[k], people.inputs[sample], questions, topics)
        importance = _importance(shap, inside[sample])
        order = np.argsort(-importance, kind="stable")
        order = order[importance[order] > 0]
        for rank, number in enumerate(order, start=1):
            topic = topics[number]
            found = describe(topic, questions, people.inputs, inside, people.weights)
            rows.append(
                {
                    "path": path,
                    "rank": rank,
                    "source_column": topic.source_column,
                    "question": topic.question,
                    "mean_abs_shap": float(importance[number]),
                    **found._asdict(),
                }
            )
        kept += [
            _values(path, topics[number], people, sample, shap[:, number], inside)
            for number in order[:LEADING]
        ]
    return rows, _joined(kept)


def _importance(shap: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """Return mean |SHAP|, the cluster's own people and the others counting half each."""
    halves = [np.abs(shap[rows]).mean(axis=0) for rows in (inside, ~inside) if rows.any()]
    return np.asarray(np.mean(halves, axis=0))


def _values(
    path: str,
    topic: Topic,
    people: NodePeople,
    sample: Ints,
    shap: Floats,
    inside: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    answers = people.inputs[sample][:, list(topic.positions)].astype(np.float64)
    if topic.options:  # the option that the cluster is ahead in
        gone = np.isnan(people.inputs[:, list(topic.positions)])
        chosen = np.where(gone, 0.0, people.inputs[:, list(topic.positions)] > 0)
        answers = answers[:, [int((chosen[inside].mean(axis=0) - chosen.mean(axis=0)).argmax())]]
    return {
        "path": np.full(len(sample), path, dtype=object),
        "row_id": people.ids[sample],
        "source_column": np.full(len(sample), topic.source_column, dtype=object),
        "answer": answers[:, 0],
        "shap": shap,
    }


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("path", "row_id", "source_column", "answer", "shap")
    empty: dict[str, Any] = {name: np.zeros(0, dtype=object) for name in names[:3]}
    empty |= {name: np.zeros(0) for name in names[3:]}
    return {name: np.concatenate([part[name] for part in (empty, *parts)]) for name in names}


def _typical_answers(people: NodePeople, questions: tuple[Question, ...]) -> dict[str, str | None]:
    everyone = np.ones(len(people.ids), dtype=bool)
    given = (questions, people.inputs, everyone, people.weights)
    return {
        topic.source_column: describe(topic, *given).parent_value for topic in topics_of(questions)
    }
