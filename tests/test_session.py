"""What Spark raises reaches the user as one error."""

from pathlib import Path

import pytest

from reclust_spark.config import SparkOptions, load_config
from reclust_spark.errors import RunError
from reclust_spark.warehouse import session
from reclust_spark.warehouse.session import DELTA_PACKAGE, PACKAGES, named_failures, properties

OVERLAYS = [
    path
    for path in sorted(Path(__file__).parents[1].glob("conf/*.yaml"))
    if "codebook" not in path.stem
]


def _fail(batches):
    raise MemoryError("no room for 3 GiB")
    yield from batches


def test_a_failing_worker_is_named_with_its_cause(spark):
    with pytest.raises(RunError) as caught, named_failures("zoom"):
        spark.range(1).mapInPandas(_fail, "id long").count()
    assert caught.value.exit_status == 4
    assert "step zoom" in str(caught.value)
    assert "MemoryError: no room for 3 GiB" in str(caught.value)
    assert "reclust zoom" in str(caught.value)


def test_other_errors_are_left_alone():
    with pytest.raises(KeyError), named_failures("zoom"):
        raise KeyError("a bug")


def test_what_the_user_sets_wins_and_delta_comes_with_it(monkeypatch):
    monkeypatch.setattr(session, "_delta_is_installed", lambda: False)
    theirs = "org.apache.hadoop:hadoop-aws:3.5.0"
    options = SparkOptions(conf={PACKAGES: theirs, "spark.sql.shuffle.partitions": "3"})
    found = properties(options, {"spark.executor.memory": "2g"})
    assert found[PACKAGES] == f"{DELTA_PACKAGE},{theirs}"
    assert found["spark.sql.shuffle.partitions"] == "3"
    assert found["spark.executor.memory"] == "2g"
    assert properties(SparkOptions(), {})[PACKAGES] == DELTA_PACKAGE
    monkeypatch.setattr(session, "_delta_is_installed", lambda: True)
    assert properties(options, {})[PACKAGES] == theirs


def test_a_cluster_keeps_its_own_defaults():
    on_cluster = properties(SparkOptions(), {"spark.master": "spark://host:7077"})
    assert "spark.sql.shuffle.partitions" not in on_cluster
    assert (
        "UseSerialGC"
        not in properties(SparkOptions(), {"spark.master": "yarn"}, light=True)[
            "spark.driver.extraJavaOptions"
        ]
    )


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_every_file_in_conf_is_a_configuration(path):
    load_config([path], environment={})
