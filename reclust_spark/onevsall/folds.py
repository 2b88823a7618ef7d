"""Who trains, tunes and tests: three to one to one in every cluster, the same at any depth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FOLDS = 5
TRAINING_FOLDS = 3
TEST = 3
"""Folds are dealt in turn: 1 tunes, 3 tests, 0, 2 and 4 train."""

SMALL = 100
"""A node with a child of fewer rows has too few to test on: its models are judged out of fold."""

Rows = npt.NDArray[np.intp]


class Judged(NamedTuple):
    """Rows to set calibration and thresholds on, and rows to measure on with these."""

    tune: Rows
    test: Rows


class Round(NamedTuple):
    """A fit: rows to train on, rows to stop early on, and rows held out of it."""

    train: Rows
    stop: Rows
    held_out: Rows


class Plan(NamedTuple):
    """How a node's rows are used.

    Attributes
    ----------
    rounds : tuple of Round
        One; five where the node is small, so that every row is held out of one of them.
    judged : tuple of Judged
        Every stored figure is measured on the `test` rows of these, together.
    final : (m,) intp array
        The rows that the stored calibration and thresholds are set on.
    refit : bool
        The stored models are fitted on all rows once more.
    """

    rounds: tuple[Round, ...]
    judged: tuple[Judged, ...]
    final: Rows
    refit: bool

    @property
    def test(self) -> Rows:
        """All rows that are measured on."""
        return np.sort(np.concatenate([part.test for part in self.judged]))


def deal_folds(strata: npt.NDArray[np.object_]) -> npt.NDArray[np.intp]:
    """Deal rows out to folds, stratum by stratum, in the order they stand in.

    Where rows stand in the order of a hash of their person, and strata are people's final places, a
    person has the same fold at every node above: who is held out is held out at every depth.

    Parameters
    ----------
    strata : (n,) array of str objects

    Returns
    -------
    (n,) intp array
        0 to 4.
    """
    _, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    order = np.argsort(stratum, kind="stable")
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    folds = np.empty(len(strata), dtype=np.intp)
    folds[order] = (np.arange(len(strata)) - starts) % FOLDS
    return folds


def plan_rows(
    folds: npt.NDArray[np.intp],
    child: npt.NDArray[np.intp],
    n_children: int,
    *,
    may_refit: bool = True,
) -> Plan:
    """Plan the use of a node's rows.

    Parameters
    ----------
    folds : (n,) intp array
        From `deal_folds`.
    child : (n,) intp array
        Each row's child, −1 for the node's noise.
    n_children : int
    may_refit : bool
        A small node may be fitted out of fold; not where models are there already.

    Returns
    -------
    Plan
    """
    sizes = np.bincount(child[child >= 0], minlength=n_children)
    is_small = may_refit and sizes.min(initial=SMALL) < SMALL
    rounds = tuple(
        Round(
            np.flatnonzero(~np.isin(folds, (test, (test - 2) % FOLDS))),
            np.flatnonzero(folds == (test - 2) % FOLDS),
            np.flatnonzero(folds == test),
        )
        for test in (range(FOLDS) if is_small else (TEST,))
    )
    if not is_small:
        tune, test = rounds[0].stop, rounds[0].held_out
        return Plan(rounds, (Judged(tune, test),), tune, refit=False)
    everyone = np.arange(len(folds))
    judged = tuple(
        Judged(np.setdiff1d(everyone, part.held_out), part.held_out)
        for part in rounds
        if len(part.held_out)
    )
    return Plan(rounds, judged, everyone, refit=True)
