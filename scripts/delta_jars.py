"""Puts Delta's jars beside Spark's own, once, so that no session has to resolve them again.

Delta's wheel carries no jars: where they are missing, session.py names them in spark.jars.packages
and Ivy looks them up at each start. Jars in Spark's own folder are on the path of every driver and
executor. After session.py names a new version, `delta_jars.py --lock` writes jars.lock anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pyspark

from reclust_spark.warehouse.session import DELTA_PACKAGE

# What else Delta asks for, Spark brings itself, in newer versions.
BROUGHT_BY_SPARK = (
    "com.fasterxml.jackson.core:*,com.github.luben:*,com.google.code.findbugs:*,commons-logging:*,"
    "commons-pool:*,io.airlift:*,org.apache.hadoop:*,org.apache.logging.log4j:*,"
    "org.apache.parquet:*,org.locationtech.jts:*,org.roaringbitmap:*,org.slf4j:*,org.xerial.snappy:*"
)

HOME = Path(pyspark.__file__).parent / "jars"
LOCK = Path(__file__).with_name("jars.lock")  # as sha256sum writes it


def main(arguments: list[str]) -> None:
    """Resolve the jars, check them against the lock, and copy them, unless they are there."""
    if arguments == ["--lock"]:
        with tempfile.TemporaryDirectory() as folder:
            jars = _resolve(Path(folder))
            LOCK.write_text("".join(f"{_sha256(jars[name])}  {name}\n" for name in sorted(jars)))
    locked = dict(reversed(line.split()) for line in LOCK.read_text().splitlines())
    if all(_sha256(HOME / name) == expected for name, expected in locked.items()):
        return
    with tempfile.TemporaryDirectory() as folder:
        jars = _resolve(Path(folder))
        found = {name: _sha256(jar) for name, jar in jars.items()}
        if found != locked:
            differing = sorted(name for name, _ in found.items() ^ locked.items())
            sys.exit(f"{DELTA_PACKAGE}: not the jars of {LOCK.name}: {', '.join(set(differing))}")
        for old in [*HOME.glob("delta-*.jar"), *HOME.glob("unitycatalog-*.jar")]:
            old.unlink()
        for name, jar in jars.items():
            shutil.copyfile(jar, HOME / name)


def _resolve(folder: Path) -> dict[str, Path]:
    """Let the Ivy of spark-submit download the jars: it does so before any session starts."""
    from pyspark.java_gateway import launch_gateway

    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--packages {DELTA_PACKAGE} --exclude-packages {BROUGHT_BY_SPARK} "
        f"--conf spark.jars.ivy={folder} pyspark-shell"
    )
    launch_gateway().shutdown()
    # Ivy puts the group before each name: io.delta_delta-storage-4.4.0.jar
    return {jar.name.partition("_")[2]: jar for jar in (folder / "jars").glob("*.jar")}


def _sha256(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None


if __name__ == "__main__":
    main(sys.argv[1:])
