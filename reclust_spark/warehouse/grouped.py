"""Grouped maps over people: one group, one task, the largest first.

A group's rows reach a plain function as one Arrow table and leave it as another. The function may
run twice (a retry, speculation), so it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

RANK = "rank"


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
    return max(1, min(slots_each(spark), spark.sparkContext.defaultParallelism // groups))


def slots_each(spark: SparkSession) -> int:
    """Return how many slots an executor has, at least 1."""
    context = spark.sparkContext
    others = context._jsc.sc().getExecutorMemoryStatus().size() - 1  # the driver's is among them
    return max(1, context.defaultParallelism // max(1, others))
