"""Columns that several steps need: look-ups, exact sums, and draws by a hash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F


def literal_map(values: Mapping[str, Any]) -> Column:
    """Return a few values by key as a map column; a key that is not there gives null."""
    if not values:
        return F.create_map(F.lit(""), F.lit(None).cast("string"))
    return F.create_map(*(F.lit(x) for pair in values.items() for x in pair))


def exact_sum(name: str) -> Column:
    """Return the sum of a column, the same in whatever order its numbers come: as decimals."""
    return F.sum(F.col(name).cast("decimal(38,18)"))


def ample(wanted: int) -> float:
    """Return how many to draw so that hardly ever fewer than are wanted come through."""
    return wanted + 5 * math.sqrt(wanted) + 10


def hash_limit(wanted: float, n_rows: int) -> int:
    """Return the largest signed 64-bit hash to keep so that `wanted` of `n_rows` are expected."""
    share = wanted / n_rows
    return 2**63 - 1 if share >= 1 else int(-(2**63) + share * 2**64)
