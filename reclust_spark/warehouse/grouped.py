"""Grouped maps over people: one group, one task, the largest first.

A group's rows reach a plain function as one Arrow table and leave it as another. The function may
run twice (a retry, speculation), so it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

RANK = "rank"


def map_groups(
    frame: DataFrame, groups: int, work: Callable[[int, pa.Table], pa.Table], schema: StructType
) -> DataFrame:
    """Apply a function to each group of a frame.

    Parameters
    ----------
    frame : DataFrame
        With a column `rank`: the group's number from 0, the largest group first.
    groups : int
        How many groups there are.
    work : callable
        From a rank and the group's rows to the rows it returns.
    schema : StructType
        Of what it returns.

    Returns
    -------
    DataFrame
        Lazy.
    """

    def apply(key: tuple[pa.Scalar, ...], rows: pa.Table) -> pa.Table:
        return work(key[0].as_py(), rows)

    # a partition a group, in rank's order: Spark starts the large ones first and gives each slot
    # that falls free the next
    placed = frame.repartitionById(groups, F.col(RANK))
    return placed.groupBy(RANK).applyInArrow(apply, schema)


def matrix(column: pa.ChunkedArray, order: np.ndarray) -> np.ndarray:
    """Return a column of equally long lists as a matrix.

    Parameters
    ----------
    column : ChunkedArray of list<float>, length n_rows
    order : ndarray of int, shape (n_rows,)
        The row wanted at each position.

    Returns
    -------
    ndarray of float32, shape (n_rows, length of a list)
    """
    position = np.empty(len(order), dtype=np.intp)
    position[order] = np.arange(len(order))
    width = len(column[0])
    values = np.empty((len(order), width), dtype=np.float32)
    at = 0
    # chunk by chunk: joined, the lists of a large group would pass Arrow's 2**31 values an array
    for chunk in column.chunks:
        rows = np.asarray(chunk.flatten()).reshape(len(chunk), width)
        values[position[at : at + len(chunk)]] = rows
        at += len(chunk)
    return values


def order_by(column: pa.ChunkedArray) -> np.ndarray:
    """Return the order that sorts a column of strings, by their UTF-8 bytes."""
    return np.asarray(pc.sort_indices(column), dtype=np.intp)
