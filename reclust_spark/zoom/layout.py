"""UMAP's layout, the same whatever the number of threads.

umap-learn moves both ends of one tie after the other, so that a seeded layout has to run on one
thread. Here a point moves alone, by its own ties and its own random draws, while those that it
looks at stand still: the points are cut into a few parts, and a part moves at once. Any number of
threads may share a part, in any order, and every bit is the same. A tie is among those of both its
ends, so each end is drawn as often as in umap-learn. A pull goes half way at most, and where that
shortens it, the pushes that come with it are shortened alike. (Without the limit the ends of a
strong tie leap over each other in turn, and a pair that has begun to do so flies off the map.)

Ties are held against 1 / (1 + a d^2b) as in UMAP until groups have come together, then with a
smaller b: with heavier tails groups that only touch come apart (Kobak et al. 2020 found the same
for t-SNE), as they do not always under UMAP's own. From the start they would tear groups; heavier
still, they would part a group along its slopes.

The two forces depend on the squared distance alone. They are looked up in tables by the leading
bits of its floating-point form, which saves the powers and divisions that took most of the time;
the error is under .5 %, far below the noise of the draws.

References
----------
McInnes, Healy, Melville (2018). UMAP: uniform manifold approximation and projection for dimension
reduction. arXiv 1802.03426, section 3.2. Kobak, Linderman, Steinerberger, Kluger, Berens (2020).
Heavy-tailed kernels reveal a finer cluster structure in t-SNE visualisations. ECML PKDD.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reclust_spark.warehouse.compiled import kernel
from reclust_spark.zoom.arrays import Floats, Ints

EXTENT = 10.0
"""Of the start, in the units of the map."""
JITTER = 1e-4
OWN_PLACE = 1 / 8
"""Of the way to the nearest: how far a piece of the graph reaches at the start. It grows from
there; pieces that lie in each other would stay so, because nothing pulls them apart."""

PARTS = 4
SHARED_POINTS = 4_096
CHUNK = 1_024
"""Points that a thread moves at a time, where there are enough to share."""

NEGATIVES = 5
RATE = 0.3
HALF_WAY = 0.5
MOST = 4.0
"""A pull, or the pushes against it, move a point no further along an axis; in units of the map."""

AS_IN_UMAP = 0.1
"""The share of epochs under UMAP's own b."""
TAIL = 0.76
"""Of it, from there on. README, results, says what it is worth."""

KEPT_BITS = 16
"""Of a squared distance's 32: the exponent and 7 of the mantissa."""
EXPONENTS = (-24, 24)
NEAR = 1e-3

ARNOLDI_VECTORS = 20
ARNOLDI_TOLERANCE = 1e-4


def lay_out(
    graph: sparse.csr_matrix,
    start: Floats,
    n_epochs: int,
    min_dist: float,
    seed: int,
    threads: int = 1,
) -> Floats:
    """Move points along their ties, and away from others, until the map settles.

    Parameters
    ----------
    graph : csr_matrix of float32, shape (n_points, n_points)
        Symmetric; the strength of each tie.
    start : ndarray of float32, shape (n_points, n_components)
    n_epochs : int
        The strongest tie is drawn once an epoch.
    min_dist : float
        As UMAP's: how close points may come.
    seed : int
    threads : int
        The result does not depend on it.

    Returns
    -------
    ndarray of float32, shape (n_points, n_components)
    """
    places = np.ascontiguousarray(start, dtype=np.float32).copy()
    moved = np.empty_like(places)
    often = graph.data / graph.data.max() if graph.nnz else graph.data
    ties = (np.uint64(seed), graph.indptr, graph.indices, often, places, moved)
    as_in_umap = math.ceil(AS_IN_UMAP * n_epochs)
    sweep, sweep_all = _sweeps(places.shape[1])
    with ThreadPoolExecutor(threads) as pool:
        for first, last, tail in ((0, as_in_umap, 1.0), (as_in_umap, n_epochs, TAIL)):
            fixed = (*ties, *_forces(min_dist, tail))
            if threads == 1 or len(places) < SHARED_POINTS:
                sweep_all(first, last, n_epochs, *fixed)
                continue
            for epoch in range(first, last):
                rate = np.float32(_rate(epoch, n_epochs))  # a compiled function returns a double
                for part in range(PARTS):
                    begin, end = _part(part, len(places))
                    moves = [
                        pool.submit(sweep, at, min(at + CHUNK, end), epoch, rate, *fixed)
                        for at in range(begin, end, CHUNK)
                    ]
                    for move in moves:
                        move.result()
                    places[begin:end] = moved[begin:end]
    return places


