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

DECIMALS = 6


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
    model = from_bytes(blob, where).double()

    def encode(rows: pa.RecordBatch) -> pa.RecordBatch:
        shares, places = alone(model, matrix(rows["features"]))
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


def alone(model: GMVAE, features: Floats) -> tuple[Floats, Floats]:
    """Return q(y|x) and people's places, the same whoever is beside them.

    How BLAS adds up depends on how many rows a product has, in the last bits. So a model of double
    precision is asked, and what it says is rounded to where these bits do not reach.

    Parameters
    ----------
    model : GMVAE
        In double precision.
    features : (n, slots) float32 array

    Returns
    -------
    shares : (n, clusters) float32 array
    places : (n, latent) float32 array
    """
    with torch.no_grad():
        found = clusters(model, torch.as_tensor(features).double())
    shares, places = (one.round(decimals=DECIMALS).float().numpy() for one in found)
    return shares, places
