"""The rows of profile, question_map and feature_map, from what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from reclust_spark.prepare.encode import Encoder
from reclust_spark.prepare.kinds import Decision
from reclust_spark.prepare.levels import observed_levels
from reclust_spark.prepare.questions import reads_numbers
from reclust_spark.prepare.values import UNSUPPORTED, Floats, as_text, numbers_of

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
TOP_LEVELS = 10
KEPT_ASIDE = "kept aside as an outside question"


def profile_rows(
    decisions: Sequence[Decision], sample: pa.Table, outside: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows of the profile table.

    Counts, levels and the ends of `quantiles` (0, 5, 25, 50, 75, 95, 100 %) are exact; mean, sd and
    the other quantiles are those of the sample, which is the whole table up to its size. n_distinct
    is null where it is not known exactly.

    Parameters
    ----------
    decisions : sequence of Decision
    sample : Arrow table
    outside : sequence of str
        Columns kept aside.

    Returns
    -------
    list of dict
    """
    return [_profile_row(item, sample, item.spec.name in outside) for item in decisions]


def _profile_row(decision: Decision, sample: pa.Table, aside: bool) -> dict[str, Any]:
    spec, profile = decision.spec, decision.profile
    as_numbers = reads_numbers(spec, profile.n_unparsed) and spec.material != UNSUPPORTED
    levels = observed_levels(profile, as_numbers)
    row: dict[str, Any] = {
        "source_column": spec.name,
        "kind": decision.kind,
        "n": profile.n,
        "n_missing": profile.n_missing,
        "n_distinct": None if levels is None else len(levels),
        "mean": None,
        "sd": None,
        "quantiles": None,
        "top_levels": None,
        "dropped_reason": KEPT_ASIDE if aside else decision.reason,
    }
    if levels is not None:
        top = sorted(levels.items(), key=lambda item: -item[1])[:TOP_LEVELS]
        row["top_levels"] = [
            (as_text(key) if isinstance(key, float) else key, people) for key, people in top
        ]
    if as_numbers and profile.n_answers:
        numbers = numbers_of(sample.column(spec.name).combine_chunks(), spec)
        row |= _moments(numbers[~np.isnan(numbers)], profile.minimum, profile.maximum)
        if levels is None and len(sample) == profile.n:
            row["n_distinct"] = len(np.unique(numbers[~np.isnan(numbers)]))
    return row


def _moments(numbers: Floats, minimum: float, maximum: float) -> dict[str, Any]:
    if not len(numbers):
        return {}
    inner = np.quantile(numbers, QUANTILES[1:-1]).tolist()
    return {
        "mean": float(numbers.mean()),
        "sd": float(numbers.std()),
        "quantiles": [minimum, *inner, maximum],
    }


def question_rows(encoder: Encoder) -> list[dict[str, Any]]:
    """Return the rows of the question_map table.

    `levels` are the source's own values, in order; `labels` what the codebook shows for each;
    `codes` the number that stands for each in `answers`. All three are null for numeric and count,
    whose answers are in their own units.
    """
    return [
        {
            "position": position,
            "source_column": question.column,
            "question": question.text,
            "short": question.short,
            "kind": question.kind,
            "levels": _list(question.levels),
            "labels": _list(question.labels),
            "codes": _list(question.codes),
            "missing_codes": list(question.spec.missing_codes),
            "unit": question.unit,
            "block_id": question.block_id,
        }
        for position, question in enumerate(encoder.questions)
    ]


def feature_rows(encoder: Encoder) -> list[dict[str, Any]]:
    """Return the rows of the feature_map table; see `encode` for the formula."""
    return [{"slot": i, **slot._asdict()} for i, slot in enumerate(encoder.slots)]


def _list(values: Sequence[Any] | None) -> list[Any] | None:
    return None if values is None else list(values)
