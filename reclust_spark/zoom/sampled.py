"""A node too large for one task: samples of it are fitted side by side, one places everyone.

Each sample is split as any node is and learns one-vs-all models of what it has found. All of them
label the same people, who are in no sample: how far samples agree there is how far their clusters
can be trusted. The sample that agrees most with the others is kept; its models place the rest, row
by row. Pure arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reclust_spark.config import ExplainOptions, ZoomOptions
from reclust_spark.onevsall.fit import fit_children, named
from reclust_spark.onevsall.folds import deal_folds, plan_rows
from reclust_spark.onevsall.judge import judge
from reclust_spark.onevsall.predict import (
    Model,
    Question,
    decide,
    digest_of,
    merge,
)
from reclust_spark.onevsall.predict import Split as Models
from reclust_spark.paths import child
from reclust_spark.warehouse.names import NUMERIC
from reclust_spark.zoom.arrays import Floats, Ints
from reclust_spark.zoom.clock import Clock
from reclust_spark.zoom.node import NOISE, Rows, Split, medoid, split
from reclust_spark.zoom.tree import cluster_size

HELD_OUT_ROWS = 20_000
"""People on whom samples are compared: a cluster of 1 % has two hundred of them."""
HELD_OUT_SHARE = 0.2
HELD_OUT_OF_SAMPLE = 0.5
"""Of a sample's people, no more are held out beside it: they take memory too."""
LEAST_IN_SAMPLE = 20
"""Fewer people of a sample are no cluster, however few of the node's rows would be one."""
SAME_CLUSTER = 0.5
"""From this Jaccard index on, a cluster of another sample is the same one: no two can be above."""
LABELLER = ExplainOptions(n_estimators=100, max_depth=6)
LABELLERS_KEPT = 32
"""In a worker process, which labels for many tasks; each takes some MB and a second to join."""


class Sampling(NamedTuple):
    """How a large node's people are drawn.

    Attributes
    ----------
    samples : int
    fit_rows : int
        In each of them.
    held_out_rows : int
        Expected in none.
    """

    samples: int
    fit_rows: int
    held_out_rows: int


class SampleFit(NamedTuple):
    """What one sample has found.

    Attributes
    ----------
    ids : ndarray of str objects, shape (n_fit,)
        Its people, sorted.
    found : Split
        Of the sample's rows.
    medoid : str
        The most central person of the whole sample.
    medoids : list of str
        Of each cluster.
    models : list of Model
        Of each cluster; empty where there are not two.
    fidelity : float or None
        The share of fitted people, kept from the models, whom these put where the fit did.
    held_out : ndarray of int, shape (n_held_out,)
        Where the models put those who are in no sample; -1 is noise.
    """

    ids: NDArray[np.object_]
    found: Split
    medoid: str
    medoids: list[str]
    models: list[Model]
    fidelity: float | None
    held_out: Ints


class Missed(NamedTuple):
    """A cluster that the kept sample does not have.

    Attributes
    ----------
    sample : int
        The one that found it.
    share : float
        Of those held out.
    jaccard : float
        With the most alike cluster of the kept sample.
    """

    sample: int
    share: float
    jaccard: float


class Agreement(NamedTuple):
    """How far samples agree.

    Attributes
    ----------
    kept : int
        The sample that agrees most with the others.
    scores : ndarray of float64, shape (samples,)
        How much each one's clusters are those of the others, and theirs its own: the mean Jaccard
        index of a cluster with the most alike one, by size, from both sides.
    stability : ndarray of float64, shape (clusters of the kept sample,)
        The mean Jaccard index with the most alike cluster of each other sample.
    missed : list of Missed
    """

    kept: int
    scores: NDArray[np.float64]
    stability: NDArray[np.float64]
    missed: list[Missed]


