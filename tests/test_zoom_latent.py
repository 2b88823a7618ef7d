"""The root by a GMVAE's clusters: who is dissolved, where people go, and what shows them."""

import numpy as np
import pytest

from reclust_spark.config import ZoomOptions
from reclust_spark.paths import ROOT
from reclust_spark.zoom.latent import (
    Latents,
    Standing,
    describe_root,
    discriminants,
    in_sample,
    labels_of,
    place,
    split_latents,
    standing,
)
from reclust_spark.zoom.node import Rows


def people(clusters, probabilities=None, z=None):
    n = len(clusters)
    if probabilities is None:
        probabilities = np.tile(np.linspace(0.6, 0.1, clusters.shape[1]), (n, 1))
    if z is None:
        z = np.zeros((n, 2))
    ids = np.array([f"p{i:05d}" for i in range(n)], dtype=object)
    return Latents(ids, np.ones(n), clusters, probabilities.astype(np.float32),
                   z.astype(np.float32))  # fmt: skip


def counter(clusters):
    """Count as the tables do: each person at the first of their clusters that stands."""

    def count(dissolved):
        first = [next((c for c in one if c not in dissolved), None) for one in clusters.tolist()]
        return {c: first.count(c) for c in first if c is not None}

    return count


def test_small_clusters_are_dissolved_the_smallest_first():
    lists = [[3, 0]] * 2 + [[2, 1]] * 3 + [[1, 0]] * 4 + [[0, 1]] * 9
    clusters = np.array(lists)
    # 3 goes first and its people make 0 larger; then 2, whose people make 1 large enough
    found = standing(counter(clusters), 5)
    assert found.clusters.tolist() == [0, 1] and found.sizes.tolist() == [11, 7]
    everyone = standing(counter(clusters), 2)
    assert everyone.clusters.tolist() == [0, 1, 2, 3] and everyone.sizes.tolist() == [9, 4, 3, 2]
    alone = standing(counter(clusters), 12)
    assert alone.clusters.tolist() == [0] and alone.sizes.tolist() == [15], "three fit none"


def test_whose_list_is_used_up_is_noise():
    latents = people(np.array([[5, 7], [7, 5], [1, 2], [2, 9]]))
    labels, strength = labels_of(latents, Standing(np.array([7, 2]), np.array([3, 1])))
    assert labels.tolist() == [0, 0, 1, 1]
    assert strength == pytest.approx([0.1, 0.6, 0.1, 0.6], abs=1e-6)
    labels, strength = labels_of(latents, Standing(np.array([7]), np.array([2])))
    assert labels.tolist() == [0, 0, -1, -1]
    assert strength[2:].tolist() == [0, 0]


def groups_of(n, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    middles = np.array([[0, 0, 9.0], [0, 6, 0], [5, 0, 0]])
    z = middles[group] + rng.normal(size=(n, 3))
    features = np.column_stack([z, rng.normal(size=(n, 2))]).astype(np.float32)
    ranked = np.argsort(((z[:, None] - middles) ** 2).sum(-1), axis=1)
    return people(ranked, z=z), features, group


def test_the_plane_shows_the_groups_apart_and_its_axes_are_fixed():
    latents, _, group = groups_of(3000)
    labels = latents.clusters[:, 0]
    plane = discriminants(latents.z, labels)
    xy = plane.places(latents.z)
    for one in range(3):
        mine, others = xy[group == one].mean(axis=0), xy[group != one]
        spread = xy[group == one].std(axis=0).max()
        assert np.linalg.norm(others - mine, axis=1).min() > spread
    # whoever is beside them, people lie at the same place
    some = np.random.default_rng(1).permutation(3000)[:77]
    assert np.array_equal(plane.places(latents.z[some]), xy[some])
    again = discriminants(latents.z, labels)
    assert np.array_equal(again.axes, plane.axes)
    two = discriminants(latents.z[:, :1], labels)
    assert two.axes.shape == (1, 2) and np.isfinite(two.places(latents.z[:, :1])).all()


def test_a_root_is_described_by_a_sample_and_people_are_placed_a_batch_at_a_time():
    latents, features, _ = groups_of(4000)
    labels = latents.clusters[:, 0]
    stands = standing(counter(latents.clusters), 10)
    everyone, chosen = in_sample(latents, stands, 4000, features.shape[1])
    assert 1000 <= everyone.sum() < 3200 and (chosen | ~everyone).all()
    for child in range(3):
        assert (
            min(900, (labels == stands.clusters[child]).sum())
            <= (chosen & (labels == stands.clusters[child])).sum()
        )
    sample = Latents(*(one[chosen] for one in latents))
    sums = (4000.0, [float(size) for size in stands.sizes])
    nodes, plane = describe_root(sample, features[chosen], stands, sums, 4000, ZoomOptions(seed=1))
    root, *children = nodes
    assert (root.path, root.engine, root.n_children, root.n_noise) == (ROOT, "gmvae", 3, 0)
    assert root.trustworthiness > 0.5
    assert [node.n_rows for node in children] == stands.sizes.tolist()
    number = dict(zip(latents.ids, range(4000), strict=True))
    for node, cluster in zip(children, stands.clusters, strict=True):
        assert labels[number[node.medoid_row_id]] == cluster
    whole = place(latents, stands, plane, nodes)
    parts = [place(Latents(*(one[i::3] for one in latents)), stands, plane, nodes)
             for i in range(3)]  # fmt: skip
    for node in children:
        ids = {id_ for one in whole.open if one.node is node for id_ in one.ids}
        opened = [one for part in parts for one in part.open if one.node is node]
        assert ids == {id_ for one in opened for id_ in one.ids}
        assert len(ids) == node.n_rows
    assert not whole.placed


def test_one_cluster_is_no_split():
    latents, features, _ = groups_of(500)
    stands = Standing(np.array([1]), np.array([500]))
    nodes, plane = describe_root(latents, features, stands, (500.0, [500.0]), 500, ZoomOptions())
    assert [node.stop_reason for node in nodes] == ["one_cluster"]
    growth = place(latents, stands, plane, nodes)
    assert not growth.open and [one.is_noise for one in growth.placed] == [False]
    assert np.isnan(growth.placed[0].strength).all()


def test_hdbscan_finds_groups_in_the_latent_space():
    latents, features, group = groups_of(900)
    rows = Rows(latents.ids, features, latents.weights)
    found = split_latents(rows, 1, 100, ZoomOptions(), 1, latents.z)
    assert found.stop_reason is None and len(found.persistence) == 3
    clustered = found.labels >= 0
    pairs = set(zip(group[clustered].tolist(), found.labels[clustered].tolist(), strict=True))
    assert len(pairs) == 3 and clustered.mean() > 0.8
    lump = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    alone = split_latents(Rows(latents.ids[:300], features[:300], np.ones(300)), 1, 100,
                          ZoomOptions(), 1, lump)  # fmt: skip
    assert alone.stop_reason == "one_cluster" and alone.xy.shape == (300, 2)
