"""Columns of equally long lists, such as `features`, to matrices and back. Arrow alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray


def matrix(
    column: pa.Array | pa.ChunkedArray,
    order: NDArray[np.intp] | None = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Return a column of equally long lists as a matrix.

    Parameters
    ----------
    column : Array or ChunkedArray of lists, length n_rows
    order : ndarray of int, shape (n_wanted,), optional
        The row wanted at each position, none of them twice; all as they come by default.
    dtype : dtype

    Returns
    -------
    ndarray, shape (n_wanted, length of a list)
        Of shape (0, 0) where the column has no rows.
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if order is None:
        order = np.arange(len(column))
    position = np.full(len(column), -1)
    position[order] = np.arange(len(order))
    values = np.empty((len(order), len(column[0]) if len(column) else 0), dtype=dtype)
    at = 0
    # chunk by chunk: joined, the lists of a large group would pass Arrow's 2**31 values an array
    for chunk in chunks:
        rows = np.asarray(chunk.flatten()).reshape(len(chunk), values.shape[1])
        to = position[at : at + len(chunk)]
        wanted = to >= 0
        values[to[wanted]] = rows if wanted.all() else rows[wanted]
        at += len(chunk)
    return values


def lists_of(values: NDArray[Any]) -> pa.ListArray:
    """Return a matrix as a column of lists, one a row."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))


def order_by(column: pa.ChunkedArray) -> NDArray[np.intp]:
    """Return the order that sorts a column of strings, by their UTF-8 bytes."""
    return np.asarray(pc.sort_indices(column), dtype=np.intp)
