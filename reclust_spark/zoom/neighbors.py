"""Who is near whom, with hubs held back.

In many dimensions a few points (hubs: the sparse images among digits, the middling answers in a
survey) are near to nearly everyone, and whatever is odd is taken for one of them. Each distance is
therefore measured against the surroundings of both its ends, as in the contextual dissimilarity
NICDM (Jégou et al. 2007), which does best of many against hubs (Feldbauer & Flexer 2019), and as
PaCMAP does when it chooses neighbours:

    d'(x, y) = d(x, y) / (μ_x μ_y)^(correction / 2)

μ is the mean distance to the ten nearest. The full correction (1) lets groups that only touch flow
together; a quarter of it, the default, keeps the strays out and the groups apart (README, results).

Of few points all pairs are compared. Many are first cut into cells (k-means, on a sample), and a
point is compared with those of the cells nearest to it: the inverted file of Jégou et al. (2011),
searched for a cell of points at a time, so that matrix products do the work. What it has missed is
then looked for among the neighbours' neighbours, in both directions (Dong et al. 2011).

References
----------
Jégou, Harzallah, Schmid (2007). A contextual dissimilarity measure for accurate and efficient image
search. CVPR. Feldbauer, Flexer (2019). A comprehensive empirical comparison of hubness reduction in
high-dimensional spaces. Knowl. Inf. Syst. 59. Jégou, Douze, Schmid (2011). Product quantization for
nearest neighbor search. TPAMI 33. Dong, Moses, Li (2011). Efficient k-nearest neighbor graph
construction for generic similarity measures. WWW.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reclust_spark.warehouse.compiled import enable_compile_cache, kernel
from reclust_spark.zoom.arrays import EXACT_ROWS, Floats

SURROUNDINGS = 10
CANDIDATES = 2
"""Neighbours looked at for each one kept."""

CELL_ROWS = 400
CELLS_SEARCHED = 16
CELL_SAMPLE = 64
LLOYD_ROUNDS = 4
FURTHER = 10
"""After the search by cells, so many of those nearest to a point, and as many of those to which it
is near, are asked for theirs."""

PAIRWISE_ROWS = 4_096
"""Up to here all pairs are compared under other metrics, as in UMAP."""

BLOCK_ROWS = 512
"""Of one matrix product."""
FURTHER_ROWS = 2_048
"""Looked at in one piece of work."""


class Neighbors(NamedTuple):
    """The nearest points of each point, itself first.

    Attributes
    ----------
    indices : ndarray of int32, shape (n_points, k)
        -1 where the search has missed one.
    distances : ndarray of float32, shape (n_points, k)
        Infinite there.
    """

    indices: NDArray[np.int32]
    distances: Floats


def find_neighbors(
    values: Floats,
    n_neighbors: int,
    metric: str,
    correction: float,
    seed: int,
    threads: int = 1,
) -> Neighbors:
    """Find each point's neighbours, by distances corrected for hubs.

    Parameters
    ----------
    values : ndarray of float32, shape (n_points, n_features)
        Distinct.
    n_neighbors : int
        How many to keep, the point itself included; less than n_points.
    metric : str
        Any of UMAP's; euclidean and cosine are searched here, others by PyNNDescent.
    correction : float
        From 0 (none) to 1 (NICDM).
    seed : int
        Of the search, where it is not exact.
    threads : int
        The result does not depend on it.

    Returns
    -------
    Neighbors
        Sorted by corrected distance.
    """
    if correction == 0:
        return _nearest(values, n_neighbors, metric, seed, threads)
    wanted = min(len(values), max(CANDIDATES * n_neighbors, SURROUNDINGS + 1))
    found = _nearest(values, wanted, metric, seed, threads)
    return _corrected(found, n_neighbors, correction)


def _corrected(found: Neighbors, n_neighbors: int, correction: float) -> Neighbors:
    own, others = found.indices[:, :1], found.indices[:, 1:]
    distances = found.distances[:, 1:].astype(np.float64)
    near = distances[:, :SURROUNDINGS]
    # the search may miss a neighbour: index −1 at an infinite distance
    surroundings = near.mean(axis=1, where=np.isfinite(near))
    # a metric that sees only the angle can put distinct points on one place
    surroundings = np.maximum(surroundings, np.finfo(np.float32).tiny)
    scale = (surroundings[:, None] * surroundings[others]) ** (correction / 2)
    relative = distances / scale
    order = np.argsort(relative, axis=1, kind="stable")[:, : n_neighbors - 1]
    indices = np.hstack([own, np.take_along_axis(others, order, axis=1)])
    nearest = np.take_along_axis(relative, order, axis=1)
    ordered = np.hstack([np.zeros((len(own), 1)), nearest])
    return Neighbors(indices, np.asarray(ordered, dtype=np.float32))


def _nearest(values: Floats, wanted: int, metric: str, seed: int, threads: int) -> Neighbors:
    if metric == "euclidean":
        return _search(values, wanted, seed, threads)
    if metric == "cosine":
        found = _search(_on_sphere(values), wanted, seed, threads)
        halves = np.square(found.distances) / 2
        return Neighbors(found.indices, np.asarray(halves, dtype=np.float32))
    if len(values) <= PAIRWISE_ROWS:
        return _pairwise(values, wanted, metric)
    return _descend(values, wanted, metric, seed)


def _search(values: Floats, wanted: int, seed: int, threads: int) -> Neighbors:
    """Search by Euclidean distance."""
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        if len(values) <= EXACT_ROWS:
            return _compare_all(values, wanted, pool)
        return _compare_cells(values, wanted, seed, pool)


def _compare_all(values: Floats, wanted: int, pool: ThreadPoolExecutor) -> Neighbors:
    # about their mean, the differences of squares below lose the least
    centred = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    squares = _squares(centred)
    found, n_kept = _none_yet(len(values), wanted)
    everyone = np.arange(len(values), dtype=np.int32)

    def compare(first: int) -> None:
        part = slice(first, first + BLOCK_ROWS)
        points = everyone[part]
        _keep_nearest(centred[part] @ centred.T, squares, points, everyone, *found, n_kept)
        _measure(centred, points, *found)

    _each(pool, compare, range(0, len(values), BLOCK_ROWS))
    return found


def _compare_cells(values: Floats, wanted: int, seed: int, pool: ThreadPoolExecutor) -> Neighbors:
    mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
    centres = _centres(values, mean, seed)
    n_near = min(CELLS_SEARCHED, len(centres))
    near_cells = np.empty((len(values), n_near), dtype=np.int32)

    def assign(first: int) -> None:
        part = slice(first, first + BLOCK_ROWS)
        apart = _from_centres(values[part] - mean, centres)
        nearest = np.argpartition(apart, n_near - 1, axis=1)[:, :n_near]
        by_distance = np.take_along_axis(apart, nearest, axis=1).argsort(axis=1, kind="stable")
        near_cells[part] = np.take_along_axis(nearest, by_distance, axis=1)

    _each(pool, assign, range(0, len(values), BLOCK_ROWS))
    order = np.argsort(near_cells[:, 0], kind="stable")
    near_cells = near_cells[order]
    together = values[order]
    together -= mean
    squares = _squares(together)
    everyone = np.arange(len(values), dtype=np.int32)
    sizes = np.bincount(near_cells[:, 0], minlength=len(centres))
    starts = np.cumsum(sizes) - sizes
    members = [everyone[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    found, n_kept = _none_yet(len(values), wanted)

    def compare(points: NDArray[np.int32], others: NDArray[np.int32]) -> None:
        block = together[others[0] : others[-1] + 1]
        for first in range(0, len(points), BLOCK_ROWS):
            some = points[first : first + BLOCK_ROWS]
            _keep_nearest(together[some] @ block.T, squares, some, others, *found, n_kept)

    def search(cell: int) -> None:
        mine = members[cell]
        asked = near_cells[mine].ravel()
        by_cell = np.argsort(asked, kind="stable")
        for some in np.split(by_cell, np.flatnonzero(np.diff(asked[by_cell])) + 1):
            if len(others := members[asked[some[0]]]):
                compare(mine[some // n_near], others)
        if len(short := mine[n_kept[mine] < wanted - 1]):
            n_kept[short] = 0
            compare(short, everyone)
        _measure(together, mine, *found)

    _each(pool, search, [cell for cell in np.argsort(-sizes, kind="stable") if sizes[cell]])
    back = _reversed(found.indices)
    nearer, _ = _none_yet(len(values), wanted)

    def look_further(first: int) -> None:
        last = min(first + FURTHER_ROWS, len(values))
        _look_further(together, first, last, *found, back, *nearer)

    _each(pool, look_further, range(0, len(values), FURTHER_ROWS))
    result, _ = _none_yet(len(values), wanted)
    result.indices[order] = order.astype(np.int32)[nearer.indices]
    result.distances[order] = nearer.distances
    return result


@kernel()
def _keep_nearest(
    products: Floats,
    squares: Floats,
    points: NDArray[np.int32],
    others: NDArray[np.int32],
    indices: NDArray[np.int32],
    distances: Floats,
    n_kept: NDArray[np.int32],
) -> None:
    """Keep the others at the least distance, in a heap a point with the farthest on top."""
    size = indices.shape[1] - 1
    for row in range(len(points)):
        point = points[row]
        kept, near, n = indices[point, 1:], distances[point, 1:], n_kept[point]
        for column in range(len(others)):
            other = others[column]
            distance = squares[other] - np.float32(2) * products[row, column]
            if (n == size and distance >= near[0]) or other == point:
                continue
            if n < size:
                at = n
                n += 1
                while at > 0 and near[(at - 1) // 2] < distance:
                    above = (at - 1) // 2
                    near[at], kept[at] = near[above], kept[above]
                    at = above
            else:
                at = 0
                while 2 * at + 1 < size:
                    below = 2 * at + 1
                    if below + 1 < size and near[below + 1] > near[below]:
                        below += 1
                    if near[below] <= distance:
                        break
                    near[at], kept[at] = near[below], kept[below]
                    at = below
            near[at], kept[at] = distance, other
        n_kept[point] = n


@kernel(reorder=True)
def _measure(
    values: Floats,
    points: NDArray[np.int32],
    indices: NDArray[np.int32],
    distances: Floats,
) -> None:
    """Measure the distances that were kept in full, and sort by them; equal ones by the index."""
    size = indices.shape[1]
    for point in points:
        indices[point, 0], distances[point, 0] = point, 0
        for i in range(1, size):
            other = indices[point, i]
            total = np.float32(0)
            for c in range(values.shape[1]):
                step = values[point, c] - values[other, c]
                total += step * step
            distance = np.float32(np.sqrt(total))
            at = i
            while at > 1 and (
                distances[point, at - 1] > distance
                or (distances[point, at - 1] == distance and indices[point, at - 1] > other)
            ):
                distances[point, at] = distances[point, at - 1]
                indices[point, at] = indices[point, at - 1]
                at -= 1
            distances[point, at], indices[point, at] = distance, other


@kernel()
def _reversed(indices: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return some of those to whom each point is near, nearest first; -1 where they end."""
    n_points = len(indices)
    back = np.full((n_points, FURTHER), -1, dtype=np.int32)
    n_found = np.zeros(n_points, dtype=np.int32)
    for rank in range(1, min(FURTHER, indices.shape[1] - 1) + 1):
        for point in range(n_points):
            other = indices[point, rank]
            if n_found[other] < FURTHER:
                back[other, n_found[other]] = point
                n_found[other] += 1
    return back


