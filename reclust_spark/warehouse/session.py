"""The Spark session: Delta, lean local defaults, and workers that fork warm."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyspark
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from reclust_spark.config import SparkOptions
from reclust_spark.errors import RunError

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
PACKAGES = "spark.jars.packages"
DAEMON = "reclust_spark.warehouse.daemon"
WARM_MODULES = "RECLUST_WARM_MODULES"

ALWAYS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
    # what a step does beside something else does not wait for its last task to start
    "spark.scheduler.mode": "FAIR",
    # a fit is one thread: the seed must decide the result, whatever the cores of a machine
    "spark.executorEnv.NUMBA_THREADING_LAYER": "workqueue",
    "spark.executorEnv.NUMBA_NUM_THREADS": "1",
    "spark.executorEnv.OMP_NUM_THREADS": "1",
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
    "spark.executorEnv.MKL_NUM_THREADS": "1",
}

ONE_MACHINE = {
    "spark.ui.enabled": "false",
    # 200 partitions and 50 log replays are a cluster's defaults; here each costs a task's start
    "spark.sql.shuffle.partitions": "8",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}

LOGGING = Path(__file__).with_name("log4j2.properties").as_uri()
JAVA_OPTIONS = f"-Dlog4j2.configurationFile={LOGGING}"
LIGHT_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""For a JVM that hands rows to others: the second compiler takes time from Python's workers that it
does not earn back (README, how fast the zoom is), and the serial collector keeps the heap small."""
CLASS_ARCHIVE = Path(sys.prefix, "var", "spark-classes.jsa")
"""What scripts/setup leaves for the JVM: its classes, ready to map. Another JVM passes it over."""


def open_session(
    options: SparkOptions, warm_modules: tuple[str, ...] = (), light: bool = False
) -> SparkSession:
    """Open a session, or take the one that spark-submit's driver already has.

    Parameters
    ----------
    options : SparkOptions
        The user's properties win over all defaults; the master applies only where spark-submit
        has set none.
    warm_modules : tuple of str
        Modules with a ``warm()`` that every Python worker is to be forked warm from.
    light : bool
        On one machine, spend little on the JVM: the work is done elsewhere, or is small.

    Returns
    -------
    SparkSession
    """
    given = _submitted()
    master = given.get("spark.master", options.master)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if _is_here(master):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    builder = SparkSession.builder.appName("reclust").master(master)
    for key, value in properties(options, given, warm_modules, light).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def properties(
    options: SparkOptions,
    given: dict[str, str],
    warm_modules: tuple[str, ...] = (),
    light: bool = False,
) -> dict[str, str]:
    """Return the properties that a session is opened with.

    Parameters
    ----------
    options : SparkOptions
    given : dict of str to str
        What spark-submit was given.
    warm_modules, light
        See `open_session`.
    """
    settings = dict(ALWAYS)
    if warm_modules:
        settings["spark.python.daemon.module"] = DAEMON
        settings[f"spark.executorEnv.{WARM_MODULES}"] = ",".join(warm_modules)
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        settings["spark.executorEnv.NUMBA_CACHE_DIR"] = folder
    if _is_here(given.get("spark.master", options.master)):
        settings |= ONE_MACHINE | {"spark.driver.extraJavaOptions": _java_options(light)}
    else:
        # executors log as their cluster wants it; a driver started here says what the step says
        settings["spark.driver.extraJavaOptions"] = JAVA_OPTIONS
    settings |= given | options.conf
    if not _delta_is_installed():
        others = settings.get(PACKAGES)
        settings[PACKAGES] = DELTA_PACKAGE if others is None else f"{DELTA_PACKAGE},{others}"
    return settings


def _is_here(master: str) -> bool:
    return master.startswith("local")


@contextmanager
def session(
    options: SparkOptions, warm_modules: tuple[str, ...] = (), light: bool = False
) -> Iterator[SparkSession]:
    """Open a session for a while; one that was there before is used, and left running."""
    there_before = SparkSession.getActiveSession() is not None
    spark = open_session(options, warm_modules, light)
    with ThreadPoolExecutor(1) as beside:
        # the first Python worker warms up while the JVM reads its first table
        warm = beside.submit(_start_worker, spark) if warm_modules and not there_before else None
        try:
            yield spark
        finally:
            if warm is not None:
                warm.result()
            if not there_before:
                spark.stop()


@contextmanager
def named_failures(step: str) -> Iterator[None]:
    """Turn what Spark raises into one error that names the step and the cause.

    Raises
    ------
    RunError
        With the last error of a worker's or the JVM's trace.
    """
    try:
        yield
    except (Py4JError, PySparkException) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        causes = [line for line in lines if "Error" in line or "Exception" in line]
        raise RunError(
            f"step {step}",
            f"Spark could not finish it: {causes[-1] if causes else lines[0]}",
            "a run without lost executors, full disks or exhausted memory",
            f"mend that and run `reclust {step}` again; finished work is kept",
        ) from error


def _java_options(light: bool) -> str:
    given = [JAVA_OPTIONS]
    if light:
        given.append(LIGHT_JAVA_OPTIONS)
    if CLASS_ARCHIVE.exists():
        given.append(f"-XX:SharedArchiveFile={CLASS_ARCHIVE} -Xlog:disable -Xlog:all=error")
    return " ".join(given)


def _start_worker(spark: SparkSession) -> None:
    """Have one task go through Python: the daemon that all workers are forked from starts."""
    one = spark.range(0, 1, 1, 1).mapInArrow(lambda batches: batches, "id long")
    one.write.format("noop").mode("overwrite").save()


def _delta_is_installed() -> bool:
    """Tell whether Delta's jars lie beside Spark's own, as scripts/setup leaves them."""
    home = Path(os.environ.get("SPARK_HOME", Path(pyspark.__file__).parent))
    return any((home / "jars").glob("delta-spark_*.jar"))


def _submitted() -> dict[str, str]:
    """Return the properties that spark-submit was given; none where Python started by itself."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # the JVM is there already, and knows them
    return dict(SparkConf().getAll())
