"""How much memory a fit needs, and how many people one fits into what there is."""

from __future__ import annotations

from reclust_spark.config import ZoomOptions

BASE = 300 * 2**20
"""A worker that has imported and compiled all it needs."""
COPIES = 5
"""Of a task's features at once: Arrow's, the rows sorted, distinct patterns, one more while either
is made, and the children's; a sample has no children with it, but half as many people held out, in
Arrow and as rows."""
OF_NEIGHBOR = 80
"""Bytes for each neighbour of each person: both directions of the graph, with their weights."""
ARROW_VALUES = 2**31 - 1
"""One Arrow list column holds no more numbers."""
FEWEST_ROWS = 1_000


def fit_bytes(n_rows: int, width: int, options: ZoomOptions) -> int:
    """Return how much memory a task takes that fits so many people.

    Parameters
    ----------
    n_rows : int
    width : int
        Features a person.
    options : ZoomOptions

    Returns
    -------
    int
        Bytes of the whole Python worker.
    """
    return BASE + n_rows * _bytes_a_row(width, options)


def rows_that_fit(memory: int, width: int, options: ZoomOptions) -> int:
    """Return how many people a task can fit in so many bytes; 0 where the worker itself is too big.

    It never exceeds what one Arrow list column can hold.
    """
    rows = max(0, memory - BASE) // _bytes_a_row(width, options)
    return min(rows, ARROW_VALUES // max(1, width))


def _bytes_a_row(width: int, options: ZoomOptions) -> int:
    return COPIES * 4 * width + OF_NEIGHBOR * options.n_neighbors
