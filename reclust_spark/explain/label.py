"""A readable name for a cluster, from its leading answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reclust_spark.explain.describe import EXTREMES, LEVEL

LEADING, MOST = 2, 4
LONGEST = 120
_ANSWER = 32
_BETWEEN = " · "


def label_clusters(
    explanations: Mapping[str, Sequence[Mapping[str, Any]]], shorts: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Name the children of a node, each unlike its siblings as far as their answers allow.

    Parameters
    ----------
    explanations : mapping of path to sequence of row
        A child's rows of the explanations table, the leading one first.
    shorts : mapping of source_column to str, optional
        A few words for a question, where the codebook has them.

    Returns
    -------
    dict of str to str
        At most 120 characters each.
    """
    labels: dict[str, str] = {}
    for path, rows in sorted(explanations.items()):
        telling = [row for row in rows if row["direction"] is not None]
        sizes = range(min(LEADING, len(telling)), min(MOST, len(telling)) + 1)
        options = [_joined(telling[:size], shorts or {}) for size in sizes]
        fresh = (option for option in options if option not in labels.values())
        labels[path] = next(fresh, options[-1]) or "no answer stands out"
    return labels


def answer_words(row: Mapping[str, Any]) -> str:
    """Return a cluster's answer as a name says it: the level, or the typical value.

    A bare number says where it lies; words say it themselves.
    """
    direction, value = row["direction"], row["cluster_value"]
    if direction.startswith(LEVEL):
        return str(direction.removeprefix(LEVEL))
    if direction == EXTREMES:
        return "extremes"
    is_number = value[:1].isdigit() or value[:1] == "-"
    return f"{value} ({direction})" if is_number else str(value)


def shortened(text: str, longest: int) -> str:
    """Cut a text at a word's end, with an ellipsis where something is gone."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > longest // 2 else cut).rstrip(" ,;:·…") + "…"


def _joined(rows: Sequence[Mapping[str, Any]], shorts: Mapping[str, str]) -> str:
    """Join answers, each with as much of its question as leaves room for all answers."""
    room = (LONGEST - len(_BETWEEN) * max(0, len(rows) - 1)) // max(1, len(rows))
    parts = []
    for row in rows:
        answer = shortened(answer_words(row), min(_ANSWER, room // 2))
        question = shorts.get(row["source_column"]) or row["question"]
        question = shortened(question, room - len(answer) - 2)
        colon = "" if question.endswith(("?", ".", "…")) else ":"
        parts.append(f"{question}{colon} {answer}")
    return _BETWEEN.join(parts)