@kernel(reorder=True)
def _look_further(
    values: Floats,
    first: int,
    last: int,
    known: NDArray[np.int32],
    how_far: Floats,
    back: NDArray[np.int32],
    indices: NDArray[np.int32],
    distances: Floats,
) -> None:
    """Take in whom one's nearest, and those to whom one is near, have near; as in NN-descent."""
    size = known.shape[1]
    reach = min(size - 1, FURTHER)
    seen = np.full(len(known), -1, dtype=np.int32)
    for point in range(first, last):
        indices[point], distances[point] = known[point], how_far[point]
        for i in range(size):
            seen[known[point, i]] = point
        for i in range(reach + FURTHER):
            between = known[point, 1 + i] if i < reach else back[point, i - reach]
            if between < 0:
                break
            for j in range(reach + 1 + FURTHER):
                other = known[between, j] if j <= reach else back[between, j - reach - 1]
                if other < 0:
                    break
                if seen[other] == point:
                    continue
                seen[other] = point
                total = np.float32(0)
                for c in range(values.shape[1]):
                    step = values[point, c] - values[other, c]
                    total += step * step
                distance = np.float32(np.sqrt(total))
                if distance >= distances[point, size - 1]:
                    continue
                at = size - 1
                while at > 1 and distances[point, at - 1] > distance:
                    distances[point, at] = distances[point, at - 1]
                    indices[point, at] = indices[point, at - 1]
                    at -= 1
                distances[point, at], indices[point, at] = distance, other


