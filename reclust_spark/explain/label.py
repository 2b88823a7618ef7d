"""A readable name for a cluster, from its leading answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reclust_spark.explain.describe import LEVEL

LEADING = 2
LONGEST = 120
_QUESTION, _ANSWER = 48, 32


def label_clusters(explanations: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Name the children of a node, each unlike its siblings as far as their answers allow.

    Parameters
    ----------
    explanations : mapping of path to sequence of row
        A child's rows of the explanations table, the leading one first.

    Returns
    -------
    dict of str to str
        At most 120 characters each.
    """
    labels: dict[str, str] = {}
    for path, rows in sorted(explanations.items()):
        answers = [row for row in rows if row["direction"] is not None]
        sizes = range(min(LEADING, len(answers)), len(answers) + 1) if answers else [0]
        options = [_label(answers[:size]) for size in sizes]
        labels[path] = next((o for o in options if o not in labels.values()), options[-1])
    return labels


def answer_words(row: Mapping[str, Any]) -> str:
    """Return a cluster's answer as a name says it: the level, or the typical value and whereto."""
    direction, value = row["direction"], row["cluster_value"]
    if direction.startswith(LEVEL):
        return str(direction.removeprefix(LEVEL))
    if direction == "extremes":
        return "the extremes"
    return f"{value} ({direction})"


def _label(rows: Sequence[Mapping[str, Any]]) -> str:
    parts = [
        f"{shortened(row['question'], _QUESTION)} {shortened(answer_words(row), _ANSWER)}"
        if row["question"].endswith(("?", "."))
        else f"{shortened(row['question'], _QUESTION)}: {shortened(answer_words(row), _ANSWER)}"
        for row in rows
    ]
    return shortened(" · ".join(parts), LONGEST) if parts else "no answer stands out"


def shortened(text: str, longest: int) -> str:
    """Cut a text at a word's end, with an ellipsis where something is gone."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > longest // 2 else cut).rstrip(" ,;:·") + "…"
