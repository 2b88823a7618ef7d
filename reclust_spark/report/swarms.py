"""SHAP values of a question as a swarm shows them: by value, shaded by the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reclust_spark.explain.describe import words
from reclust_spark.explain.shapley import Topic
from reclust_spark.onevsall.predict import Question
from reclust_spark.report.content import Swarm
from reclust_spark.warehouse.names import BINARY, NOMINAL

CHOSEN, NOT_CHOSEN, OTHERS = "chosen", "not chosen", "other answers"
_TAIL = 0.05
"""Answers beyond these quantiles do not stretch the colours."""

Doubles = npt.NDArray[np.float64]


def swarm_of(
    topic: Topic,
    questions: Sequence[Question],
    answers: Doubles,
    shap: Doubles,
    leads: str | None,
) -> Swarm:
    """Return a question's swarm.

    Parameters
    ----------
    topic : Topic
    questions : sequence of Question
        By position.
    answers, shap : (n,) float64 array
        Own units or level indexes, NaN where missing, or whether the leading option of a
        multi-select was chosen; log odds.
    leads : str or None
        The level, or option, that the cluster is ahead in, where the direction is one.

    Returns
    -------
    Swarm
        Sorted by value, which parts a person's answers to different questions from each other.
    """
    order = np.argsort(shap, kind="stable")
    answers, shap = answers[order], shap[order]
    question = questions[topic.positions[0]]
    if topic.options:
        texts = np.array([NOT_CHOSEN, CHOSEN], dtype=object)
        shade, low, high = answers, NOT_CHOSEN, leads or CHOSEN
        spoken = [None if np.isnan(a) else str(texts[int(a > 0)]) for a in answers]
    else:
        said = {a: words(question, float(a)) for a in np.unique(answers[~np.isnan(answers)])}
        spoken = [said.get(a) for a in answers]
        if question.kind in (NOMINAL, BINARY):
            leads = leads if leads is not None else _last(said)
            shade = np.array([np.nan if text is None else float(text == leads) for text in spoken])
            low, high = _other(question, leads), leads
        else:
            shade, low, high = _stretched(question, answers)
    names = tuple(dict.fromkeys(text for text in spoken if text is not None))
    place = {name: i for i, name in enumerate(names)}
    return Swarm(
        topic.source_column,
        topic.question,
        shap.astype(np.float32),
        np.asarray(shade, dtype=np.float32),
        names,
        np.array([-1 if text is None else place[text] for text in spoken], dtype=np.intp),
        low,
        high,
    )


def _last(said: dict[float, str]) -> str:
    return said[max(said)] if said else ""


def _other(question: Question, leads: str) -> str:
    names = [name for name in question.labels or question.levels or () if name != leads]
    return names[0] if len(names) == 1 else OTHERS


def _stretched(question: Question, answers: Doubles) -> tuple[Doubles, str, str]:
    """Return answers from 0 to 1 between their tails, and what these ends are."""
    known = answers[~np.isnan(answers)]
    if not len(known):
        return np.full(len(answers), np.nan), "", ""
    low, high = np.quantile(known, [_TAIL, 1 - _TAIL], method="nearest")
    if low == high:
        low, high = known.min(), known.max()
    span = high - low or 1.0
    shade = np.clip((answers - low) / span, 0, 1)
    return shade, words(question, float(low)), words(question, float(high))