def _centres(values: Floats, mean: Floats, seed: int) -> Floats:
    """Return the centres of cells: k-means on a sample."""
    n_cells = len(values) // CELL_ROWS
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(values), min(len(values), CELL_SAMPLE * n_cells), replace=False)
    sample = values[np.sort(chosen)] - mean
    centres = sample[rng.choice(len(sample), n_cells, replace=False)]
    for _ in range(LLOYD_ROUNDS):
        cell_of = _from_centres(sample, centres).argmin(axis=1)
        sizes = np.bincount(cell_of, minlength=n_cells)
        inhabited = np.flatnonzero(sizes)
        starts = (np.cumsum(sizes) - sizes)[inhabited]
        sums = np.add.reduceat(sample[np.argsort(cell_of, kind="stable")], starts, axis=0)
        centres[inhabited] = sums / sizes[inhabited, None].astype(np.float32)
    return centres


def _from_centres(values: Floats, centres: Floats) -> Floats:
    """Return squared distances, but for what is the same for all centres."""
    return _squares(centres) - 2 * (values @ centres.T)


def _squares(values: Floats) -> Floats:
    return np.einsum("ij,ij->i", values, values)


def _none_yet(n_points: int, wanted: int) -> tuple[Neighbors, NDArray[np.int32]]:
    """Return room for so many neighbours a point, and how many of it is taken."""
    indices = np.empty((n_points, wanted), dtype=np.int32)
    distances = np.empty((n_points, wanted), dtype=np.float32)
    return Neighbors(indices, distances), np.zeros(n_points, dtype=np.int32)


