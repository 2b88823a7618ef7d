"""`reclust train-gmvae` on Spark, and the tree whose root it splits."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
from sklearn.metrics import adjusted_rand_score

from reclust_spark.cli import main
from reclust_spark.explain import stage as explain
from reclust_spark.gmvae import stage
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


@pytest.fixture
def survey(tmp_path):
    frame, codebook = survey_of(mixed_people(N, seed=7)[1])
    frame.to_parquet(tmp_path / "survey.parquet")
    (tmp_path / "codebook.yaml").write_text(codebook)
    return (f"input.path={tmp_path}/survey.parquet", "input.id=person",
            f"input.codebook={tmp_path}/codebook.yaml")  # fmt: skip


@pytest.fixture(scope="module")
def kinds():
    return mixed_people(N, seed=7)[2]


def placed(warehouse, version):
    return warehouse.read(ASSIGNMENTS, version).toPandas().sort_values("row_id")


def test_a_gmvae_splits_the_root_and_the_rest_goes_on_as_usual(
    warehouse, make_config, make_ledger, survey, kinds
):
    config = make_config(*survey, *QUICK, "score.input=" + survey[0].partition("=")[2])
    ledger = make_ledger(config)
    prepared = prepare.run(warehouse, config, ledger).version
    rounds = []
    trained = stage.run(warehouse, config, ledger, prepared, rounds.append)
    assert [one.phase for one in rounds] == ["warm"] * 4 + ["main"] * 4
    row = warehouse.read(GMVAES, trained.version).first()
    assert (row.objective, row.k, row.n_steps) == ("concrete", 5, 800)
    assert row.bound == max(one.bound for one in rounds[4:])
    people = warehouse.read(LATENTS, trained.version).toPandas()
    assert sorted(people.row_id) == [f"p{i:05d}" for i in range(N)]
    shares = np.stack(people.probabilities)
    assert shares.shape == (N, 5) and (np.diff(shares, axis=1) <= 0).all()
    assert shares.sum(axis=1) == pytest.approx(np.ones(N), abs=1e-5)

    tree = zoom.run(warehouse, config, ledger, prepared, gmvae=trained.version).version
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
    # strength is q(y|x) of the root's child for whoever's place is one
    direct = places[places.path.isin([node["path"] for node in children]) & ~places.is_noise]
    first = people.set_index("row_id").probabilities.map(lambda one: one[0])
    if len(direct):
        assert direct.strength.to_numpy() == pytest.approx(first[direct.row_id].to_numpy())
    maps = warehouse.read(EMBEDDINGS, tree).where(f"path = '{ROOT}'").toPandas()
    assert len(maps) == N and np.isfinite(maps[["x", "y"]].to_numpy()).all()
    assert root["trustworthiness"] > 0.7

    explain.run(warehouse, config, ledger, tree)
    score.run(warehouse, config, ledger, tree)
    scores = warehouse.read(SCORES, tree).toPandas().set_index("row_id").path.str[:5]
    assert (scores[places.row_id].to_numpy() == at_root.to_numpy()).mean() > 0.85

    again = make_ledger(config)
    assert stage.run(warehouse, config, again, prepared).reused
    assert zoom.run(warehouse, config, again, prepared).reused
    last = warehouse.read(RUNS).where("stage = 'zoom'").orderBy("finished_at").collect()[-1]
    assert (last.gmvae_version, last.prepare_version) == (trained.version, prepared)


def test_hdbscan_clusters_the_latent_space(warehouse, make_config, make_ledger, survey, kinds):
    config = make_config(*survey, *QUICK, "gmvae.cluster_by=hdbscan", "zoom.max_depth=1")
    ledger = make_ledger(config)
    prepare.run(warehouse, config, ledger)
    stage.run(warehouse, config, ledger)
    tree = zoom.run(warehouse, config, ledger).version
    root = zoom.read_tree(warehouse, tree)[0]
    assert root["engine"] == "gmvae" and root["n_children"] >= 3
    places = placed(warehouse, tree)
    clustered = ~places.is_noise.to_numpy()
    assert clustered.mean() > 0.5
    assert adjusted_rand_score(kinds[clustered], places.path[clustered]) > 0.7
    other = make_config(*survey, *QUICK, "zoom.max_depth=1")
    assert not zoom.run(warehouse, other, make_ledger(other)).reused, "another way to cluster"


def test_partitions_and_order_do_not_matter(
    warehouse, make_config, make_ledger, survey, spark, tmp_path
):
    trees = []
    frame = survey_of(mixed_people(N, seed=7)[1])[0].sample(frac=1, random_state=1)
    spark.createDataFrame(frame).repartition(7).write.parquet(f"{tmp_path}/shuffled")
    for path, inline in ((f"{tmp_path}/survey.parquet", 5000), (f"{tmp_path}/shuffled", 0)):
        changed = (f"input.path={path}", f"zoom.inline_rows={inline}", "zoom.max_depth=1")
        config = make_config(*survey, *QUICK, *changed)
        ledger = make_ledger(config)
        prepared = prepare.run(warehouse, config, ledger).version
        trained = stage.run(warehouse, config, ledger, prepared)
        tree = zoom.run(warehouse, config, ledger, prepared)
        assert not trained.reused and not tree.reused
        ran = warehouse.read(RUNS).where("stage = 'train-gmvae'").orderBy("finished_at").collect()
        assert ran[-1].rows_in == N, "the other preparation's files are not read"
        trees.append(tree_hash(placed(warehouse, tree.version)))
    assert trees[0] == trees[1]


def first_checkpoint(folder, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(folder.glob("_checkpoints_gmvae_*/*.safetensors")):
            return True
        time.sleep(0.05)
    return False


def test_a_killed_worker_is_replaced_and_training_goes_on(
    warehouse, make_config, make_ledger, survey, tmp_path, caplog
):
    config = make_config(*survey, *QUICK, "gmvae.backend=horovod", "gmvae.round_steps=25")
    ledger = make_ledger(config)
    prepare.run(warehouse, config, ledger)
    killed = []

    def kill():
        if not first_checkpoint(tmp_path / "warehouse"):
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
    found = stage.run(warehouse, config, ledger, on_round=told.append)
    watcher.join()
    assert len(killed) == 1
    assert [one.number for one in told] == list(range(32)), "each round is told of, once"
    assert "attempt 1 has failed" in caplog.text
    row = warehouse.read(GMVAES, found.version).first()
    assert row.n_steps == 800, "no step is lost, none done twice"
    assert warehouse.read(METRICS).where("name LIKE 'round_%_seconds'").count() == 32
    left = {path.name for path in (tmp_path / "warehouse").iterdir()}
    assert not {name for name in left if name.startswith("_")}, "checkpoints are dropped"


@pytest.fixture
def reclust(spark, tmp_path, capfd):
    """Run a command; return the exit status and what was said on standard error."""

    def run(command, *settings):
        words = [word for one in settings for word in ("--set", one)]
        with pytest.raises(SystemExit) as ended:
            main([command, "--set", f"warehouse={tmp_path}/warehouse", *words])
        return int(ended.value.code or 0), capfd.readouterr().err

    return run


def test_what_cannot_be_trained_ends_with_one_clear_error(reclust, survey):
    assert reclust("prepare", *survey)[0] == 0
    status, said = reclust("zoom", *survey, *QUICK)
    assert status == 3 and "run `reclust train-gmvae` first" in said
    status, said = reclust("train-gmvae", *survey, *QUICK, "gmvae.k=999")
    assert status == 3
    assert "setting gmvae.k" in said and "999 clusters of 1,500 people" in said
    assert "from 2 to half the people: 750" in said
    status, said = reclust("train-gmvae", *survey, *QUICK, "gmvae.learning_rate=1.0e30")
    assert status == 4
    assert "the loss is not a number at step" in said and "most likely at fault" in said
    many = ("gmvae.backend=horovod", "gmvae.processes=3")
    status, said = reclust("train-gmvae", *survey, *QUICK, *many)
    assert status == 2 and "at most its 2 slots" in said


def test_people_who_answered_nothing_count_nothing(reclust, survey, tmp_path, warehouse):
    inputs = mixed_people(N, seed=7)[1]
    inputs[::10] = np.nan
    survey_of(inputs)[0].to_parquet(tmp_path / "survey.parquet")
    assert reclust("prepare", *survey)[0] == 0
    brief = ("gmvae.warm_steps=20", "gmvae.taught_steps=20", "gmvae.max_steps=20")
    status, said = reclust("train-gmvae", *survey, *QUICK, *brief)
    assert (status, said) == (0, "")
    silent = warehouse.read(METRICS).where("name = 'silent_rows'").first()
    assert silent.value == N / 10
