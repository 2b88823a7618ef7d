"""`reclust train-gmvae` on Spark, and the tree whose root it splits."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pytest
from sklearn.metrics import adjusted_rand_score

from reclust_spark.config import load_config
from reclust_spark.explain import stage as explain
from reclust_spark.gmvae import stage
from reclust_spark.gmvae.rounds import Round
from reclust_spark.paths import ROOT
from reclust_spark.prepare import stage as prepare
from reclust_spark.score import stage as score
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    EMBEDDINGS,
    GMVAES,
    LATENTS,
    METRICS,
    RUNS,
    SCORES,
)
from reclust_spark.warehouse.runs import Ledger
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom import stage as zoom
from reclust_spark.zoom.tables import tree_hash
from tests.gmvae_people import mixed_people, survey_of

QUICK = ("gmvae.k=5", "gmvae.n_latent=3", "gmvae.hidden=[32]", "gmvae.warm_steps=400",
         "gmvae.taught_steps=200",
         "gmvae.max_steps=400", "gmvae.anneal_steps=100", "gmvae.round_steps=100",
         "gmvae.batch_size=64",
         "zoom.engine=gmvae", "zoom.n_neighbors=15", "zoom.n_epochs=50", "zoom.max_depth=2",
         "zoom.min_share=0.05")  # fmt: skip
N = 1500


class Built(NamedTuple):
    """A warehouse with a tree whose root a GMVAE has split; more is added to it, nothing changed.

    `survey` are the settings of its table, `rounds` what was told of the training.
    """

    warehouse: Warehouse
    survey: tuple[str, ...]
    rounds: list[Round]
    prepared: int
    trained: int
    tree: int

    def config(self, *more):
        place = f"warehouse={self.warehouse.place}"
        return load_config(settings=[place, *self.survey, *QUICK, *more], environment={})


def write_survey(folder, inputs):
    frame, codebook = survey_of(inputs)
    frame.to_parquet(folder / "survey.parquet")
    (folder / "codebook.yaml").write_text(codebook)
    return (f"input.path={folder}/survey.parquet", "input.id=person",
            f"input.codebook={folder}/codebook.yaml")  # fmt: skip


@pytest.fixture(scope="module")
def built(spark, tmp_path_factory):
    home, rounds = tmp_path_factory.mktemp("gmvae"), []
    survey = write_survey(home, mixed_people(N, seed=7)[1])
    built = Built(Warehouse(spark, f"{home}/warehouse"), survey, rounds, 1, 1, 1)
    warehouse, config = built.warehouse, built.config()
    ledger = Ledger(warehouse, config)
    prepared = prepare.run(warehouse, config, ledger).version
    trained = stage.run(warehouse, config, ledger, prepared, rounds.append).version
    tree = zoom.run(warehouse, config, ledger, prepared, gmvae=trained).version
    return built._replace(prepared=prepared, trained=trained, tree=tree)


@pytest.fixture(scope="module")
def kinds():
    return mixed_people(N, seed=7)[2]


def placed(warehouse, version):
    return warehouse.read(ASSIGNMENTS, version).toPandas().sort_values("row_id")


def test_a_gmvae_is_trained_and_kept_with_where_it_puts_people(built):
    warehouse, rounds = built.warehouse, built.rounds
    assert [one.phase for one in rounds] == ["warm"] * 4 + ["main"] * 4
    row = warehouse.read(GMVAES, built.trained).first()
    assert (row.objective, row.k, row.n_steps) == ("concrete", 5, 800)
    assert row.bound == max(one.bound for one in rounds[4:])
    people = warehouse.read(LATENTS, built.trained).toPandas()
    assert sorted(people.row_id) == [f"p{i:05d}" for i in range(N)]
    shares = np.stack(people.probabilities)
    assert shares.shape == (N, 5) and (np.diff(shares, axis=1) <= 0).all()
    assert shares.sum(axis=1) == pytest.approx(np.ones(N), abs=1e-5)


def test_it_splits_the_root_and_the_rest_goes_on_as_usual(built, kinds):
    warehouse, tree = built.warehouse, built.tree
    people = warehouse.read(LATENTS, built.trained).toPandas()
    nodes = {node["path"]: node for node in zoom.read_tree(warehouse, tree)}
    root = nodes[ROOT]
    assert (root["engine"], root["n_rows"], root["n_fit"]) == ("gmvae", N, N)
    assert {node["engine"] for path, node in nodes.items() if path != ROOT} <= {
        "umap_hdbscan",
        None,
    }
    children = [node for node in nodes.values() if node["parent_path"] == ROOT]
    assert 3 <= len(children) == root["n_children"] <= 5
    sizes = [node["n_rows"] for node in children]
    assert sizes == sorted(sizes, reverse=True) and min(sizes) >= 0.05 * N
    assert sum(sizes) + root["n_noise"] == N
    places = placed(warehouse, tree)
    assert len(places) == N and places.row_id.is_unique
    at_root = places.path.str[:5]
    assert adjusted_rand_score(kinds, at_root) > 0.6
    mine = {node["path"]: set(places.row_id[at_root == node["path"]]) for node in children}
    assert all(node["medoid_row_id"] in mine[node["path"]] for node in children)
    # strength is q(y|x) of the component behind the place, for whoever's place is the root's child
    direct = places[places.path.isin([node["path"] for node in children]) & ~places.is_noise]
    own = people.set_index("row_id").loc[direct.row_id]
    first = own.clusters.str[0].groupby(direct.path.to_numpy())
    component = first.agg(lambda chosen: chosen.mode()[0])[direct.path]
    rank = [list(some).index(one) for some, one in zip(own.clusters, component, strict=True)]
    chance = [some[at] for some, at in zip(own.probabilities, rank, strict=True)]
    assert direct.strength.to_numpy() == pytest.approx(chance, abs=1e-6)
    assert component.groupby(level=0).first().is_unique
    maps = warehouse.read(EMBEDDINGS, tree).where(f"path = '{ROOT}'").toPandas()
    assert len(maps) == N and np.isfinite(maps[["x", "y"]].to_numpy()).all()
    assert root["trustworthiness"] > 0.7

    config = built.config("score.input=" + built.survey[0].partition("=")[2])
    ledger = Ledger(warehouse, config)
    explain.run(warehouse, config, ledger, tree)
    score.run(warehouse, config, ledger, tree)
    scores = warehouse.read(SCORES, tree).toPandas().set_index("row_id").path.str[:5]
    assert (scores[places.row_id].to_numpy() == at_root.to_numpy()).mean() > 0.85

    again = Ledger(warehouse, config)
    assert stage.run(warehouse, config, again, built.prepared).reused
    assert zoom.run(warehouse, config, again, built.prepared, gmvae=built.trained).reused
    last = warehouse.read(RUNS).where("stage = 'zoom'").orderBy("finished_at").collect()[-1]
    assert (last.gmvae_version, last.prepare_version) == (built.trained, built.prepared)


def test_hdbscan_clusters_the_latent_space(built, kinds):
    warehouse, config = built.warehouse, built.config("gmvae.cluster_by=hdbscan")
    ledger = Ledger(warehouse, config)
    assert stage.run(warehouse, config, ledger, built.prepared).reused, "the model is the same"
    result = zoom.run(warehouse, config, ledger, built.prepared)
    assert not result.reused, "another way to cluster"
    root = zoom.read_tree(warehouse, result.version)[0]
    assert root["engine"] == "gmvae" and root["n_children"] >= 3
    at_root = placed(warehouse, result.version).path.str[:5].to_numpy()
    clustered = at_root != ROOT
    assert clustered.mean() > 0.5
    assert adjusted_rand_score(kinds[clustered], at_root[clustered]) > 0.7


def test_partitions_and_order_do_not_matter(built, spark, tmp_path):
    frame = survey_of(mixed_people(N, seed=7)[1])[0].sample(frac=1, random_state=1)
    spark.createDataFrame(frame).repartition(7).write.parquet(f"{tmp_path}/shuffled")
    warehouse = built.warehouse
    config = built.config(f"input.path={tmp_path}/shuffled", "zoom.inline_rows=0")
    ledger = Ledger(warehouse, config)
    prepared = prepare.run(warehouse, config, ledger).version
    trained = stage.run(warehouse, config, ledger, prepared)
    tree = zoom.run(warehouse, config, ledger, prepared)
    assert prepared != built.prepared and not trained.reused and not tree.reused
    ran = warehouse.read(RUNS).where("stage = 'train-gmvae'").orderBy("finished_at").collect()
    assert ran[-1].rows_in == N, "the other preparation's files are not read"
    one, other = (tree_hash(placed(warehouse, number)) for number in (built.tree, tree.version))
    assert one == other


def first_checkpoint(folder, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(folder.glob("_checkpoints_gmvae_*/*.safetensors")):
            return True
        time.sleep(0.05)
    return False


def test_a_killed_worker_is_replaced_and_training_goes_on(built, caplog):
    warehouse = built.warehouse
    steps = ("gmvae.start=autoencoder", "gmvae.warm_steps=200", "gmvae.max_steps=300",
             "gmvae.round_steps=25")  # fmt: skip
    config = built.config("gmvae.backend=horovod", *steps)
    ledger = Ledger(warehouse, config)
    killed = []

    def kill():
        if not first_checkpoint(Path(warehouse.place)):
            return
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or ())
            if "horovod.spark.gloo_exec_fn" in line or "gloo_exec_fn" in line:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
                return

    watcher = threading.Thread(target=kill)
    watcher.start()
    told = []
    found = stage.run(warehouse, config, ledger, built.prepared, told.append)
    watcher.join()
    assert len(killed) == 1
    assert [one.number for one in told] == list(range(20)), "each round is told of, once"
    assert "attempt 1 has failed" in caplog.text
    row = warehouse.read(GMVAES, found.version).first()
    assert row.n_steps == 500, "no step is lost, none done twice"
    seconds = warehouse.read(METRICS).where("name LIKE 'round_%_seconds'")
    assert seconds.where(f"run_id = '{ledger.run_id}'").count() == 20
    left = {path.name for path in Path(warehouse.place).iterdir()}
    assert not {name for name in left if name.startswith("_")}, "checkpoints are dropped"


@pytest.fixture(scope="module")
def unanswered(spark, tmp_path_factory):
    """A warehouse with a preparation alone, of people a tenth of whom answered nothing."""
    home = tmp_path_factory.mktemp("unanswered")
    inputs = mixed_people(N, seed=7)[1]
    inputs[::10] = np.nan
    settings = [f"warehouse={home}/warehouse", *write_survey(home, inputs), *QUICK]
    warehouse, config = Warehouse(spark, f"{home}/warehouse"), load_config([], settings, {})
    prepare.run(warehouse, config, Ledger(warehouse, config))
    return warehouse, settings


def test_what_cannot_be_trained_ends_with_one_clear_error(reclust, unanswered):
    warehouse, settings = unanswered

    def ended(command, *more):
        status, _, said = reclust(warehouse, command, settings=[*settings, *more])
        return status, said

    status, said = ended("zoom")
    assert status == 3 and "run `reclust train-gmvae` first" in said
    status, said = ended("train-gmvae", "gmvae.k=999")
    assert status == 3
    assert "setting gmvae.k" in said and "999 clusters of 1,500 people" in said
    assert "from 2 to half the people: 750" in said
    status, said = ended("train-gmvae", "gmvae.learning_rate=1.0e30")
    assert status == 4
    assert "the loss is not a number at step" in said and "most likely at fault" in said
    status, said = ended("train-gmvae", "gmvae.backend=horovod", "gmvae.processes=3")
    assert status == 2 and "at most its 2 slots" in said


def test_people_who_answered_nothing_count_nothing(reclust, unanswered):
    warehouse, settings = unanswered
    brief = ["gmvae.start=autoencoder", "gmvae.warm_steps=20", "gmvae.max_steps=20"]
    status, _, said = reclust(warehouse, "train-gmvae", settings=[*settings, *brief])
    assert (status, said) == (0, "")
    silent = warehouse.read(METRICS).where("name = 'silent_rows'").first()
    assert silent.value == N / 10
