"""The recursion: split a node, then each cluster on its own rows, until it is not worth splitting.

`grow` works through one node and, below a size, all of its subtree; it returns what it found as
plain arrays. The Spark job calls it inside its tasks and a notebook calls it through `zoom_array`,
so both give the same tree.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reclust_spark.config import ZoomOptions
from reclust_spark.paths import ROOT, child, depth, seed_of
from reclust_spark.warehouse.names import MAX_DEPTH, TOO_SMALL
from reclust_spark.zoom.arrays import Floats, Ints
from reclust_spark.zoom.node import NOISE, Rows, Split, medoid, split

SEARCHED = ("euclidean", "cosine")
"""Metrics whose neighbours are found by our own search."""
FIT_ROWS, FIT_SECONDS, FIT_THREADS = "fit_rows", "fit_seconds", "fit_threads"
"""Names of a fit's figures."""
SMALL_PARTS = 2
"""A node is a small part of its wave where a slot has room for so many of them."""


class Engine(NamedTuple):
    """A way to split a node.

    Attributes
    ----------
    name : str
        As `nodes.engine` has it.
    split : callable
        From a node's rows, its seed, the smallest cluster in rows, the options and the threads that
        it may use to a `Split`.
    """

    name: str
    split: Callable[[Rows, int, int, ZoomOptions, int], Split]


UMAP_HDBSCAN = Engine("umap_hdbscan", split)


class Node(NamedTuple):
    """A node as its parent's split made it, and what became of it.

    Attributes
    ----------
    path : str
    n_rows : int
    weight : float
        The sum of its people's weights.
    persistence : float or None
        HDBSCAN's, within the parent's split; None for the root.
    medoid_row_id : str
    seed : int
    stop_reason : str or None
        None for a node that is split, or not yet fitted.
    n_children, n_noise : int
    engine : str or None
        None where nothing was fitted.
    n_fit : int or None
        The rows it was fitted on.
    trustworthiness : float or None
    stability : float or None
        How alike other samples of the parent have it (Jaccard); None where it was fitted whole.
    fidelity : float or None
        The share of fitted people, kept from the models of a sampled split, whom these put where
        the fit did; None where it was fitted whole.
    """

    path: str
    n_rows: int
    weight: float
    persistence: float | None
    medoid_row_id: str
    seed: int
    stop_reason: str | None = None
    n_children: int = 0
    n_noise: int = 0
    engine: str | None = None
    n_fit: int | None = None
    trustworthiness: float | None = None
    stability: float | None = None
    fidelity: float | None = None


class Placed(NamedTuple):
    """People whose place in the tree is final: at a leaf, or noise at a split node.

    `by_model` tells whom a model put there; None: nobody.
    """

    path: str
    is_noise: bool
    ids: NDArray[np.object_]
    strength: NDArray[np.float64]
    weights: NDArray[np.float64]
    by_model: NDArray[np.bool_] | None = None


class Map(NamedTuple):
    """The map of an embedded node; children are numbered from 0, -1 is noise or no split."""

    path: str
    ids: NDArray[np.object_]
    xy: Floats
    children: Ints


class Open(NamedTuple):
    """A node left for a task of its own, with its people."""

    node: Node
    ids: NDArray[np.object_]
    strength: NDArray[np.float64]


@dataclass
class Growth:
    """What a call of `grow` found.

    Attributes
    ----------
    nodes, placed, maps, open : list
    figures : dict of (str, str) to float
        By path and name: the seconds of each part of a fit and, as `cost` reads them, of the whole
        fit with its rows and threads; `task_started` is the Unix time at which the call began and
        `task_seconds` how long it took.
    """

    nodes: list[Node] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    maps: list[Map] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)
    figures: dict[tuple[str, str], float] = field(default_factory=dict)

    def add(self, other: Growth) -> None:
        """Take what another has found."""
        self.nodes += other.nodes
        self.placed += other.placed
        self.maps += other.maps
        self.open += other.open
        self.figures |= other.figures


class _Task(NamedTuple):
    node: Node
    rows: Rows
    strength: NDArray[np.float64]
    by_model: NDArray[np.bool_] | None = None


