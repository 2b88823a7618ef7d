"""Nodes above zoom.max_fit_rows on Spark: split by samples, everyone placed, whatever happens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from sklearn.metrics import adjusted_rand_score

from reclust_spark.config import load_config
from reclust_spark.errors import RunError
from reclust_spark.prepare import stage as prepare
from reclust_spark.warehouse import grouped
from reclust_spark.warehouse.names import ASSIGNMENTS, EMBEDDINGS, METRICS, NODES
from reclust_spark.warehouse.runs import Ledger
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom import stage as zoom
from reclust_spark.zoom.large import LargeNodes
from reclust_spark.zoom.tables import tree_hash
from tests.planted import blobs

QUICK = (
    "prepare.scaling=none", "input.id=person", "zoom.n_neighbors=15", "zoom.n_epochs=100",
    "zoom.max_fit_rows=1000", "zoom.max_depth=2",
)  # fmt: skip


class Tree:
    """What a zoom left: nodes, assignments and embeddings as frames, and its figures."""

    def __init__(self, warehouse: Warehouse, version: int) -> None:
        self.nodes = warehouse.read(NODES, version).toPandas().set_index("path").sort_index()
        self.people = warehouse.read(ASSIGNMENTS, version).toPandas()
        self.maps = warehouse.read(EMBEDDINGS, version).toPandas()
        figures = warehouse.read(METRICS).where("stage = 'zoom'").toPandas()
        self.figures = figures.set_index(["path", "name"]).value

    def groups(self) -> pd.Series:
        """The root's child that each person is in, by their id."""
        return self.people.set_index("row_id").path.str.slice(1, 4)

    def check(self, n_rows: int) -> None:
        """Hold what is true of any tree."""
        people, nodes = self.people, self.nodes
        assert len(people) == people.row_id.nunique() == n_rows
        for path, node in nodes.iterrows():
            inside = people[people.path.str.startswith(path)]
            assert len(inside) == node.n_rows, path
            assert inside.weight.sum() == pytest.approx(node.weight)
            at = people[people.path == path]
            assert at.is_noise.all() if node.n_children else not at.is_noise.any(), path
            assert len(at) == (node.n_noise if node.n_children else node.n_rows)
            children = nodes[nodes.parent_path == path]
            assert len(children) == node.n_children and node.n_children != 1
            assert children.n_rows.is_monotonic_decreasing
            if node.n_fit > 0:
                mapped = self.maps[self.maps.path == path]
                assert node.stop_reason == "no_structure" or len(mapped) == node.n_fit
                assert set(mapped.child_path.dropna()) <= set(children.index)
            members = people[people.row_id == node.medoid_row_id].path.iloc[0]
            assert members.startswith(path), f"the medoid of {path} is one of its people"