@kernel()
def _rate(epoch: int, n_epochs: int) -> np.float32:
    return np.float32(RATE * (1 - epoch / n_epochs))


@kernel()
def _part(part: int, n_points: int) -> tuple[int, int]:
    return n_points * part // PARTS, n_points * (part + 1) // PARTS


def start_of(graph: sparse.csr_matrix, values: Floats, n_components: int, seed: int) -> Floats:
    """Return where the points start: the leading eigenvectors of their graph.

    A graph in several pieces has no such vectors for the whole: each piece is laid out by its own,
    around the place of its mean on the first principal axes of all.

    Parameters
    ----------
    graph : csr_matrix, shape (n_points, n_points)
        Symmetric.
    values : ndarray of float32, shape (n_points, n_features)
        Of the points; used where the graph is in pieces.
    n_components : int
    seed : int

    Returns
    -------
    ndarray of float32, shape (n_points, n_components)
    """
    n_pieces, piece_of = sparse.csgraph.connected_components(graph, directed=False)
    rng = np.random.default_rng(seed)
    if n_pieces == 1:
        places = _spectral(graph, n_components, rng)
        places *= EXTENT / max(np.abs(places).max(), np.finfo(float).tiny)
    else:
        places = _in_pieces(graph, values, piece_of, n_components, rng)
    places += rng.normal(scale=JITTER, size=places.shape)
    lowest, highest = places.min(axis=0), places.max(axis=0)
    return (EXTENT * (places - lowest) / (highest - lowest)).astype(np.float32)


