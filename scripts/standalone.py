"""A Spark standalone cluster on this machine: a master and workers, each a JVM of its own."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import pyspark
from measure import children

HOME = Path(pyspark.__file__).parent
HOST = "127.0.0.1"
STARTS_WITHIN = 60


class Cluster:
    """A running cluster.

    Attributes
    ----------
    master : str
        What `spark.master` is to be.
    workers : list of psutil.Process
        The JVMs of the workers.
    """

    def __init__(self, folder: Path, cores: int, memory: str) -> None:
        self.folder, self.cores, self.memory = folder, cores, memory
        port, self._page = free_port(), free_port()
        self.master = f"spark://{HOST}:{port}"
        self._master = self._start(
            "master", "org.apache.spark.deploy.master.Master",
            "--host", HOST, "--port", str(port), "--webui-port", str(self._page),
        )  # fmt: skip
        self.workers: list[psutil.Process] = []
        self._numbers = itertools.count()

    def add_worker(self) -> psutil.Process:
        """Start a worker, and wait until the master knows it."""
        alive, name = self.alive(), f"worker-{next(self._numbers)}"
        worker = self._start(
            name, "org.apache.spark.deploy.worker.Worker",
            "--host", HOST, "--cores", str(self.cores), "--memory", self.memory,
            "--work-dir", str(self.folder / f"{name}-work"),
            "--webui-port", str(free_port()), self.master,
        )  # fmt: skip
        self.workers.append(worker)
        self._wait(lambda: self.alive() > alive, worker)
        return worker

    def lose_worker(self, worker: psutil.Process) -> None:
        """Kill a worker with its executors, and wait until the master knows."""
        alive = self.alive()
        for one in [worker, *children(worker)]:
            one.kill()
        self.workers.remove(worker)
        self._wait(lambda: self.alive() < alive, self._master)

    def alive(self) -> int:
        """Return how many workers the master counts on."""
        try:
            with urlopen(f"http://{HOST}:{self._page}/json/", timeout=5) as page:
                return int(json.load(page)["aliveworkers"])
        except OSError:
            return 0

    def stop(self) -> None:
        """End all processes of the cluster, the executors included."""
        for process in [*self.workers, self._master]:
            for one in [*children(process), process]:
                try:
                    one.kill()
                except psutil.NoSuchProcess:
                    continue

    def _start(self, name: str, *words: str) -> psutil.Process:
        environment = os.environ | {"SPARK_HOME": str(HOME), "SPARK_LOCAL_IP": HOST}
        with (self.folder / f"{name}.log").open("wb") as log:
            return psutil.Popen(
                [HOME / "bin" / "spark-class", *words],
                env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _wait(self, is_there, process: psutil.Process) -> None:
        until = time.monotonic() + STARTS_WITHIN
        while not is_there():
            ended = process.poll() is not None or self._master.poll() is not None
            if ended or time.monotonic() > until:
                logs = sorted(self.folder.glob("*.log"))
                raise RuntimeError("\n".join(log.read_text()[-2_000:] for log in logs))
            time.sleep(0.2)


@contextmanager
def cluster(workers: int = 2, cores: int = 1, memory: str = "2g") -> Iterator[Cluster]:
    """Run a cluster for a while.

    Parameters
    ----------
    workers : int
    cores : int
        Of each worker.
    memory : str
        Of each worker's executors.
    """
    folder = Path(tempfile.mkdtemp(prefix="standalone-"))
    started = Cluster(folder, cores, memory)
    try:
        for _ in range(workers):
            started.add_worker()
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])
