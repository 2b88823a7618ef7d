"""Samples of a large node: how they are drawn, what they find, and how far they agree."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from reclust_spark.config import ZoomOptions
from reclust_spark.zoom.memory import fit_bytes, rows_that_fit
from reclust_spark.zoom.node import Rows
from reclust_spark.zoom.sampled import agree, fit_sample, jaccard, label, labeller, sampling_of
from tests.planted import blobs

OPTIONS = ZoomOptions(n_neighbors=15, n_epochs=100)


def fitted(values, n_rows=8_000, seed=3, **options):
    ids = np.array([f"p{i:05d}" for i in range(len(values))], dtype=object)
    rows = Rows(ids, values, np.ones(len(values)))
    hashes = np.random.default_rng(seed).permutation(len(values)).astype(np.int64)
    chosen = OPTIONS.model_copy(update=options)
    return fit_sample("/", seed, n_rows, rows, hashes, values[::7], n_rows, chosen, 1)


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [
        (6_000_000, (100_000, 20_000)),  # enough for all
        (120_000, (50_000, 20_000)),  # no sample has more than half of the others
        (2_000, (800, 400)),
    ],
)
def test_samples_are_no_larger_than_half_of_those_not_held_out(n_rows, expected):
    assert sampling_of(n_rows, 100_000, 3)[1:] == expected


def test_no_more_are_held_out_beside_a_sample_than_memory_is_counted_for():
    assert sampling_of(6_000_000, 3_000, 3)[1:] == (3_000, 1_500)


def test_the_jaccard_index_leaves_noise_out_and_takes_clusters_that_nobody_is_in():
    ours, theirs = np.array([0, 0, 0, 1, -1, -1]), np.array([0, 0, 1, 1, 1, -1])
    expected = [[2 / 3, 1 / 5, 0], [0, 1 / 3, 0]]
    np.testing.assert_allclose(jaccard(ours, theirs, 2, 3), expected)


def test_the_sample_that_agrees_most_is_kept_and_what_only_another_has_is_told():
    of_two = np.repeat([0, 1], [60, 40])
    same = of_two.copy()
    same[:3] = 1
    torn = np.repeat([0, 1, 2], [20, 40, 40])
    found = agree([torn, of_two, same], [3, 2, 2])
    assert found.kept in (1, 2) and found.scores[found.kept] == found.scores.max()
    assert found.scores[0] < found.scores[1]
    assert found.stability.shape == (2,) and found.stability[1] > 0.9
    # the third of the torn group is a cluster that nobody else has
    assert [(one.sample, one.share) for one in found.missed] == [(0, 0.2)]
    assert found.missed[0].jaccard == pytest.approx(20 / 60, abs=0.02)


def test_samples_without_two_clusters_outvote_one_that_has_them():
    nothing, halves = np.zeros(100, dtype=int), np.repeat([0, 1], 50)
    found = agree([nothing, halves, nothing], [1, 2, 1])
    assert found.kept == 0 and found.stability == pytest.approx([0.75])


def noisy(labels, share, seed):
    return np.where(np.random.default_rng(seed).random(len(labels)) < share, -1, labels)


@pytest.mark.parametrize(
    ("shares", "merged"),
    [((95, 5), (0, 0)), ((90, 10), (0, 0)), ((70, 10, 8, 7, 5), (0, 1, 2, 3, 0))],
)
def test_one_sample_that_merges_is_not_kept_before_two_that_do_not(shares, merged):
    groups = np.repeat(np.arange(len(shares)), np.array(shares) * 200)
    coarse = np.array(merged)[groups]
    samples = [coarse, noisy(groups, 0.02, 1), noisy(groups, 0.02, 2)]
    found = agree(samples, [coarse.max() + 1, len(shares), len(shares)])
    assert found.kept in (1, 2) and len(found.stability) == len(shares)


def test_of_two_samples_the_one_that_tells_more_apart_is_kept_and_nobody_is_no_cluster():
    groups = np.repeat([0, 1], [1_900, 100])
    found = agree([np.zeros_like(groups), groups], [1, 2])
    assert found.kept == 1 and found.stability[1] < 0.1
    # the third of the first sample has nobody of those held out
    assert agree([groups, groups], [3, 2]).missed == []


def test_models_of_a_sample_place_people_where_the_fit_would():
    values, group = blobs([1_200, 500, 300])
    others, truth = blobs([600, 600, 600], seed=0)
    found = fitted(values)
    assert found.found.stop_reason is None and len(found.models) == 3
    assert found.fidelity > 0.97 and adjusted_rand_score(group, found.found.labels) > 0.97
    joined = labeller(tuple(found.models), 6)
    labels, strength = label(joined, others)
    assert adjusted_rand_score(truth, labels) > 0.95
    assert (strength[labels == -1] == 0).all() and (strength[labels >= 0] > 0).all()
    np.testing.assert_array_equal(found.held_out, label(joined, values[::7])[0])
    # a medoid is of its own cluster, and the smallest cluster is as small a part of the sample
    for number, name in enumerate(found.medoids):
        assert found.found.labels[int(name[1:])] == number
    alone, _ = label(joined, others[5:6])
    assert alone == labels[5], "a person's label does not depend on the rows beside them"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ones((600, 4), dtype=np.float32), "no_structure"),
        (np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32), "one_cluster"),
    ],
)
def test_a_sample_without_clusters_has_no_models(values, reason):
    found = fitted(values, min_cluster_size=0.4)
    assert found.found.stop_reason == reason and not found.models and found.fidelity is None
    assert (found.held_out == 0).all()


def test_two_distinct_answers_are_two_clusters_or_one_leaf():
    values = np.repeat(np.eye(2, dtype=np.float32), [700, 300], axis=0)
    found = fitted(values)
    if found.found.stop_reason is None:
        labels, _ = label(labeller(tuple(found.models), 2), values)
        assert adjusted_rand_score(np.repeat([0, 1], [700, 300]), labels) == 1
    else:
        assert found.found.stop_reason == "one_cluster" and not found.models


def test_memory_is_told_both_ways_and_bounded_by_arrow():
    options = ZoomOptions()
    for n_rows, width in ((1_000, 20), (70_000, 784), (100_000, 90)):
        needed = fit_bytes(n_rows, width, options)
        assert rows_that_fit(needed, width, options) == n_rows
        assert rows_that_fit(needed - 1, width, options) == n_rows - 1
    assert rows_that_fit(2**20, 20, options) == 0, "not even the worker"
    assert rows_that_fit(2**50, 5_000, options) == (2**31 - 1) // 5_000