def sampling_of(n_rows: int, most: int, samples: int) -> Sampling:
    """Plan the samples of a node.

    Parameters
    ----------
    n_rows : int
        Of the node.
    most : int
        Rows that a task fits at most.
    samples : int

    Returns
    -------
    Sampling
        No sample holds more than half of those who are not held out: samples that were nearly
        the same people would agree about anything.
    """
    of_sample = int(HELD_OUT_OF_SAMPLE * most)
    held_out = min(HELD_OUT_ROWS, int(HELD_OUT_SHARE * n_rows), of_sample)
    return Sampling(samples, min(most, (n_rows - held_out) // 2), held_out)


def fit_sample(
    path: str,
    seed: int,
    n_rows: int,
    rows: Rows,
    hashes: NDArray[np.int64],
    held_out: Floats,
    population: int,
    options: ZoomOptions,
    threads: int,
) -> SampleFit:
    """Split a sample of a node, learn models of its clusters and label those who are held out.

    Parameters
    ----------
    path : str
        The node.
    seed : int
        The sample's own.
    n_rows : int
        Of the whole node.
    rows : Rows
        The sample, sorted by row_id.
    hashes : ndarray of int64, shape (n_fit,)
        Of each person; the models' folds are dealt in this order.
    held_out : ndarray of float32, shape (n_held_out, n_features)
    population : int
        The rows of the whole table.
    options : ZoomOptions
    threads : int
        The result does not depend on it.

    Returns
    -------
    SampleFit
    """
    least = cluster_size(path, n_rows, population, options) * len(rows.ids) / n_rows
    found = split(rows, seed, max(LEAST_IN_SAMPLE, math.ceil(least)), options, threads)
    central = str(rows.ids[medoid(rows.features, seed, options.metric)])
    if found.stop_reason is not None:
        together = np.zeros(len(held_out), dtype=np.intp)
        return SampleFit(rows.ids, found, central, [], [], None, together)
    clock = Clock()
    with clock.time("models"), threadpool_limits(1):
        models, fidelity = learn(path, rows.features, found.labels, hashes)
        labels, _ = label(labeller(tuple(models), held_out.shape[1]), held_out)
    medoids = []
    for number in range(len(models)):
        members = np.flatnonzero(found.labels == number)
        at = medoid(rows.features[members], seed, options.metric)
        medoids.append(str(rows.ids[members[at]]))
    found = found._replace(seconds=found.seconds | clock.seconds)
    return SampleFit(rows.ids, found, central, medoids, models, fidelity, labels)


def learn(
    path: str, features: Floats, labels: Ints, hashes: NDArray[np.int64]
) -> tuple[list[Model], float]:
    """Learn one-vs-all models of the clusters of a sample, and how often they are right."""
    order = np.argsort(hashes, kind="stable")
    features, labels = features[order], labels[order]
    questions, n_clusters = slots(features.shape[1]), int(labels.max()) + 1
    plan = plan_rows(deal_folds(labels.astype(str).astype(object)), labels, n_clusters)
    fitted = fit_children(features, labels, n_clusters, plan, questions, LABELLER)
    verdict = judge(fitted.margins, labels, plan)
    models = []
    for number, booster in enumerate(fitted.boosters):
        name = child(path, number + 1)
        blob, rule = named(booster, name, questions), verdict.rule
        line = (float(rule.slopes[number]), float(rule.intercepts[number]))
        threshold = float(rule.thresholds[number])
        models.append(Model(name, path, blob, threshold, line, digest_of(blob)))
    return models, float((verdict.decided == labels[verdict.test]).mean())


def slots(width: int) -> tuple[Question, ...]:
    """Return what models see of `features`: a number for each slot."""
    return tuple(Question(f"slot {i}", "", NUMERIC) for i in range(width))


@lru_cache(maxsize=LABELLERS_KEPT)
def labeller(models: tuple[Model, ...], width: int) -> Models:
    """Join the models of a node's clusters into one that reads its inputs once."""
    return merge(models, slots(width))


def label(models: Models, features: Floats) -> tuple[Ints, NDArray[np.float64]]:
    """Return each person's cluster, -1 for noise, and its calibrated probability, 0 for noise.

    Parameters
    ----------
    models : Models
        Of `labeller`.
    features : ndarray of float32, shape (n_rows, n_features)

    Returns
    -------
    labels : ndarray of int, shape (n_rows,)
    strength : ndarray of float64, shape (n_rows,)
    """
    probabilities = models.probabilities(features)
    labels = decide(probabilities, models.thresholds)
    taken = probabilities[np.arange(len(labels)), labels]
    return labels, np.where(labels == NOISE, 0.0, taken)


def agree(labels: Sequence[Ints], clusters: Sequence[int]) -> Agreement:
    """Compare what samples say of the same people.

    Parameters
    ----------
    labels : sequence of ndarray of int, each of shape (n_held_out,)
        By sample; -1 is noise, all 0 a sample that found no two clusters.
    clusters : sequence of int
        How many each sample has, at least 1.

    Returns
    -------
    Agreement
        Of those that agree alike, the one with the most clusters is kept: what nobody else has
        shows in its stability, what is merged would not.
    """
    numbers = range(len(labels))
    overlaps = [
        [jaccard(labels[i], labels[j], clusters[i], clusters[j]) for j in numbers] for i in numbers
    ]
    sizes = [np.bincount(labels[i][labels[i] >= 0], minlength=clusters[i]) for i in numbers]
    best = [[overlaps[i][j].max(axis=1) for j in numbers] for i in numbers]
    # one side alone would favour whoever merges: the clusters of others lie within its own
    one_way = np.array(
        [[_weighted_mean(best[i][j], sizes[i]) for j in numbers] for i in numbers], dtype=np.float64
    )
    both_ways = (one_way + one_way.T) / 2
    np.fill_diagonal(both_ways, 0.0)
    scores = both_ways.sum(axis=1) / (len(labels) - 1)
    kept = max(numbers, key=lambda i: (scores[i].round(9), clusters[i], -i))
    missed = [
        Missed(i, float(sizes[i][c] / len(labels[i])), float(index))
        for i in numbers
        for c, index in enumerate(best[i][kept])
        if i != kept and index < SAME_CLUSTER and sizes[i][c]
    ]
    stability = np.mean([best[kept][j] for j in numbers if j != kept], axis=0)
    return Agreement(kept, scores, stability, missed)


def _weighted_mean(values: NDArray[np.float64], weights: Ints) -> float:
    return float((values * weights).sum() / max(1, weights.sum()))


def jaccard(ours: Ints, theirs: Ints, n_ours: int, n_theirs: int) -> NDArray[np.float64]:
    """Return the Jaccard index of each pair of clusters, shape (n_ours, n_theirs).

    Two that hold nobody have nothing in common.
    """
    # a first row and column for noise, which is no cluster
    shape = (n_ours + 1, n_theirs + 1)
    pairs = np.ravel_multi_index((ours + 1, theirs + 1), shape)
    table = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    both = table[1:, 1:]
    either = table.sum(axis=1)[1:, None] + table.sum(axis=0)[None, 1:] - both
    return both / np.maximum(either, 1)
