"""People's clusters and places in the latent space, a batch of Arrow rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from reclust_spark.gmvae.objective import clusters
from reclust_spark.gmvae.store import from_bytes


def encoder(blob: bytes, where: str, kept: int) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return a function from rows of the features table to rows of the latents table.

    Parameters
    ----------
    blob : bytes
        Of `store.to_bytes`.
    where : str
        Named in the error of a model that cannot be read.
    kept : int
        How many of a person's most probable clusters are kept.
    """
    model = from_bytes(blob, where)

    def encode(rows: pa.RecordBatch) -> pa.RecordBatch:
        width = model.shape.n_slots
        values = np.asarray(rows["features"].flatten(), np.float32).reshape(rows.num_rows, width)
        with torch.no_grad():
            shares, places = clusters(model, torch.as_tensor(values))
        # of equal shares the first cluster, on any machine
        order = np.argsort(-shares.numpy(), axis=1, kind="stable")[:, :kept]
        top = np.take_along_axis(shares.numpy(), order, axis=1)
        return pa.record_batch(
            {
                "row_id": rows["row_id"],
                "clusters": pa.array(list(order.astype(np.int32))),
                "probabilities": pa.array(list(top)),
                "z": pa.array(list(places.numpy())),
            }
        )

    return encode