def cluster_size(path: str, n_rows: int, population: int, options: ZoomOptions) -> int:
    """Return the smallest cluster allowed at a node, in rows.

    Parameters
    ----------
    path : str
    n_rows : int
        The node's rows.
    population : int
        The rows of the whole table.
    options : ZoomOptions

    Returns
    -------
    int
        At least 2.
    """
    size = options.min_cluster_size
    if path == ROOT and options.root_min_cluster_size is not None:
        size = options.root_min_cluster_size
    return _least(size, n_rows, population, options)


def given_cluster_size(path: str, n_rows: int, population: int, options: ZoomOptions) -> int:
    """Return the smallest cluster allowed where clusters are given, in rows, at least 2.

    `min_cluster_size` is how HDBSCAN looks for clusters; of those that a model has found only the
    ones are dissolved that no tree may have.
    """
    size = options.root_min_cluster_size if path == ROOT else None
    return _least(2 if size is None else size, n_rows, population, options)


def _least(size: float, n_rows: int, population: int, options: ZoomOptions) -> int:
    rows = size * n_rows if size < 1 else size
    # a product such as .05 * 60 is a hair above 3: rounding first keeps the ceiling honest
    return max(2, math.ceil(round(max(rows, options.min_share * population), 6)))


def stop_before_fit(path: str, n_rows: int, population: int, options: ZoomOptions) -> str | None:
    """Return why a node needs no fit, or None where it does."""
    if depth(path) >= options.max_depth:
        return MAX_DEPTH
    if n_rows < 2 * cluster_size(path, n_rows, population, options):
        return TOO_SMALL
    return None


def inline_rows_in(
    sizes: Sequence[int], costs: Sequence[float], slots: int, options: ZoomOptions
) -> list[int]:
    """Return up to how many rows the children of each open node are finished in the same task.

    Beside a node that is a small part of its wave there is work enough for every slot: it is
    finished to its leaves, or a child left over would wait for the wave's end, alone.

    Parameters
    ----------
    sizes : sequence of int
        Rows of the nodes of one wave.
    costs : sequence of float
        What their fits will cost, in any unit.
    slots : int
        How many tasks run at once.
    options : ZoomOptions

    Returns
    -------
    list of int
    """
    small = sum(costs) / (SMALL_PARTS * slots)
    least = options.inline_rows
    return [
        max(size, least) if cost <= small else least
        for size, cost in zip(sizes, costs, strict=True)
    ]


def root_of(rows: Rows, options: ZoomOptions) -> Node:
    """Return the root of a population, not yet fitted."""
    return _born(ROOT, rows, None, options)


def unseen_root(population: int, options: ZoomOptions) -> Node:
    """Return what is known of the root before its rows are read; `root_of` gives the rest."""
    return Node(ROOT, population, math.nan, None, "", seed_of(options.seed, ROOT))


