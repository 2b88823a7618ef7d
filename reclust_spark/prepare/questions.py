"""A question: a source column that becomes a position in `answers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from reclust_spark.prepare.values import (
    TEXT,
    ColumnSpec,
    Floats,
    numbers_of,
    parse,
    texts_of,
)


@dataclass(frozen=True)
class Question:
    """How a column is asked, read and decoded.

    Attributes
    ----------
    spec : ColumnSpec
        How the source column is read.
    text : str
        The words of the questionnaire; the column's name where there is no codebook.
    kind : str
        numeric, count, ordinal, nominal or binary.
    as_numbers : bool
        The column is read as numbers.
    levels : tuple of str or None
        The source's own values, in order; None for numeric and count.
    labels : tuple of str or None
        What to show for each level, where the codebook has labels.
    counts : tuple of int
        People at each level, over all rows; empty for numeric and count.
    minimum, maximum : float
        Over all rows, of numbers; 0 for texts.
    unit : str or None
    block_id : str or None
        The multi-select question that this column is an option of.
    short : str or None
        A few words for the question, the whole multi-select's where it is part of one.
    """

    spec: ColumnSpec
    text: str
    kind: str
    as_numbers: bool
    levels: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    counts: tuple[int, ...] = ()
    minimum: float = 0.0
    maximum: float = 0.0
    unit: str | None = None
    block_id: str | None = None
    short: str | None = None

    @property
    def column(self) -> str:
        """The source column."""
        return self.spec.name

    @property
    def codes(self) -> tuple[float, ...] | None:
        """The number that stands in `answers` for each level; None for numeric and count.

        Levels that are numbers stand for themselves, so that the mean of a 1-to-5 scale is on that
        scale; texts, and numbers that a 32-bit float would change, are counted 0, 1, 2 ….
        """
        if self.levels is None:
            return None
        if self.as_numbers:
            numbers = self.level_numbers
            if np.array_equal(numbers, numbers.astype(np.float32).astype(np.float64)):
                return tuple(numbers.tolist())
        return tuple(float(i) for i in range(len(self.levels)))

    @property
    def level_numbers(self) -> Floats:
        """The levels as numbers; NaN for those that are texts."""
        return parse(np.array(self.levels or (), dtype=object))


def answers_of(columns: pa.RecordBatch | pa.Table, questions: Sequence[Question]) -> Floats:
    """Read the answers to all questions.

    Parameters
    ----------
    columns : Arrow record batch or table of n rows
    questions : sequence of Question

    Returns
    -------
    (n, positions) float64 array
        Own units, or the index of the level; NaN where missing, and for a level never seen.
        Column-major: all that follows goes question by question.
    """
    answers = np.empty((columns.num_rows, len(questions)), dtype=np.float64, order="F")
    for position, question in enumerate(questions):
        array = columns.column(question.column)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        answers[:, position] = _answers(array, question)
    return answers


def coded(answers: Floats, questions: Sequence[Question]) -> np.ndarray:
    """Return answers as they stand in the features table.

    Parameters
    ----------
    answers : (n, positions) float64 array
        From `answers_of`.
    questions : sequence of Question

    Returns
    -------
    (n, positions) float32 array
        Own units, or the level's code; NaN where missing.
    """
    stored = np.empty(answers.shape, dtype=np.float32)
    for position, question in enumerate(questions):
        column = answers[:, position]
        if question.codes is not None:
            codes = np.append(np.asarray(question.codes), np.nan)
            column = codes[np.where(np.isnan(column), -1, column).astype(np.int64)]
        stored[:, position] = column
    return stored


def _answers(array: pa.Array, question: Question) -> Floats:
    if question.as_numbers:
        numbers = numbers_of(array, question.spec)
        return numbers if question.levels is None else _index(numbers, question.level_numbers)
    texts = texts_of(array, question.spec)
    places = {level: float(i) for i, level in enumerate(question.levels or ())}
    index = np.array([places.get(value, np.nan) for value in texts.values] + [np.nan])
    return index[texts.codes]


def _index(numbers: Floats, levels: Floats) -> Floats:
    order = np.argsort(levels)
    place = np.searchsorted(levels[order], numbers).clip(max=len(levels) - 1)
    found = levels[order][place] == numbers
    return np.where(found, order[place].astype(np.float64), np.nan)


def reads_numbers(spec: ColumnSpec, n_unparsed: int) -> bool:
    """Tell whether a column's answers are numbers, given how many of its texts are not."""
    return spec.material != TEXT or (spec.parse and n_unparsed == 0)
