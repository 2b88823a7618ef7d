"""How much memory a Python worker may take: what its machine has free, shared by its slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from reclust_spark.warehouse.grouped import executors, slots

FREE_SHARE = 0.8
"""Of what is free; the rest is for the JVM's heap to grow, and for the system."""
ADDRESSES = 512 * 2**20
"""Of a worker whose address space Spark limits: what its libraries reserve and never touch."""
PYTHON_MEMORY = "spark.executor.pyspark.memory"


def task_memory(spark: SparkSession) -> int | None:
    """Return how many bytes the task of a slot may take, where there is the least.

    Parameters
    ----------
    spark : SparkSession

    Returns
    -------
    int or None
        Of `spark.executor.pyspark.memory`, where it is set, or of what is free on the machines,
        by the slots that share it; None where the system does not say.
    """
    context = spark.sparkContext
    given = context._jsc.sc().getConf().getSizeAsMb(PYTHON_MEMORY, "0") * 2**20
    if given:
        most = max(one.slots for one in executors(spark))
        return max(0, given // most - ADDRESSES)
    free = free_memory() if context.master.startswith("local[") else _least_free(spark)
    # executors on one machine see the same memory
    of_host: Counter[str] = Counter()
    for one in executors(spark):
        of_host[one.host] += one.slots
    return None if free is None else int(FREE_SHARE * free) // max(of_host.values())


def _least_free(spark: SparkSession) -> int | None:
    """Ask as many tasks as there are slots; Spark says where they run, and may pass over one."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"free": [free_memory()]})

    n_tasks = slots(spark)
    found = spark.range(n_tasks, numPartitions=n_tasks).mapInArrow(look, "free bigint").collect()
    return min((row["free"] for row in found if row["free"] is not None), default=None)


def free_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes are free here: the machine's, or the container's where that is less.

    What a container has cached of files counts as free, as far as it has not been used of late.

    Parameters
    ----------
    root : Path
        Of the file system whose `proc` and `sys` are read.
    """
    try:
        machine = _facts(root / "proc/meminfo")
    except OSError:
        return None
    free = machine["MemAvailable:"] * 1024
    group = root / "sys/fs/cgroup"
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        cached = _facts(group / "memory.stat")["inactive_file"]
    except OSError:
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - used + cached))


def _facts(file: Path) -> dict[str, int]:
    lines = [line.split() for line in file.read_text().splitlines()]
    return {name: int(value) for name, value, *_ in lines}
