"""Grouped maps over people: one group, one task, the largest first.

A group's rows reach a plain function as one Arrow table and leave it as another. The function may
run twice (a retry, speculation), so it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

RANK = "rank"


class Executor(NamedTuple):
    """Where tasks run.

    Attributes
    ----------
    host : str
    slots : int
        Tasks at once.
    """

    host: str
    slots: int


def map_groups(
    frame: DataFrame, groups: int, work: Callable[[int, pa.Table], pa.Table], schema: StructType
) -> DataFrame:
    """Apply a function to each group of a frame.

    Parameters
    ----------
    frame : DataFrame
        With a column `rank`: the group's number from 0, the largest group first.
    groups : int
        How many groups there are.
    work : callable
        From a rank and the group's rows to the rows it returns.
    schema : StructType
        Of what it returns.

    Returns
    -------
    DataFrame
        Lazy.
    """

    def apply(key: tuple[pa.Scalar, ...], rows: pa.Table) -> pa.Table:
        return work(key[0].as_py(), rows)

    # a partition a group, in rank's order: Spark starts the large ones first and gives each slot
    # that falls free the next
    placed = frame.repartitionById(groups, F.col(RANK))
    return placed.groupBy(RANK).applyInArrow(apply, schema)


def threads_of(spark: SparkSession, groups: int) -> int:
    """Return how many threads the task of a group may use: the slots that would stand idle.

    Parameters
    ----------
    spark : SparkSession
    groups : int
        How many groups are worked on at once.

    Returns
    -------
    int
        At least 1, and no more than an executor has cores.
    """
    there = executors(spark)
    each = min(one.slots for one in there)
    return max(1, min(each, sum(one.slots for one in there) // groups))


def executors(spark: SparkSession) -> list[Executor]:
    """Return the executors that are there, the driver where it works itself; at least one.

    Before the first has come, one stands for all that Spark expects.
    """
    context = spark.sparkContext
    each = max(1, int(context.getConf().get("spark.task.cpus", "1")))
    summaries = context._jsc.sc().statusStore().executorList(True)
    found = [summaries.apply(i) for i in range(summaries.size())]
    working = [
        Executor(one.hostPort().rpartition(":")[0], one.totalCores() // each)
        for one in found
        if one.totalCores() >= each
    ]
    return working or [Executor("", max(1, context.defaultParallelism))]


def slots(spark: SparkSession) -> int:
    """Return how many tasks can run at once, at least 1.

    Spark's own `defaultParallelism` is `spark.default.parallelism` where that is set.
    """
    return sum(one.slots for one in executors(spark))
