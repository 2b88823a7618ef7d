"""Make a process ready to fit with umap-learn's own layout."""

from __future__ import annotations

from reclust_spark.zoom import warm as ours


def warm() -> None:
    """Import umap-learn too, with its compiled code."""
    ours.warm()
    ours.fit_by_umap()
