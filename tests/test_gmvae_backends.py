"""One suite for every backend: what a group does, and that training in it is the same training."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from reclust_spark.config import GmvaeOptions
from reclust_spark.errors import ConfigError, InputError
from reclust_spark.gmvae import parquet
from reclust_spark.gmvae.backends import base
from reclust_spark.gmvae.store import from_bytes
from reclust_spark.gmvae.work import Job, Result
from tests.gmvae_people import QUESTIONS, mixed_people

ROOT = Path(__file__).resolve().parents[1]
GROUPS = [("local", 1), ("horovod", 2), ("torch_distributor", 2)]
QUICK = {"k": 3, "n_latent": 3, "hidden": (32,), "batch_size": 128, "warm_steps": 300,
         "taught_steps": 200, "max_steps": 400, "anneal_steps": 100,
         "round_steps": 100}  # fmt: skip
BRIEF = {"warm_steps": 45, "taught_steps": 10, "max_steps": 60, "anneal_steps": 20,
         "round_steps": 15}  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """2,500 people in five row groups of two files, as uneven as they come."""
    folder = tmp_path_factory.mktemp("features")
    features, inputs, _ = mixed_people(2500, seed=4)
    codes = [question.codes for question in QUESTIONS]
    answers = inputs.copy()
    for i, code in enumerate(codes):
        if code is not None:
            known = ~np.isnan(inputs[:, i])
            answers[known, i] = np.array(code, np.float32)[inputs[known, i].astype(int)]
    table = pa.table({"row_id": [f"p{i:04d}" for i in range(2500)], "weight": np.ones(2500),
                      "features": list(features), "answers": list(answers)})  # fmt: skip
    pq.write_table(table[:1700], folder / "a.parquet", row_group_size=700)
    pq.write_table(table[1700:], folder / "b c.parquet", row_group_size=500)
    return [path.as_uri() for path in sorted(folder.iterdir())]


def job_of(shards, processes, **settings):
    hands = parquet.deal(parquet.list_row_groups(shards), processes)
    options = GmvaeOptions(**QUICK | settings)
    return Job(hands, QUESTIONS, tuple(range(len(QUESTIONS))), options, None)


def impossible(job):
    """The same training of people one of whose answers is no count."""
    wrong = [q._replace(kind="count") if q.source_column == "age" else q for q in QUESTIONS]
    return job._replace(questions=tuple(wrong))


def trained(spark, backend, job):
    return base.load(backend).run(spark, partial(base.guarded, job, None), len(job.hands))


def everything(group):
    """Use all that a group has; return what every process has seen."""
    start = torch.full((3,), float(group.rank + 1))
    group.broadcast([start])
    weight = torch.nn.Linear(1, 1, bias=False)
    group.broadcast(weight.state_dict().values())
    before = float(weight.weight.detach())
    stepper = group.averaging(torch.optim.SGD(weight.parameters(), lr=1.0), weight)
    weight.weight.grad = torch.zeros_like(weight.weight)
    for _ in range(2):
        weight.weight.grad.zero_()
        (weight.weight.sum() * (group.rank + 1)).backward()
        stepper.step()
    seen = {
        "rank": group.rank,
        "process": os.getpid(),
        "device": str(group.device),
        "first": start.tolist(),
        "total": float(group.total(torch.tensor(float(group.rank + 1), dtype=torch.float64))),
        "moved": before - float(weight.weight.detach()),
    }
    return group.gather(seen)


def all_of(jobs, group):
    """Use all that a group has, and train in it, job after job: processes are slow to start."""
    return everything(group), [base.guarded(job, None, group) for job in jobs]


class Ran(NamedTuple):
    """What a group of processes has given: of everything, of a training, and of two odd ones."""

    backend: str
    processes: int
    seen: list
    found: Result
    with_nobody: Result
    stopped: object


@pytest.fixture(scope="module", params=GROUPS, ids=lambda group: group[0])
def ran(request, spark, shards):
    backend, processes = request.param
    job = job_of(shards, processes, batch_size=128 // processes)
    few = job_of(shards, processes, start="autoencoder", warm_steps=20, max_steps=20)
    hands = [parquet.list_row_groups(shards[:1])[:1], *[[]] * (processes - 1)]
    jobs = (job, few._replace(hands=hands), impossible(job))
    seen, given = base.load(backend).run(spark, partial(all_of, jobs), processes)
    return Ran(backend, processes, seen, *given)


def test_a_group_gathers_totals_broadcasts_and_averages(ran):
    assert [one["rank"] for one in ran.seen] == list(range(ran.processes))
    assert len({one["process"] for one in ran.seen}) == ran.processes
    ranks = range(1, ran.processes + 1)
    for one in ran.seen:
        assert one["first"] == [1.0] * 3
        assert one["total"] == sum(ranks)
        assert one["moved"] == pytest.approx(2 * sum(ranks) / ran.processes, abs=1e-6)


@pytest.fixture(scope="module")
def alone(spark, shards):
    return trained(spark, "local", job_of(shards, 1))


def test_a_group_reaches_the_bound_of_one_process(ran, shards, alone):
    sizes = [sum(group.rows for group in hand) for hand in job_of(shards, ran.processes).hands]
    assert sorted(sizes) == ([2500] if ran.processes == 1 else [1200, 1300])
    assert ran.found.rows == alone.rows == 2500
    assert ran.found.bound == pytest.approx(alone.bound, abs=0.25)
    assert from_bytes(ran.found.model, "here").shape == from_bytes(alone.model, "here").shape


def test_an_impossible_answer_on_one_process_stops_all_of_them(ran):
    assert isinstance(ran.stopped, InputError)
    assert "column 'age' (count)" in str(ran.stopped)
    assert "whole numbers from 0" in str(ran.stopped)


def test_a_process_without_people_keeps_step(ran):
    assert ran.with_nobody.rows == 700 and np.isfinite(ran.with_nobody.bound)


def test_one_rank_has_the_losses_of_the_local_backend(spark, shards):
    job = job_of(shards, 1, **BRIEF)
    found, alone = (trained(spark, backend, job) for backend in ("horovod", "local"))
    assert len(found.rounds) == len(alone.rounds) == 7
    np.testing.assert_allclose([one.loss for one in found.rounds],
                               [one.loss for one in alone.rounds], rtol=1e-6)  # fmt: skip
    assert found.bound == pytest.approx(alone.bound, rel=1e-6)


def test_row_groups_are_dealt_once_each_and_evenly(shards):
    groups = parquet.list_row_groups(shards)
    assert [group.rows for group in groups] == [700, 700, 300, 500, 300]
    hands = parquet.deal(groups, 3)
    assert sorted(group for hand in hands for group in hand) == sorted(groups)
    assert [sum(group.rows for group in hand) for hand in hands] == [1000, 700, 800]
    people = [parquet.read(hand, 6, 6) for hand in hands]
    ids = np.concatenate([one.ids for one in people])
    assert len(set(ids)) == 2500
    for one in people:
        assert list(one.ids) == sorted(one.ids)
    nobody = parquet.read([], 6, 6)
    assert nobody.features.shape == (0, 6) and nobody.answers.shape == (0, 6)


def test_horovod_absent_names_the_script_that_builds_it(spark, monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod.torch", None)
    with pytest.raises(ConfigError, match="scripts/build_horovod"):
        base.load("horovod").run(spark, everything, 1)


CLUSTER = """
import sys
from reclust_spark.config import load_config
from reclust_spark.gmvae.backends import base
from reclust_spark.pipeline import connect
from tests.test_gmvae_backends import everything