def _each(pool: ThreadPoolExecutor, work: Callable[[int], None], items: Iterable[int]) -> None:
    """Do all of it, and raise what one has raised."""
    for _ in pool.map(work, items):
        pass


def _on_sphere(values: Floats) -> Floats:
    """Return points whose squared distance is twice the cosine's; zeros are at 1 from all."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    none = (lengths == 0).astype(np.float32)
    return np.hstack([values / (lengths + none), none])


def _pairwise(values: Floats, wanted: int, metric: str) -> Neighbors:
    from sklearn.metrics import pairwise_distances

    everyone = np.arange(len(values))
    distances = pairwise_distances(values.astype(np.float64), metric=metric).astype(np.float32)
    distances[everyone, everyone] = -1.0  # itself before any twin under this metric
    indices = np.argsort(distances, axis=1, kind="stable")[:, :wanted]
    distances[everyone, everyone] = 0.0
    near = np.take_along_axis(distances, indices, axis=1)
    return Neighbors(indices.astype(np.int32), near)


def _descend(values: Floats, wanted: int, metric: str, seed: int) -> Neighbors:
    from umap.umap_ import nearest_neighbors

    enable_compile_cache()
    indices, distances, _ = nearest_neighbors(
        values, wanted, metric, {}, False, np.random.RandomState(seed), n_jobs=1
    )
    rows = np.arange(len(values))
    place = (indices == rows[:, None]).argmax(axis=1)  # a twin under the metric may come first
    indices[rows, place], indices[:, 0] = indices[:, 0].copy(), rows
    return Neighbors(indices, np.asarray(distances, dtype=np.float32))
