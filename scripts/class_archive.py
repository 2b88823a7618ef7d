"""Keeps the JVM's classes, parsed and checked, in one file: sessions on this machine start sooner.

JEP 310 and 350: an archive is made when a JVM ends that has done what later ones will do. Here it
has prepared and clustered a small table.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from reclust_spark.warehouse.session import CLASS_ARCHIVE, JAVA_OPTIONS


def main() -> None:
    """Make the archive anew."""
    CLASS_ARCHIVE.parent.mkdir(parents=True, exist_ok=True)
    CLASS_ARCHIVE.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        answers = np.random.default_rng(0).integers(0, 5, size=(400, 6))
        people = pd.DataFrame(answers, columns=list("abcdef")).assign(id=range(400))
        people.to_parquet(f"{folder}/people.parquet", index=False)
        settings = {
            "input.path": f"{folder}/people.parquet",
            "input.id": "id",
            "warehouse": f"{folder}/warehouse",
            "zoom.n_epochs": "10",
        }
        run("prepare", settings)
        at_exit = f"{JAVA_OPTIONS} -XX:ArchiveClassesAtExit={CLASS_ARCHIVE}"
        run("zoom", settings | {"spark.conf.spark.driver.extraJavaOptions": at_exit})


def run(step: str, settings: dict[str, str]) -> None:
    """Run a step until its output ends: the JVM outlives the command, to write the archive."""
    command = [str(Path(sys.executable).with_name("reclust")), step]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
