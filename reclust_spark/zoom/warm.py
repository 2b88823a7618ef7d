"""Make a process ready to fit: compiled code from the cache, a first fit of each library."""

from __future__ import annotations

import numpy as np

from reclust_spark.config import ZoomOptions
from reclust_spark.zoom.arrays import EXACT_ROWS
from reclust_spark.zoom.node import Rows, split


def warm() -> None:
    """Import what a fit needs and fit once on a few rows: what every worker is forked from."""
    _fit(300, ZoomOptions(n_epochs=2, n_neighbors=10))


def fill_cache() -> None:
    """Compile all that can be stored, umap-learn's own layout too."""
    warm()
    _fit(EXACT_ROWS + 1, ZoomOptions(n_epochs=2, n_neighbors=10))
    fit_by_umap()


def fit_by_umap() -> None:
    """Fit once with umap-learn's own layout."""
    _fit(300, ZoomOptions(n_epochs=2, n_neighbors=10, layout="umap"))


def _fit(n_rows: int, options: ZoomOptions) -> None:
    values = np.random.default_rng(0).normal(size=(n_rows, 4)).astype(np.float32)
    rows = Rows(np.arange(n_rows).astype(str).astype(object), values, np.ones(n_rows))
    split(rows, seed=0, min_cluster_size=20, options=options)


if __name__ == "__main__":
    fill_cache()
