"""What fits will cost, learned from those that were: for packing them, and for the time left.

A fit's seconds are taken for ``fixed + per_row · n + per_pair · n · min(n, EXACT_ROWS)``: layout
and clusters cost the same for each person, and up to EXACT_ROWS people all pairs are compared. On
MNIST's nodes, of 200 to 8,000 images, that is right to within a tenth on average.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reclust_spark.config import ZoomOptions
from reclust_spark.paths import child
from reclust_spark.zoom.arrays import EXACT_ROWS
from reclust_spark.zoom.tree import FIT_ROWS, FIT_SECONDS, FIT_THREADS, Node, stop_before_fit

OF_FIT = f"({FIT_ROWS}|{FIT_SECONDS}|{FIT_THREADS})$"
"""Finds the names of what `fits_in` reads, those of samples too."""
OF_SAMPLE = "sample_"
"""Begins the names of a sample's figures; its fit's seconds are with its models."""
FEWEST_SIZES = 3
USUAL_CHILDREN = 4.0
"""Of a split, before any is known."""


class Fit(NamedTuple):
    """A fit that was made.

    Attributes
    ----------
    rows : int
    seconds : float
    threads : int
    is_sample : bool
        Of a node that was too large, and then with its models.
    """

    rows: int
    seconds: float
    threads: int = 1
    is_sample: bool = False


class Cost(NamedTuple):
    """Seconds of a fit by one thread, in parts.

    Attributes
    ----------
    fixed, per_row, per_pair : float
        At least 0.
    of_sample : float
        How many times that a sample's fit takes, for it learns models as well.
    """

    fixed: float
    per_row: float
    per_pair: float
    of_sample: float = 1.0

    def seconds(self, rows: int) -> float:
        """Return the seconds of a fit of so many people."""
        return self.fixed + self.per_row * rows + self.per_pair * rows * min(rows, EXACT_ROWS)


BY_ROWS = Cost(0.0, 1.0, 0.0)
"""Before anything has been measured: in no unit, but enough to tell which node costs more."""


class Outlook(NamedTuple):
    """What is still to be done at the start of a wave.

    Attributes
    ----------
    open : list of Node
    max_fit_rows : int
        Nodes above it are fitted by samples.
    population : int
    slots : int
    children : float
        How many a split has on average.
    overhead : float
        Seconds of a wave beside its fits.
    """

    open: list[Node]
    max_fit_rows: int
    population: int
    slots: int
    children: float
    overhead: float


def fits_in(figures: Mapping[tuple[str, str], float]) -> list[Fit]:
    """Return the fits that figures tell of.

    Parameters
    ----------
    figures : mapping of (str, str) to float
        By place and name.
    """
    fits = []
    for (place, name), rows in figures.items():
        of = name.removesuffix(FIT_ROWS)
        seconds = figures.get((place, of + FIT_SECONDS))
        threads = figures.get((place, of + FIT_THREADS), 1.0)
        if of == name or seconds is None or not np.isfinite([rows, seconds, threads]).all():
            continue
        if rows >= 1:
            fits.append(Fit(int(rows), seconds, int(threads), of.startswith(OF_SAMPLE)))
    return fits


def learn_cost(fits: Iterable[Fit]) -> Cost | None:
    """Return the cost that fits show, or None where there are none.

    Relative errors count, so that small fits are told as well as large ones. Fits by several
    threads are left out: what one more is worth depends on the size. Fits of fewer than three
    sizes say what a person costs, and no more.

    Parameters
    ----------
    fits : iterable of Fit
    """
    from scipy.optimize import nnls

    alone = [fit for fit in fits if fit.threads == 1 and fit.seconds > 0]
    whole = [fit for fit in alone if not fit.is_sample] or alone
    if not whole:
        return None
    rows = np.array([fit.rows for fit in whole], dtype=np.float64)
    seconds = np.array([fit.seconds for fit in whole])
    if len(set(rows)) < FEWEST_SIZES:
        cost = Cost(0.0, float(np.median(seconds / rows)), 0.0)
    else:
        parts = np.column_stack([np.ones_like(rows), rows, rows * np.minimum(rows, EXACT_ROWS)])
        relative = parts / seconds[:, None]
        scale = np.linalg.norm(relative, axis=0)
        weights, _ = nnls(relative / scale, np.ones(len(rows)))
        cost = Cost(*(weights / scale).tolist())
    dearer = [fit.seconds / cost.seconds(fit.rows) for fit in alone if fit.is_sample]
    return cost._replace(of_sample=float(np.median(dearer))) if dearer else cost


def makespan(seconds: Sequence[float], slots: int) -> float:
    """Return how long tasks take on some slots, the longest first, each where one falls free.

    Parameters
    ----------
    seconds : sequence of float
    slots : int

    References
    ----------
    Graham (1969). Bounds on multiprocessing timing anomalies. SIAM J. Appl. Math. 17.
    """
    ends = [0.0] * slots
    for task in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + task)
    return max(ends)


def seconds_left(cost: Cost, ahead: Outlook, options: ZoomOptions) -> float:
    """Return about how long a zoom will go on.

    What the open nodes' splits will leave to be split is not known: each is taken to have as many
    children of one size as splits had so far on average.

    Parameters
    ----------
    cost : Cost
    ahead : Outlook
    options : ZoomOptions
    """
    waves: list[list[float]] = [[] for _ in range(options.max_depth)]
    for node in ahead.open:
        path, rows, alike = node.path, float(node.n_rows), 1.0
        for wave in waves:
            if stop_before_fit(path, int(rows), ahead.population, options) is not None:
                break
            if rows > ahead.max_fit_rows:
                fits, seconds = options.samples, cost.of_sample * cost.seconds(ahead.max_fit_rows)
            else:
                fits, seconds = 1, cost.seconds(int(rows))
            wave += [seconds] * round(alike * fits)
            path, rows, alike = child(path, 1), rows / ahead.children, alike * ahead.children
    return sum(makespan(wave, ahead.slots) + ahead.overhead for wave in waves if wave)
