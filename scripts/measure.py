"""Measures a command as a whole process, with all that it starts."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

EVERY, SHARE_OF_TIME = 0.25, 0.02
"""Seconds between two looks; looking at gigabytes takes long, and then they are further apart."""


class Measured(NamedTuple):
    """What a command took.

    Attributes
    ----------
    seconds : float
        Wall time.
    cpu_seconds : float
        Of all its processes together, as last seen.
    mebibytes : float
        The highest sum of their memory (PSS), looked at four times a second or less often.
    started : float
        In seconds since 1970.
    """

    seconds: float
    cpu_seconds: float
    mebibytes: float
    started: float


def measure(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> Measured:
    """Run a command and watch it.

    Raises
    ------
    CalledProcessError
        If it fails.
    """
    peak = 0.0
    cpu: dict[tuple[int, float], float] = {}
    process = psutil.Popen(command, env=environment)
    done = threading.Event()

    def look() -> None:
        nonlocal peak
        used = 0
        for one in [process, *children(process)]:
            try:
                with one.oneshot():
                    times = one.cpu_times()
                    cpu[one.pid, one.create_time()] = times.user + times.system
                    used += one.memory_full_info().pss
            except psutil.Error:
                continue  # it has ended meanwhile
        peak = max(peak, used / 2**20)

    def watch() -> None:
        pause = EVERY
        while not done.wait(pause):
            began = time.perf_counter()
            look()
            pause = max(EVERY, (time.perf_counter() - began) / SHARE_OF_TIME)

    began, started = time.time(), time.perf_counter()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        status = process.wait()
        seconds = time.perf_counter() - started
    finally:
        done.set()
        watcher.join()
    if status:
        raise subprocess.CalledProcessError(status, command)
    return Measured(seconds, sum(cpu.values()), peak, began)


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return what a process has started, and what these have."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