def grow(
    node: Node,
    rows: Rows,
    strength: NDArray[np.float64],
    population: int,
    options: ZoomOptions,
    engine: Engine = UMAP_HDBSCAN,
    threads: int = 1,
    by_model: NDArray[np.bool_] | None = None,
) -> Growth:
    """Split a node; finish children of up to ``inline_rows`` to their leaves, leave others open.

    Parameters
    ----------
    node : Node
        Not yet fitted.
    rows : Rows
        Its people, sorted by row_id.
    strength : ndarray of float64, shape (n_rows,)
        Their strength in the parent's split; NaN at the root.
    population : int
        The rows of the whole table.
    options : ZoomOptions
    engine : Engine
        Splits the node itself; those below it are embedded and clustered.
    threads : int
        The result does not depend on it.
    by_model : ndarray of bool, shape (n_rows,), optional
        Whom a model put at the node.

    Returns
    -------
    Growth
    """
    growth = Growth()
    started = time.perf_counter()
    growth.figures[node.path, "task_started"] = time.time()
    todo = [_Task(node, rows, strength, by_model)]
    # umap-learn's and PyNNDescent's compiled code ends the process if two threads are in it
    ours = options.layout == "parallel" and options.metric in SEARCHED
    at_once = threads if ours else 1
    # BLAS has one thread in each of ours: how many it has would show in the last bits
    with threadpool_limits(1), ThreadPoolExecutor(at_once) as pool:
        while todo:
            # one node has all threads; of several, each has one, the largest first
            share = max(1, threads // min(at_once, len(todo)))
            visits = [
                pool.submit(
                    _visit, task, population, options,
                    engine if task.node is node else UMAP_HDBSCAN, share,
                )
                for task in sorted(todo, key=lambda task: -task.node.n_rows)
            ]  # fmt: skip
            todo = []
            for visit in visits:
                found, children = visit.result()
                growth.add(found)
                for born in children:
                    if len(born.rows.ids) <= options.inline_rows or _is_leaf(
                        born, population, options
                    ):
                        todo.append(born)
                    else:
                        growth.open.append(Open(born.node, born.rows.ids, born.strength))
    growth.figures[node.path, "task_seconds"] = time.perf_counter() - started
    return growth


def _visit(
    task: _Task, population: int, options: ZoomOptions, engine: Engine, threads: int
) -> tuple[Growth, list[_Task]]:
    """Fit one node; return what is final, and its children."""
    node, rows, growth = task.node, task.rows, Growth()
    reason = stop_before_fit(node.path, node.n_rows, population, options)
    if reason is not None:
        growth.nodes.append(node._replace(stop_reason=reason))
        growth.placed.append(_stay(task))
        return growth, []
    started = time.perf_counter()
    size = cluster_size(node.path, node.n_rows, population, options)
    found = engine.split(rows, node.seed, size, options, threads)
    growth.figures[node.path, FIT_SECONDS] = time.perf_counter() - started
    growth.figures[node.path, FIT_ROWS] = node.n_rows
    growth.figures[node.path, FIT_THREADS] = threads
    for part, seconds in found.seconds.items():
        growth.figures[node.path, f"{part}_seconds"] = seconds
    growth.nodes.append(_fitted(node, found, engine.name))
    is_split = found.stop_reason is None
    if found.xy is not None:
        children = found.labels if is_split else np.full(len(rows.ids), NOISE, dtype=np.intp)
        growth.maps.append(Map(node.path, rows.ids, found.xy, children))
    if not is_split:
        growth.placed.append(_stay(task))
        return growth, []
    noise = np.flatnonzero(found.labels == NOISE)
    if len(noise):
        growth.placed.append(
            Placed(node.path, True, rows.ids[noise], found.strength[noise], rows.weights[noise])
        )
    born = [
        _child_task(node.path, number, rows, found, options)
        for number in range(len(found.persistence))
    ]
    return growth, born


def _stay(task: _Task) -> Placed:
    """Return all people of a node that is not split."""
    rows = task.rows
    return Placed(task.node.path, False, rows.ids, task.strength, rows.weights, task.by_model)


def _child_task(path: str, number: int, rows: Rows, found: Split, options: ZoomOptions) -> _Task:
    index = np.flatnonzero(found.labels == number)
    members = rows.take(index)
    persistence = float(found.persistence[number])
    node = _born(child(path, number + 1), members, persistence, options)
    return _Task(node, members, found.strength[index])


def _born(path: str, rows: Rows, persistence: float | None, options: ZoomOptions) -> Node:
    seed = seed_of(options.seed, path)
    central = medoid(rows.features, seed, options.metric)
    weight = math.fsum(rows.weights)
    return Node(path, len(rows.ids), weight, persistence, str(rows.ids[central]), seed)


def _fitted(node: Node, found: Split, engine: str) -> Node:
    is_split = found.stop_reason is None
    return node._replace(
        stop_reason=found.stop_reason,
        n_children=len(found.persistence) if is_split else 0,
        n_noise=int((found.labels == NOISE).sum()),
        engine=engine,
        n_fit=node.n_rows,
        trustworthiness=found.trustworthiness,
    )


def _is_leaf(task: _Task, population: int, options: ZoomOptions) -> bool:
    return stop_before_fit(task.node.path, task.node.n_rows, population, options) is not None
