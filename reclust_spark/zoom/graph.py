"""Who is tied to whom, and how strongly: UMAP's fuzzy graph of a node's neighbourhoods.

Each point's distances are turned into strengths in (0, 1], 1 for its nearest, such that they sum to
log2(n_neighbors); the two directions of a pair are joined by a mix of fuzzy union and intersection.

References
----------
McInnes, Healy, Melville (2018). UMAP: uniform manifold approximation and projection for dimension
reduction. arXiv 1802.03426, sections 3.1 and 4.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from reclust_spark.warehouse.compiled import kernel
from reclust_spark.zoom.arrays import Floats
from reclust_spark.zoom.neighbors import Neighbors

BISECTIONS = 64
TOLERANCE = 1e-5
LEAST_SCALE = 1e-3
"""Of the mean distance: no neighbourhood is taken for narrower."""


def fuzzy_graph(neighbors: Neighbors, set_op_mix_ratio: float) -> sparse.csr_matrix:
    """Return the strength of each tie.

    Parameters
    ----------
    neighbors : Neighbors
        Of n_points points.
    set_op_mix_ratio : float
        1: a tie is as strong as one direction or the other makes it (fuzzy union); 0: only as both
        do (intersection).

    Returns
    -------
    csr_matrix of float32, shape (n_points, n_points)
        Symmetric, columns sorted, nothing on the diagonal.
    """
    n_points, n_neighbors = neighbors.indices.shape
    # the search may miss a neighbour: index −1 at an infinite distance
    found = neighbors.indices >= 0
    strengths = _strengths(np.where(found, neighbors.distances, np.inf).astype(np.float32))
    rows = np.repeat(np.arange(n_points, dtype=np.int32), n_neighbors)
    columns = np.where(found, neighbors.indices, 0).ravel()
    one_way = sparse.coo_matrix(
        (strengths.ravel(), (rows, columns)), shape=(n_points, n_points)
    ).tocsr()
    one_way.eliminate_zeros()
    back = one_way.T.tocsr()
    both = one_way.multiply(back)
    mixed = set_op_mix_ratio * (one_way + back) + (1 - 2 * set_op_mix_ratio) * both
    graph = sparse.csr_matrix(mixed, dtype=np.float32)
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


@kernel()
def _strengths(distances: Floats) -> Floats:
    """Turn each row's distances, itself first, into strengths; 0 for itself and what is missing."""
    n_points, n_neighbors = distances.shape
    strengths = np.zeros_like(distances)
    target = np.log2(n_neighbors)
    everywhere, n_finite = 0.0, 0
    for i in range(n_points):
        for j in range(n_neighbors):
            if distances[i, j] < np.inf:
                everywhere += distances[i, j]
                n_finite += 1
    for i in range(n_points):
        nearest, total, n_here = 0.0, 0.0, 0
        for j in range(n_neighbors):
            if distances[i, j] < np.inf:
                total += distances[i, j]
                n_here += 1
                if nearest == 0.0:
                    nearest = distances[i, j]  # the nearest that is not on the same place
        low, scale, high = 0.0, 1.0, np.inf
        for _ in range(BISECTIONS):
            found = 0.0
            for j in range(1, n_neighbors):
                beyond = distances[i, j] - nearest
                found += np.exp(-beyond / scale) if beyond > 0 else 1.0
            if abs(found - target) < TOLERANCE:
                break
            if found > target:
                high = scale
                scale = (low + high) / 2
            else:
                low = scale
                scale = scale * 2 if high == np.inf else (low + high) / 2
        typical = total / n_here if nearest > 0 else everywhere / n_finite
        scale = max(scale, LEAST_SCALE * typical)
        for j in range(1, n_neighbors):
            beyond = distances[i, j] - nearest
            if distances[i, j] < np.inf:
                strengths[i, j] = np.exp(-beyond / scale) if beyond > 0 else 1.0
    return strengths
