"""What there is to work with: executors, their slots, and the memory of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from reclust_spark.warehouse import grouped, memory
from reclust_spark.warehouse.grouped import Executor

GIB = 2**30


def test_slots_are_counted_and_not_what_parallelism_is_set_to(spark):
    cores = int(spark.sparkContext.master.removeprefix("local[").removesuffix("]"))
    assert [one.slots for one in grouped.executors(spark)] == [cores]
    assert grouped.slots(spark) == cores
    assert grouped.threads_of(spark, 1) == cores and grouped.threads_of(spark, 100) == 1


def test_executors_on_one_machine_share_its_memory(spark, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 16 * GIB)
    for executors, shared_by in (
        ([Executor("a", 4)], 4),
        ([Executor("a", 4), Executor("b", 4)], 4),
        ([Executor("a", 4), Executor("b", 4), Executor("b", 4)], 8),
    ):
        monkeypatch.setattr(memory, "executors", lambda _, found=executors: found)
        share = memory.FREE_SHARE * 16 * GIB / shared_by
        assert memory.task_memory(spark) == pytest.approx(share, abs=1)


def system(home: Path, limit: str | None, used: int = 0, cached: int = 0) -> Path:
    (home / "proc").mkdir()
    (home / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:    {8 * 2**20} kB\n")
    group = home / "sys/fs/cgroup"
    group.mkdir(parents=True)
    if limit is not None:
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\nslab 7\n")
    return home


@pytest.mark.parametrize(
    ("limit", "used", "cached", "free"),
    [
        (None, 0, 0, 8 * GIB),
        ("max", 3 * GIB, 0, 8 * GIB),
        (str(4 * GIB), 3 * GIB, 2 * GIB, 3 * GIB),  # files that it has read do not fill a container
        (str(4 * GIB), 5 * GIB, 0, 0),
        (str(64 * GIB), 1 * GIB, 0, 8 * GIB),
    ],
)
def test_free_memory_is_the_containers_where_that_is_less(tmp_path, limit, used, cached, free):
    assert memory.free_memory(system(tmp_path, limit, used, cached)) == free


def test_a_system_that_does_not_say_has_no_figure(tmp_path):
    assert memory.free_memory(tmp_path) is None
