"""Exact, order-free statistics of the source's columns, counted in parts and merged.

Whatever the partitions and the order of the rows, the merged result is the same: sums of whole
numbers, minima, maxima and unions only. What needs real arithmetic (means, quantiles) is learned
from the sample instead, see `sample.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reclust_spark.prepare.hashing import splitmix64
from reclust_spark.prepare.values import (
    TEXT,
    UNSUPPORTED,
    ColumnSpec,
    Floats,
    numbers_of,
    parse,
    texts_of,
)

Level = float | str
FLOAT32_MAX = float(np.finfo(np.float32).max)
_WORD = 2**64
_CHUNK = 2**20


@dataclass(frozen=True)
class ColumnProfile:
    """What is known of a column, exactly.

    Attributes
    ----------
    n, n_missing : int
        Rows, and rows without an answer.
    levels : dict or None
        Rows by distinct value, a number or a text; None where there are more than the cap.
    minimum, maximum : float
        Of the finite numbers; +inf and −inf where there are none.
    whole : bool
        All finite numbers are whole.
    n_infinite : int
        Numbers that are infinite or beyond a 32-bit float.
    n_unparsed : int
        Texts that are no numbers.
    unparsed : str or None
        The first of them in alphabetical order.
    fingerprint : int
        Sum, modulo 2**64, of a hash of each finite number: equal multisets have equal sums.
    """

    n: int = 0
    n_missing: int = 0
    levels: dict[Level, int] | None = None
    minimum: float = np.inf
    maximum: float = -np.inf
    whole: bool = True
    n_infinite: int = 0
    n_unparsed: int = 0
    unparsed: str | None = None
    fingerprint: int = 0

    @property
    def n_answers(self) -> int:
        """Rows with an answer."""
        return self.n - self.n_missing

    @property
    def is_row_number(self) -> bool:
        """The numbers run from a to b without gap or repeat, over all rows."""
        span = self.maximum - self.minimum + 1
        if self.n_missing or self.n_infinite or not self.whole or span != self.n:
            return False
        return self.fingerprint == _fingerprint_of_run(int(self.minimum), self.n)


EMPTY = ColumnProfile(levels={})
"""The profile of no rows: merging with it changes nothing."""


def merge(one: ColumnProfile, other: ColumnProfile, cap: int) -> ColumnProfile:
    """Return the profile of both parts together; associative and commutative.

    Parameters
    ----------
    one, other : ColumnProfile
        Of disjoint rows of the same column.
    cap : int
        Distinct values up to this many are kept, beyond it none.

    Returns
    -------
    ColumnProfile
    """
    levels: dict[Level, int] | None = None
    if one.levels is not None and other.levels is not None:
        union = Counter(one.levels)
        union.update(other.levels)
        levels = dict(union) if len(union) <= cap else None
    examples = [text for text in (one.unparsed, other.unparsed) if text is not None]
    return ColumnProfile(
        n=one.n + other.n,
        n_missing=one.n_missing + other.n_missing,
        levels=levels,
        minimum=min(one.minimum, other.minimum),
        maximum=max(one.maximum, other.maximum),
        whole=one.whole and other.whole,
        n_infinite=one.n_infinite + other.n_infinite,
        n_unparsed=one.n_unparsed + other.n_unparsed,
        unparsed=min(examples, default=None),
        fingerprint=(one.fingerprint + other.fingerprint) % _WORD,
    )


def profile_column(array: pa.Array, spec: ColumnSpec, *, count: bool = True) -> ColumnProfile:
    """Return the profile of a part of a column.

    Parameters
    ----------
    array : Arrow array
    spec : ColumnSpec
    count : bool
        False skips counting levels, once they are known to be more than the cap.

    Returns
    -------
    ColumnProfile
    """
    if spec.material == UNSUPPORTED:
        return ColumnProfile(n=len(array), n_missing=array.null_count)
    if spec.material == TEXT:
        return _profile_texts(array, spec, count)
    numbers = numbers_of(array, spec)
    numbers = numbers[~np.isnan(numbers)] + 0.0
    base = ColumnProfile(n=len(array), n_missing=len(array) - len(numbers))
    levels: dict[Level, int] | None = None
    if count:
        values, counts = np.unique(numbers, return_counts=True)
        if len(values) <= spec.cap:
            levels = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return replace(base, levels=levels, **_number_facts(numbers, np.ones(len(numbers), np.uint64)))


def _profile_texts(array: pa.Array, spec: ColumnSpec, count: bool) -> ColumnProfile:
    texts = texts_of(array, spec)
    answered = texts.codes[texts.codes >= 0]
    counts = np.bincount(answered, minlength=len(texts.values))
    values, counts = texts.values[counts > 0], counts[counts > 0]
    base = ColumnProfile(n=len(array), n_missing=len(array) - len(answered))
    if count and len(values) <= spec.cap:
        base = replace(base, levels=dict(zip(values.tolist(), counts.tolist(), strict=True)))
    if not spec.parse:
        return base
    numbers = parse(values)
    bad = np.isnan(numbers)
    return replace(
        base,
        n_unparsed=int(counts[bad].sum()),
        unparsed=min(values[bad].tolist(), default=None),
        **_number_facts(numbers[~bad] + 0.0, counts[~bad].astype(np.uint64)),
    )


def _number_facts(numbers: Floats, counts: npt.NDArray[np.uint64]) -> dict[str, Any]:
    finite = np.abs(numbers) <= FLOAT32_MAX
    beyond = int(counts[~finite].sum())
    numbers, counts = numbers[finite], counts[finite]
    if not len(numbers):
        return {"n_infinite": beyond}
    hashes = splitmix64(numbers.view(np.uint64)) * counts
    return {
        "n_infinite": beyond,
        "minimum": float(numbers.min()),
        "maximum": float(numbers.max()),
        "whole": bool(np.all(numbers == np.rint(numbers))),
        "fingerprint": int(hashes.sum(dtype=np.uint64)),
    }


def _fingerprint_of_run(first: int, n: int) -> int:
    total = 0
    for start in range(first, first + n, _CHUNK):
        run = np.arange(start, min(start + _CHUNK, first + n), dtype=np.float64)
        total += int(splitmix64(run.view(np.uint64)).sum(dtype=np.uint64))
    return total % _WORD
