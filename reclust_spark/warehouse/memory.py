"""How much memory a Python worker may take: what its machine has free, shared by its slots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from reclust_spark.warehouse.grouped import slots_each

FREE_SHARE = 0.8
"""Of what is free; the rest is for the JVM's heap to grow, and for the system."""


def task_memory(spark: SparkSession) -> int | None:
    """Return how many bytes the task of a slot may take, on the executor that has the least.

    Parameters
    ----------
    spark : SparkSession

    Returns
    -------
    int or None
        `spark.executor.pyspark.memory`, where it is set, or what is free on the machines; None
        where the system does not say.
    """
    context = spark.sparkContext
    slots, shared_by = context.defaultParallelism, slots_each(spark)
    given = context._jsc.sc().getConf().getSizeAsBytes("spark.executor.pyspark.memory", "0")
    if given:
        return int(given) // shared_by
    if context.master.startswith("local["):
        free = free_memory()
    else:

        def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for _ in batches:
                yield pa.RecordBatch.from_pydict({"free": [free_memory()]})

        found = spark.range(slots, numPartitions=slots).mapInArrow(look, "free bigint").collect()
        known = [row["free"] for row in found if row["free"] is not None]
        free = min(known) if known else None
    return None if free is None else int(FREE_SHARE * free) // shared_by


def free_memory() -> int | None:
    """Return how many bytes are free here: the machine's, or the container's where that is less."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    facts = dict(line.split(":", 1) for line in lines)
    free = int(facts["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except OSError:
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - used))
