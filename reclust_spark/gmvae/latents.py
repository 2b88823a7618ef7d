"""People's clusters and places in the latent space, a batch of Arrow rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from reclust_spark.gmvae.columns import Floats
from reclust_spark.gmvae.network import GMVAE
from reclust_spark.gmvae.objective import clusters
from reclust_spark.gmvae.store import from_bytes
from reclust_spark.warehouse.lists import lists_of, matrix

BLOCK = 256


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
        shares, places = _alone(model, matrix(rows["features"]))
        # of equal shares the first cluster, on any machine
        order = np.argsort(-shares, axis=1, kind="stable")[:, :kept]
        return pa.record_batch(
            {
                "row_id": rows["row_id"],
                "weight": rows["weight"],
                "clusters": lists_of(order.astype(np.int32)),
                "probabilities": lists_of(np.take_along_axis(shares, order, axis=1)),
                "z": lists_of(places),
            }
        )

    return encode


def _alone(model: GMVAE, features: Floats) -> tuple[Floats, Floats]:
    """Return q(y|x) and places, to the last bit the same whoever a person's neighbours are.

    How BLAS adds up depends on how many rows a product has: here it is always the same number.
    """
    shares = np.empty((len(features), model.shape.n_clusters), dtype=np.float32)
    places = np.empty((len(features), model.shape.n_latent), dtype=np.float32)
    block = np.zeros((BLOCK, model.shape.n_slots), dtype=np.float32)
    for at in range(0, len(features), BLOCK):
        size = min(BLOCK, len(features) - at)
        block[:size] = features[at : at + size]
        with torch.no_grad():
            y, z = clusters(model, torch.as_tensor(block))
        shares[at : at + size], places[at : at + size] = y[:size].numpy(), z[:size].numpy()
    return shares, places
