"""What two builds of the same tables are compared by."""

from __future__ import annotations

import hashlib

import pandas as pd
from deltalake import DeltaTable

WRITTEN = {
    "prepare": ("features",),
    "zoom": ("nodes", "assignments", "embeddings"),
    "explain": ("models", "explanations"),
    "score": ("scores",),
}
"""The steps in order, and what each writes that is compared."""
OF_A_RUN = {"run_id", "input_version", "input_table"}


def hash_of(table: str, storage: dict[str, str] | None = None) -> str:
    """Return a hash of a Delta table's rows, whatever their order; what tells of a run is left out.

    Parameters
    ----------
    table : str
        Its folder or address.
    storage : dict of str to str, optional
        How delta-rs gets there.
    """
    rows = DeltaTable(table, storage_options=storage).to_pandas()
    rows = rows.drop(columns=[name for name in rows if name in OF_A_RUN])
    for name in [name for name in rows if rows[name].dtype == object]:
        rows[name] = rows[name].map(
            lambda value: repr(value.tolist()) if hasattr(value, "tolist") else value
        )
    return hashlib.sha256(
        "".join(sorted(map(str, pd.util.hash_pandas_object(rows, index=False)))).encode()
    ).hexdigest()