class Survey:
    """Writes a table of numbers, prepares it and zooms, with samples of 1,000 people."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        self.spark, self.home = spark, home

    def write(self, name: str, values: np.ndarray, partitions: int = 2) -> None:
        columns = [f"q{i}" for i in range(values.shape[1])]
        frame = pd.DataFrame(np.asarray(values, dtype=float), columns=columns)
        frame = frame.assign(person=[f"p{i:05d}" for i in range(len(values))])
        shuffled = self.spark.createDataFrame(frame.sample(frac=1, random_state=partitions))
        shuffled.repartition(partitions).write.parquet(f"{self.home}/{name}.parquet")

    def zoom(self, name: str, *settings: str) -> Tree:
        warehouse = Warehouse(self.spark, f"{self.home}/{name}")
        given = [f"warehouse={warehouse.place}", f"input.path={self.home}/{name}.parquet", *QUICK]
        config = load_config(settings=[*given, *settings], environment={})
        ledger = Ledger(warehouse, config)
        prepared = prepare.run(warehouse, config, ledger).version
        return Tree(warehouse, zoom.run(warehouse, config, ledger, prepared).version)

    def build(self, name: str, values: np.ndarray, *settings: str) -> Tree:
        self.write(name, values)
        return self.zoom(name, *settings)


@pytest.fixture(scope="module")
def survey(spark, tmp_path_factory) -> Survey:
    return Survey(spark, tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def four_groups():
    return blobs([2_500, 900, 600, 500])


@pytest.fixture(scope="module")
def tree(survey, four_groups) -> Tree:
    return survey.build("four", four_groups[0])


def test_a_large_node_is_sampled_and_its_small_children_fitted_whole(tree, four_groups, survey):
    tree.check(4_500)
    assert adjusted_rand_score(four_groups[1], tree.groups().sort_index()) > 0.98
    root = tree.nodes.loc["/"]
    assert root.n_fit == 1_000 and root.fidelity > 0.97 and root.engine == "umap_hdbscan"
    children = tree.nodes[tree.nodes.depth == 1]
    assert (children.stability > 0.95).all()
    assert children.n_fit.tolist()[1:] == children.n_rows.tolist()[1:], "small ones: whole"
    assert children.fidelity.iloc[1:].isna().all()
    assert set(tree.people.assigned_by) == {"fit", "model"}
    assert ("/", "sample_2_agreement") in tree.figures.index
    left = [path.name for path in (survey.home / "four").iterdir()]
    assert not [name for name in left if "staging" in name]


def test_neither_partitions_nor_order_matter_and_a_stopped_run_goes_on(
    tree, four_groups, survey, monkeypatch
):
    survey.write("stopped", four_groups[0], partitions=7)

    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LargeNodes, "_placed", stop)
        with pytest.raises(KeyboardInterrupt):
            survey.zoom("stopped")
    groups, map_groups = [], grouped.map_groups

    def counted(frame, n_groups, *given):
        groups.append(n_groups)
        return map_groups(frame, n_groups, *given)

    monkeypatch.setattr(grouped, "map_groups", counted)
    went_on = survey.zoom("stopped")
    assert tree_hash(went_on.people) == tree_hash(tree.people)
    # the samples of the root are not fitted again, those of its one large child are
    assert sorted(groups) == [3, 3]


def test_a_stopped_run_goes_on_in_less_memory(survey, monkeypatch):
    """What was small when samples were staged is large now, beside what was large then."""
    values, group = blobs([2_500, 1_600, 600, 500])
    survey.write("less", values)
    settings = ("zoom.max_fit_rows=2000", "zoom.n_neighbors=25")
    label = LargeNodes._label

    def stop_below_the_root(of, choices, wave):
        if wave == 1:
            raise KeyboardInterrupt
        label(of, choices, wave)

    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LargeNodes, "_label", stop_below_the_root)
        patch.setattr(zoom._Zoom, "_fit", stop)
        with pytest.raises(KeyboardInterrupt):
            survey.zoom("less", *settings)
    fitted, fit = [], LargeNodes._fit

    def noted(of, nodes, wave):
        fitted.extend(node.path for node in nodes)
        fit(of, nodes, wave)

    monkeypatch.setattr(LargeNodes, "_fit", noted)
    tree = survey.zoom("less", *settings, "zoom.task_memory=303")
    tree.check(5_200)
    assert fitted == ["/002/"], "the samples of the root and of /001/ had been fitted"
    assert adjusted_rand_score(group, tree.groups().sort_index()) > 0.95


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("no_structure", np.ones((2_400, 3))),
        ("one_cluster", np.random.default_rng(0).normal(size=(2_400, 5))),
    ],
)
def test_a_large_node_that_is_one_group_stays_whole(survey, name, values):
    tree = survey.build(name, values, "zoom.min_cluster_size=0.4")
    tree.check(2_400)
    assert tree.nodes.stop_reason.tolist() == [name]
    assert tree.people.strength.isna().all() and set(tree.people.assigned_by) == {"fit"}


def test_a_large_root_that_may_not_be_split_is_a_leaf_with_a_map(survey, four_groups):
    tree = survey.build("flat", four_groups[0], "zoom.max_depth=0")
    tree.check(4_500)
    assert tree.nodes.stop_reason.tolist() == ["max_depth"]


def test_two_distinct_people_are_placed(survey):
    tree = survey.build("two", np.repeat(np.eye(2), [1_500, 900], axis=0), "zoom.max_depth=1")
    tree.check(2_400)
    here = tree.groups().sort_index().groupby(np.repeat([0, 1], [1_500, 900]))
    assert here.nunique().max() == 1, "who answers alike stays together"


def test_a_node_that_does_not_fit_a_tasks_memory_is_sampled_or_named(survey, caplog):
    survey.write("starved", np.repeat(np.eye(2), [1_500, 900], axis=0))
    whole = ("zoom.max_fit_rows=100000", "zoom.max_depth=1")
    with pytest.raises(RunError, match="(?s)a task has 200 MiB.*301 MiB for 1,000 people") as error:
        survey.zoom("starved", *whole, "zoom.task_memory=200")
    assert error.value.exit_status == 4
    tree = survey.zoom("starved", *whole, "zoom.task_memory=302")
    tree.check(2_400)
    assert tree.nodes.loc["/"].n_fit == 960 and "split by samples" in caplog.text


def test_a_group_of_95_percent_and_one_that_samples_miss_cost_nobody_their_place(survey):
    values, group = blobs([4_750, 240, 12])
    tree = survey.build(
        "skewed", values, "zoom.root_min_cluster_size=0.03", "zoom.min_share=0", "zoom.max_depth=1"
    )
    tree.check(5_002)
    found = group < 2
    assert adjusted_rand_score(group[found], tree.groups().sort_index()[found]) > 0.95
