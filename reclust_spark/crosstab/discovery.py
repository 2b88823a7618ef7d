"""False discoveries: of many cells that are called different, how many are not."""

from __future__ import annotations

import numpy as np

from reclust_spark.crosstab.variance import Floats

DISCOVERED = 0.05
"""The false-discovery rate up to which a cell is marked as different."""


def is_discovery(q_value: float | None) -> bool:
    """Tell whether a cell is marked as different; None: it is not tested."""
    return q_value is not None and q_value <= DISCOVERED


def q_values(p_values: Floats) -> Floats:
    """Return the false-discovery rate at which each test would be called a discovery.

    Parameters
    ----------
    p_values : (n,) float64 array
        Of one family; NaN where nothing is tested.

    Returns
    -------
    (n,) float64 array
        NaN where nothing is tested.

    References
    ----------
    Benjamini, Hochberg (1995). Controlling the false discovery rate. JRSS B 57.
    """
    tested = np.flatnonzero(~np.isnan(p_values))
    falling = tested[np.argsort(-p_values[tested], kind="stable")]
    rank = np.arange(len(falling), 0, -1)
    q = np.full(len(p_values), np.nan)
    q[falling] = np.minimum.accumulate(p_values[falling] * len(falling) / np.maximum(rank, 1))
    return q
