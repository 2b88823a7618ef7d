"""The zoom on Spark: the same tree as in memory, whatever the cluster, order, or interruption."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reclust_spark import zoom_array
from reclust_spark.config import load_config
from reclust_spark.prepare import stage as prepare
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    EMBEDDINGS,
    FEATURES,
    METRICS,
    NODES,
    RUNS,
    TREE,
)
from reclust_spark.warehouse.runs import Ledger
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom import stage as zoom
from reclust_spark.zoom.tables import node_rows, tree_hash
from reclust_spark.zoom.tree import Node
from tests.planted import nested_blobs

QUICK = ("prepare.scaling=none", "zoom.n_neighbors=15", "zoom.n_epochs=100", "zoom.max_depth=2")
IN_WAVES = "zoom.inline_rows=0"
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    values, _, _ = nested_blobs()
    frame = pd.DataFrame(values.astype(np.float64), columns=[f"q{i}" for i in range(6)])
    return frame.assign(person=[f"p{i}" for i in range(len(frame))])


@pytest.fixture(scope="module")
def survey(people, tmp_path_factory):
    path = tmp_path_factory.mktemp("survey") / "survey.parquet"
    people.to_parquet(path)
    return (f"input.path={path}", "input.id=person")


@pytest.fixture(scope="module")
def expected(people):
    """The tree in memory, of the features that prepare makes of these numbers."""
    values = people.drop(columns="person").to_numpy()
    return zoom_array(values, people.person, n_neighbors=15, n_epochs=100, max_depth=2)


@pytest.fixture(scope="module")
def built(spark, survey, tmp_path_factory) -> tuple[Warehouse, int]:
    """A warehouse with a tree of the survey, and its version."""
    warehouse = Warehouse(spark, f"{tmp_path_factory.mktemp('built')}/warehouse")
    config = config_of(warehouse, survey)
    return warehouse, build(warehouse, config, Ledger(warehouse, config)).version


def config_of(warehouse, survey, *more):
    settings = [f"warehouse={warehouse.place}", *survey, *QUICK, *more]
    return load_config(settings=settings, environment={})


def build(warehouse, config, ledger):
    prepared = prepare.run(warehouse, config, ledger).version
    return zoom.run(warehouse, config, ledger, prepared)


def read(warehouse, table, version):
    frame = warehouse.read(table, version).toPandas()
    keys = [key for key in ("path", "row_id") if key in frame]
    return frame.drop(columns=TREE).sort_values(keys, ignore_index=True)


def same_tree(warehouse, version, expected):
    places = read(warehouse, ASSIGNMENTS, version)
    return tree_hash(places) == tree_hash(expected.assignments)


def test_the_tables_hold_the_tree_of_the_notebook(built, expected):
    warehouse, version = built
    nodes = read(warehouse, NODES, version)
    pd.testing.assert_frame_equal(nodes, expected.nodes, check_dtype=False)
    places = read(warehouse, ASSIGNMENTS, version).sort_values("row_id", ignore_index=True)
    pd.testing.assert_frame_equal(places, expected.assignments, check_dtype=False)
    maps = read(warehouse, EMBEDDINGS, version)
    pd.testing.assert_frame_equal(maps, expected.embeddings, check_dtype=False)
    left = {path.name for path in Path(warehouse.place).iterdir()}
    assert not {name for name in left if name.startswith("_")}, "nothing is left behind"
    fits = warehouse.read(METRICS).where("stage = 'zoom' AND name = 'fit_seconds'")
    assert {row.path for row in fits.collect()} == set(nodes.path[nodes.engine.notna()])


def test_partitions_order_waves_and_a_catalog_do_not_matter(spark, people, tmp_path, expected):
    path = f"{tmp_path}/shuffled"
    shuffled = people.sample(frac=1, random_state=16)
    spark.createDataFrame(shuffled).repartition(16).write.parquet(path)
    warehouse = Warehouse(spark, "survey_trees")
    config = config_of(warehouse, (f"input.path={path}", "input.id=person"), IN_WAVES)
    result = build(warehouse, config, Ledger(warehouse, config))
    assert same_tree(warehouse, result.version, expected)
    assert spark.table("survey_trees.nodes").count() == len(expected.nodes)
    left = [row.tableName for row in spark.sql("SHOW TABLES IN survey_trees").collect()]
    assert "nodes" in left and not [name for name in left if "staging" in name]
    assert build(warehouse, config, Ledger(warehouse, config)).reused
    spark.sql("DROP SCHEMA survey_trees CASCADE")


KILLED = """
import os, signal, sys
from reclust_spark.config import load_config
from reclust_spark.pipeline import connect
from reclust_spark.prepare import stage as prepare
from reclust_spark.warehouse.runs import Ledger
from reclust_spark.zoom import stage as zoom

