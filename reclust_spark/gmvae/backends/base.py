"""The interface of a backend: run a function in several processes, give rank 0's result."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from pyspark.sql import SparkSession

from reclust_spark.errors import ReclustError
from reclust_spark.gmvae.group import Group

Work = Callable[[Group], Any]
"""Called in every process; it is pickled, and so is what it returns."""


class Backend(Protocol):
    """A module with this function."""

    def run(self, spark: SparkSession, work: Work, processes: int) -> Any:
        """Run `work` in so many processes and return what it gave at rank 0."""
        ...


def load(name: str) -> Backend:
    """Return a backend by its name: local, horovod or torch_distributor."""
    return importlib.import_module(f"reclust_spark.gmvae.backends.{name}")


def task_cores(spark: SparkSession) -> int:
    """Return how many cores Spark gives a task."""
    return int(spark.conf.get("spark.task.cpus", "1"))


def guarded(job: Any, on_round: Callable[[Any], None] | None, group: Group) -> Any:
    """Do a process's part of a job; an error of ours is a result, for a backend loses its type."""
    from reclust_spark.gmvae import work

    try:
        return work.run(job, group, on_round or (lambda done: None))
    except ReclustError as error:
        return error