def _spectral(
    graph: sparse.csr_matrix, n_components: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the leading eigenvectors of the normalised graph, but for the first."""
    n_points = graph.shape[0]
    wanted = n_components + 1
    root = sparse.diags(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel().astype(np.float64)))
    normal = (root @ graph @ root).tocsr()
    if n_points <= 2 * ARNOLDI_VECTORS:
        values, vectors = np.linalg.eigh(normal.toarray())
    else:
        try:
            values, vectors = sparse.linalg.eigsh(
                normal, wanted, which="LA", ncv=ARNOLDI_VECTORS + wanted,
                tol=ARNOLDI_TOLERANCE, v0=rng.normal(size=n_points),
            )  # fmt: skip
        except sparse.linalg.ArpackNoConvergence as stopped:
            # what has converged is the start's direction; the layout finds the rest
            values, vectors = stopped.eigenvalues, stopped.eigenvectors
    order = np.argsort(-values)[1:wanted]
    vectors = vectors[:, order]
    # an eigenvector has no sign of its own
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
    places = rng.normal(scale=JITTER, size=(n_points, n_components))
    places[:, : vectors.shape[1]] = vectors
    return places


def _in_pieces(
    graph: sparse.csr_matrix,
    values: Floats,
    piece_of: Ints,
    n_components: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    n_pieces = int(piece_of.max()) + 1
    members = [np.flatnonzero(piece_of == piece) for piece in range(n_pieces)]
    means = np.array([values[index].mean(axis=0, dtype=np.float64) for index in members])
    centred = means - means.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    centres = np.zeros((n_pieces, n_components))
    kept = min(n_components, len(scale))
    centres[:, :kept] = (left * scale)[:, :kept]
    centres *= EXTENT / max(np.abs(centres).max(), np.finfo(float).tiny)
    places = np.empty((len(values), n_components))
    for piece, index in enumerate(members):
        apart = np.linalg.norm(np.delete(centres, piece, axis=0) - centres[piece], axis=1).min()
        own = np.zeros((len(index), n_components))
        if len(index) > n_components + 1:
            own = _spectral(graph[index][:, index], n_components, rng)
            own *= apart * OWN_PLACE / max(np.abs(own).max(), np.finfo(float).tiny)
        places[index] = centres[piece] + own
    return places


class _Forces(NamedTuple):
    """Coefficients of a step, by the leading bits of the squared distance.

    Attributes
    ----------
    pull, push : ndarray of float32, shape (n_entries,)
    first : int
        The bits of the first entry.
    """

    pull: Floats
    push: Floats
    first: int


@cache
def _forces(min_dist: float, tail: float) -> _Forces:
    a, b = _curve(min_dist)
    b *= tail
    low, high = (((127 + exponent) << 23) >> KEPT_BITS for exponent in EXPONENTS)
    bits = np.arange(low, high, dtype=np.int32)
    middle = (bits << KEPT_BITS) + (1 << (KEPT_BITS - 1))
    squared = middle.astype(np.int32).view(np.float32).astype(np.float64)
    near = 1 + a * squared**b
    pull = 2 * a * b * squared ** (b - 1) / near
    push = 2 * b / ((NEAR + squared) * near)
    return _Forces(pull.astype(np.float32), push.astype(np.float32), int(low))


def _curve(min_dist: float, spread: float = 1.0) -> tuple[float, float]:
    """Fit 1 / (1 + a d^(2b)) to a membership that is 1 up to min_dist and decays from there."""
    from scipy.optimize import curve_fit

    distance = np.linspace(0, 3 * spread, 300)
    wanted = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), distance, wanted)
    return float(a), float(b)


@kernel()
def _force(squared: np.float32, table: Floats, lowest: int) -> np.float32:
    """Look a force up by the squared distance."""
    entry = (int(np.float32(squared).view(np.int32)) >> KEPT_BITS) - lowest
    return table[min(max(entry, 0), len(table) - 1)]


@cache
def _sweeps(n_components: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the inner loop, and all of them, for maps of so many dimensions.

    The number is then known to the compiler, which unrolls what goes over it.
    """

    @kernel()
    def sweep(
        first: int, last: int, epoch: int, rate: np.float32, seed: np.uint64,
        starts: NDArray[np.int32], others: NDArray[np.int32], often: Floats,
        places: Floats, moved: Floats, pull: Floats, push: Floats, lowest: int,
    ) -> None:  # fmt: skip
        n_points = np.uint64(len(places))
        at = np.empty(n_components, np.float32)
        apart = np.empty(n_components, np.float32)
        step = np.empty(n_components, np.float32)
        most = np.float32(MOST)
        for i in range(first, last):
            # SplitMix64 of seed, epoch and point starts the point's own xorshift
            state = seed + np.uint64(0x9E3779B97F4A7C15) * (
                np.uint64(epoch) * n_points + np.uint64(i) + np.uint64(1)
            )
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = (state ^ (state >> np.uint64(31))) | np.uint64(1)
            for c in range(n_components):
                at[c] = places[i, c]
            for tie in range(starts[i], starts[i + 1]):
                # a tie is drawn evenly over the epochs, from a phase of its own
                phase = np.float32((tie * 2654435761) & 0xFFFF) * np.float32(2.0**-16)
                so_far = often[tie] * np.float32(epoch) + phase
                if np.floor(so_far + often[tie]) == np.floor(so_far):
                    continue
                other = others[tie]
                squared = np.float32(0)
                paid = rate
                for c in range(n_components):
                    apart[c] = at[c] - places[other, c]
                    squared += apart[c] * apart[c]
                if squared > 0:
                    force = _force(squared, pull, lowest)
                    closer = min(rate * force, np.float32(HALF_WAY))
                    paid = closer / force
                    for c in range(n_components):
                        at[c] -= min(max(closer * apart[c], -most), most)
                # they push all at once: no distance has to wait for the push before it
                for c in range(n_components):
                    step[c] = 0
                for _ in range(NEGATIVES):
                    state ^= state << np.uint64(13)
                    state ^= state >> np.uint64(7)
                    state ^= state << np.uint64(17)
                    drawn = np.int64(((state >> np.uint64(32)) * n_points) >> np.uint64(32))
                    squared = np.float32(0)
                    for c in range(n_components):
                        apart[c] = at[c] - places[drawn, c]
                        squared += apart[c] * apart[c]
                    if squared > 0:
                        force = _force(squared, push, lowest)
                        for c in range(n_components):
                            step[c] += min(max(force * apart[c], -most), most)
                for c in range(n_components):
                    at[c] += paid * min(max(step[c], -most), most)
            for c in range(n_components):
                moved[i, c] = at[c]

    @kernel()
    def sweep_all(
        begin: int, end: int, n_epochs: int, seed: np.uint64,
        starts: NDArray[np.int32], others: NDArray[np.int32], often: Floats,
        places: Floats, moved: Floats, pull: Floats, push: Floats, lowest: int,
    ) -> None:  # fmt: skip
        for epoch in range(begin, end):
            rate = _rate(epoch, n_epochs)
            for part in range(PARTS):
                first, last = _part(part, len(places))
                sweep(
                    first, last, epoch, rate, seed, starts, others, often,
                    places, moved, pull, push, lowest,
                )  # fmt: skip
                places[first:last] = moved[first:last]

    return sweep, sweep_all