def die(progress):
    print(f"after wave {progress.wave}", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

config = load_config(settings=sys.argv[1:])
with connect(config, ["zoom"]) as warehouse:
    ledger = Ledger(warehouse, config)
    zoom.run(warehouse, config, ledger, prepare.run(warehouse, config, ledger).version, die)
"""


def test_a_killed_run_goes_on_after_its_last_wave(
    warehouse, make_config, make_ledger, survey, expected, tmp_path, short_lived
):
    place, master = f"warehouse={tmp_path}/warehouse", "spark.master=local[1]"
    settings = [place, master, *survey, IN_WAVES, *QUICK]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *settings], capture_output=True, text=True, timeout=300,
        env=short_lived,
    )  # fmt: skip
    assert killed.stdout == "after wave 1\n", killed.stderr
    assert killed.returncode == -9
    assert not warehouse.exists(NODES.name), "no tree is visible before all of it is there"
    config = make_config(*survey, IN_WAVES, *QUICK)
    seen = []
    ledger = make_ledger(config)
    prepared = prepare.run(warehouse, config, ledger)
    assert prepared.reused
    result = zoom.run(warehouse, config, ledger, prepared.version, seen.append)
    assert [progress.wave for progress in seen] == [2], "the root is not fitted again"
    assert same_tree(warehouse, result.version, expected)


SUBMITTED = """
import runpy
from reclust_spark.config import SparkOptions
from reclust_spark.warehouse.session import session

with session(SparkOptions(), ("reclust_spark.zoom.warm",)):  # both jobs use the one that is there
    for job in ("prepare", "zoom"):
        try:
            runpy.run_path(f"jobs/{job}.py", run_name="__main__")
        except SystemExit as ended:
            if ended.code:
                raise
"""


def test_neither_the_cluster_nor_spark_submit_matters(
    spark, survey, expected, tmp_path, short_lived
):
    """A process of its own: one process holds one Spark context. Two workers are two JVMs."""
    warehouse = Warehouse(spark, f"{tmp_path}/warehouse")
    settings = [f"warehouse={warehouse.place}", *survey, IN_WAVES, *QUICK]
    words = [word for setting in settings for word in ("--set", setting)]
    (tmp_path / "jobs.py").write_text(SUBMITTED)
    submit = Path(sys.executable).with_name("spark-submit")
    command = [submit, "--master", "local-cluster[2,1,1024]", tmp_path / "jobs.py", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=500, cwd=ROOT, env=short_lived
    )
    assert done.returncode == 0, done.stderr
    assert same_tree(warehouse, 1, expected)


def test_the_same_input_and_settings_reuse_the_tree_and_others_replace_a_half_written_one(
    built, survey, expected
):
    warehouse, first = built
    config = config_of(warehouse, survey)
    written = (NODES, ASSIGNMENTS, FEATURES)
    before = [warehouse.delta_version(table) for table in written]
    again = build(warehouse, config, Ledger(warehouse, config))
    assert again.reused and again.version == first
    assert before == [warehouse.delta_version(table) for table in written]
    statuses = warehouse.read(RUNS).where("stage = 'zoom'").orderBy("finished_at").collect()
    assert [row.status for row in statuses] == ["complete", "reused"]
    half = node_rows([Node("/", 1, 1.0, None, "nobody", 0, "too_small")])
    warehouse.write_version(NODES, warehouse.local(NODES, half), first + 1)
    shallow = config_of(warehouse, survey, "zoom.max_depth=1")
    other = build(warehouse, shallow, Ledger(warehouse, shallow))
    assert (other.version, other.reused) == (first + 1, False)
    nodes = read(warehouse, NODES, other.version)
    assert set(nodes.path) == {path for path in expected.nodes.path if path.count("/") <= 2}
    assert len(nodes) < len(expected.nodes) and not (nodes.medoid_row_id == "nobody").any()
    assert len(read(warehouse, NODES, first)) == len(expected.nodes)
    assert warehouse.read(FEATURES).select("prepare_version").distinct().count() == 1
    cut_otherwise = config_of(warehouse, survey, "zoom.inline_rows=1")
    assert build(warehouse, cut_otherwise, Ledger(warehouse, cut_otherwise)).reused


def test_earlier_trees_tell_how_long_the_next_will_take(built, survey):
    warehouse, _ = built
    config = config_of(warehouse, survey, IN_WAVES, "zoom.seed=7")
    told: list[zoom.Progress] = []
    zoom.run(warehouse, config, Ledger(warehouse, config), on_progress=told.append)
    assert told[0].nodes_open and 0 < told[0].seconds_left < 600
    assert (told[-1].nodes_open, told[-1].seconds_left) == (0, 0)
