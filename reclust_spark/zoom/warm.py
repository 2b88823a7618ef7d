"""Make a process ready to fit: UMAP's compiled code from the cache, a first fit of each library."""

from __future__ import annotations

import numpy as np

from reclust_spark.config import ZoomOptions
from reclust_spark.warehouse.compiled import enable_compile_cache
from reclust_spark.zoom.neighbors import EXACT_ROWS
from reclust_spark.zoom.node import Rows, split


def warm() -> None:
    """Import UMAP and HDBSCAN and fit each once on a few rows: what every worker is forked from.

    The search for neighbours that larger nodes need is left to the worker that meets one: its
    compiled code cannot be stored, and most sessions and workers never use it.
    """
    enable_compile_cache()
    _fit(300)


def fill_cache() -> None:
    """Compile all that can be stored, the search among more rows than are compared pairwise too."""
    warm()
    _fit(EXACT_ROWS + 100)


def _fit(n_rows: int) -> None:
    options = ZoomOptions(n_epochs=2, n_neighbors=10)
    values = np.random.default_rng(0).normal(size=(n_rows, 4)).astype(np.float32)
    rows = Rows(np.arange(n_rows).astype(str).astype(object), values, np.ones(n_rows))
    split(rows, seed=0, min_cluster_size=20, options=options)


if __name__ == "__main__":
    fill_cache()
