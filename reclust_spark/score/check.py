"""Whether a table fits the questionnaire of a tree: what is missing, unknown, or in other units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from reclust_spark.onevsall.predict import Mismatch, Question, read_people

FOUND_DDL = "source_column string, found string, n bigint, example string, answers bigint"
_FOUND = pa.schema(
    [
        ("source_column", pa.string()),
        ("found", pa.string()),
        ("n", pa.int64()),
        ("example", pa.string()),
        ("answers", pa.int64()),
    ]
)
BELOW, ABOVE, SILENT = "lies below what the tree's people answered", "lies above it", "silent"
OTHER_UNITS = "is in other units"
NEARLY_ALL = 0.95
FEW = 20


class Usual(NamedTuple):
    """Between which numbers nine in ten of the tree's people answered a question."""

    low: float
    high: float


def survey_batch(
    columns: pa.RecordBatch,
    questions: Sequence[Question],
    usual: Mapping[str, Usual],
    untyped: bool,
) -> pa.RecordBatch:
    """Count what does not fit in a batch of people.

    Parameters
    ----------
    columns : Arrow record batch of n rows
    questions : sequence of Question
    usual : mapping of source_column to Usual
        Of numeric and count questions.
    untyped : bool
        The source (CSV) holds text only.

    Returns
    -------
    Arrow record batch
        As FOUND_DDL says: a row for each thing found, and for the people without any answer.
    """
    people = read_people(columns, questions, untyped=untyped)
    rows = [
        {"source_column": m.column, "found": m.found, "n": m.n, "example": m.example, "answers": 0}
        for m in people.mismatches
        if m.n
    ]
    for position, question in enumerate(questions):
        if question.source_column not in usual:
            continue
        low, high = usual[question.source_column]
        values = people.inputs[:, position]
        answers = int((~np.isnan(values)).sum())
        for found, n in ((BELOW, (values < low).sum()), (ABOVE, (values > high).sum())):
            rows.append(
                {
                    "source_column": question.source_column,
                    "found": found,
                    "n": int(n),
                    "example": None,
                    "answers": answers,
                }
            )
    n_silent = int(np.isnan(people.inputs).all(axis=1).sum())
    rows.append(
        {"source_column": "", "found": SILENT, "n": n_silent, "example": None, "answers": 0}
    )
    return pa.RecordBatch.from_pylist(rows, _FOUND)


def judge_findings(rows: Iterable[Mapping[str, Any]], usual: Mapping[str, Usual]) -> list[Mismatch]:
    """Tell from the counts of the whole table what is to be named.

    Numbers are taken to be in other units where nineteen of twenty answers lie on one side of the
    range in which nine of ten of the tree's people answered.

    Parameters
    ----------
    rows : iterable of mapping
        The rows of `survey_batch`, summed by source_column and found.
    usual : mapping of source_column to Usual

    Returns
    -------
    list of Mismatch
    """
    found = []
    for row in sorted(rows, key=lambda row: (row["source_column"], row["found"])):
        column, n = row["source_column"], row["n"]
        if row["found"] == SILENT or not n:
            continue
        if row["found"] not in (BELOW, ABOVE):
            found.append(Mismatch(column, row["found"], n, row["example"]))
        elif row["answers"] >= FEW and n >= NEARLY_ALL * row["answers"]:
            low, high = usual[column]
            side = "below" if row["found"] == BELOW else "above"
            said = f"{OTHER_UNITS}, it seems: {side} the usual {low:g} to {high:g}"
            found.append(Mismatch(column, said, n))
    return found


def in_other_units(found: Iterable[Mismatch]) -> set[str]:
    """Return the columns that `judge_findings` says are in other units."""
    return {mismatch.column for mismatch in found if mismatch.found.startswith(OTHER_UNITS)}


def check_units(questions: Sequence[Question], units: Mapping[str, str | None]) -> list[Mismatch]:
    """Compare the units that a codebook declares with those of the tree.

    Parameters
    ----------
    questions : sequence of Question
    units : mapping of source_column to unit
        What the codebook that is given now says.

    Returns
    -------
    list of Mismatch
    """
    return [
        Mismatch(q.source_column, f"is in {units[q.source_column]}, the tree's in {q.unit}", 0)
        for q in questions
        if q.unit and units.get(q.source_column) and units[q.source_column] != q.unit
    ]
