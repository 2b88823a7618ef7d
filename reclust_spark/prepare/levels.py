"""The levels of an ordinal, nominal or binary question: the codebook's, else those of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reclust_spark.errors import InputError
from reclust_spark.prepare.codebook import QuestionEntry
from reclust_spark.prepare.profile import ColumnProfile
from reclust_spark.prepare.questions import Question
from reclust_spark.prepare.values import as_text, parse
from reclust_spark.warehouse.names import BINARY, NOMINAL, ORDINAL

CATEGORICAL = (ORDINAL, NOMINAL, BINARY)
Observed = dict[float | str, int]


def observed_levels(profile: ColumnProfile, as_numbers: bool) -> Observed | None:
    """Return people by level in natural order; None where the levels are more than the cap.

    Parameters
    ----------
    profile : ColumnProfile
    as_numbers : bool
        Texts are read as numbers: ``1`` and ``1.0`` are one level.

    Returns
    -------
    dict or None
    """
    if profile.levels is None:
        return None
    found: Observed = {}
    keys = list(profile.levels)
    if as_numbers and any(isinstance(key, str) for key in keys):
        numbers = parse(np.array(keys, dtype=object)).tolist()
    else:
        numbers = keys
    for key, number in zip(keys, numbers, strict=True):
        found[number] = found.get(number, 0) + profile.levels[key]
    return dict(sorted(found.items()))


def with_levels(
    question: Question,
    observed: Observed | None,
    entry: QuestionEntry,
) -> Question:
    """Give a categorical question its levels, labels and counts.

    Parameters
    ----------
    question : Question
    observed : dict or None
        From `observed_levels`.
    entry : QuestionEntry
        What the codebook says.

    Returns
    -------
    Question

    Raises
    ------
    InputError
        If there are too many levels, their order is nowhere given, or the data hold one that the
        codebook does not list.
    """
    if observed is None:
        raise InputError(
            f"column {question.column!r}",
            f"has more than {question.spec.cap} distinct values, where it is to be {question.kind}",
            f"{question.spec.cap} levels",
            "name another kind in the codebook, or raise prepare.max_levels",
        )
    if entry.levels is None:
        if question.kind == ORDINAL and not question.as_numbers:
            raise InputError(
                f"column {question.column!r}",
                "is ordinal in the codebook, but nothing says in which order its texts are",
                "levels: in order, beside kind: ordinal",
                f"add levels: [{', '.join(map(str, list(observed)[:5]))}] in their order",
            )
        names = tuple(as_text(key) if isinstance(key, float) else key for key in observed)
        counts: tuple[int, ...] = tuple(observed.values())
        result = replace(question, levels=names, counts=counts)
    else:
        result = _declared(question, observed, entry.levels)
    if question.kind == BINARY and len(result.levels or ()) > 2:
        raise InputError(
            f"column {question.column!r}",
            f"has {len(result.levels or ())} levels, where the codebook says binary",
            "2 levels",
            "name the others in missing_codes, or change its kind to ordinal or nominal",
        )
    return result


def _declared(question: Question, observed: Observed, declared: dict[str, str]) -> Question:
    """Take the codebook's levels, after checking that the data hold no others."""
    names = list(declared)
    keys: list[float | str] = list(names)
    if question.as_numbers:
        keys = parse(np.array(names, dtype=object)).tolist()
    strangers = [key for key in observed if key not in keys]
    if strangers:
        first = strangers[0]
        shown = as_text(first) if isinstance(first, float) else first
        raise InputError(
            f"column {question.column!r}",
            f"{observed[first]} rows hold {shown!r}, which the codebook does not list",
            ", ".join(names),
            f"add {shown!r} to the column's levels or missing_codes in the codebook",
        )
    labels = tuple(declared.values())
    return replace(
        question,
        levels=tuple(names),
        labels=None if labels == tuple(names) else labels,
        counts=tuple(observed.get(key, 0) for key in keys),
    )
