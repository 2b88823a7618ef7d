"""Exact Shapley values of a model's questions (TreeSHAP), for a sample of people.

The parts of one question, the options of a multi-select, are summed person by person before
anything is averaged: parts of opposite sign are one answer and cancel.

References
----------
Lundberg et al. (2020). From local explanations to global understanding with explainable AI for
trees. Nature Machine Intelligence 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.onevsall.fit import feature_types
from reclust_spark.onevsall.predict import Floats, Inputs, Question

Ints = npt.NDArray[np.intp]


class Topic(NamedTuple):
    """What is explained as one: a question, or a multi-select with all its options.

    Attributes
    ----------
    source_column : str
        The question's column; the id of a multi-select.
    question : str
        Its words.
    positions : tuple of int
        Of its inputs.
    options : tuple of str
        The words of a multi-select's options; empty for a question.
    """

    source_column: str
    question: str
    positions: tuple[int, ...]
    options: tuple[str, ...] = ()


def topics_of(questions: Sequence[Question]) -> list[Topic]:
    """Return the topics of a questionnaire, in the order of their first position.

    Parameters
    ----------
    questions : sequence of Question
        By position.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for position, question in enumerate(questions):
        is_part = question.block_id is not None
        key = ("block", str(question.block_id)) if is_part else ("", question.source_column)
        groups.setdefault(key, []).append(position)
    return [
        _block(name, positions, questions)
        if kind
        else Topic(name, questions[positions[0]].question, tuple(positions))
        for (kind, name), positions in groups.items()
    ]


def _block(name: str, positions: list[int], questions: Sequence[Question]) -> Topic:
    """Take apart `question: option`, which is how question_map words an option."""
    texts = [questions[position].question for position in positions]
    common = texts[0]
    for text in texts[1:]:
        while not text.startswith(common):
            common = common[:-1]
    end = common.rfind(": ") if len(texts) > 1 else texts[0].rfind(": ")
    if end < 0:
        return Topic(name, name, tuple(positions), tuple(texts))
    options = tuple(text[end + 2 :] for text in texts)
    return Topic(name, texts[0][:end], tuple(positions), options)


def contributions(
    booster: Any, inputs: Inputs, questions: tuple[Question, ...], topics: Sequence[Topic]
) -> Floats:
    """Return what each topic adds to each person's margin.

    Parameters
    ----------
    booster : xgboost.Booster
    inputs : (n, positions) float32 array
    questions : tuple of Question
    topics : sequence of Topic

    Returns
    -------
    (n, topics) float64 array
        A person's row sums to their margin less the model's expectation.
    """
    import xgboost

    if not len(inputs):
        return np.zeros((0, len(topics)))
    types = feature_types(questions)
    matrix = xgboost.DMatrix(inputs, feature_types=types, enable_categorical=True, nthread=1)
    parts = booster.predict(matrix, pred_contribs=True)[:, :-1].astype(np.float64)
    if len(topics) == parts.shape[1]:
        return parts
    summed = np.zeros((len(inputs), len(topics)))
    for number, topic in enumerate(topics):
        summed[:, number] = parts[:, list(topic.positions)].sum(axis=1)
    return summed


def draw(inside: npt.NDArray[np.bool_], size: int) -> Ints:
    """Draw people to explain: half of the cluster's own, half of the others, the first of each.

    Parameters
    ----------
    inside : (n,) bool array
        Who is of the cluster; rows stand in the order of a hash, so that the first are random.
    size : int
        At most this many.

    Returns
    -------
    (m,) intp array
        Sorted.
    """
    half = size // 2
    return np.sort(
        np.concatenate([np.flatnonzero(inside)[:half], np.flatnonzero(~inside)[: size - half]])
    )