config = load_config(settings=sys.argv[1:], environment={})
with connect(config) as warehouse:
    print(base.load("horovod").run(warehouse.spark, everything, 4))
"""


def test_executors_train_together_each_task_with_the_gpu_that_spark_gave_it(tmp_path, short_lived):
    """Two executors of two tasks: in each of them one has GPU 4, the other GPU 7."""
    finder = tmp_path / "discover"
    finder.write_text("""#!/bin/sh\necho '{"name": "gpu", "addresses": ["4", "7"]}'\n""")
    finder.chmod(0o755)
    conf = {
        "spark.worker.resource.gpu.amount": 2,
        "spark.worker.resource.gpu.discoveryScript": finder,
        "spark.executor.resource.gpu.amount": 2,
        "spark.executor.resource.gpu.discoveryScript": finder,
        "spark.task.resource.gpu.amount": 1,
    }
    settings = [f"spark.conf.{key}={value}" for key, value in conf.items()]
    ended = subprocess.run(
        [sys.executable, "-c", CLUSTER, f"warehouse={tmp_path}/w",
         "spark.master=local-cluster[2,2,1024]", *settings],
        capture_output=True, text=True, timeout=500, cwd=ROOT,
        env=short_lived,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    seen = eval(ended.stdout)
    assert [one["total"] for one in seen] == [10.0] * 4
    assert len({one["process"] for one in seen}) == 4
    assert sorted(one["device"] for one in seen) == ["cuda:4", "cuda:4", "cuda:7", "cuda:7"]
