"""Puts Delta's jars beside Spark's own, once, so that no session resolves and downloads them again.

Delta's wheel carries no jars: a session would name them in spark.jars.packages and have Ivy look
them up at each start. Jars in Spark's own folder are on the path of every driver and executor.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pyspark

COORDINATE = "io.delta:delta-spark_4.2_2.13:4.4.0"

# What else Delta asks for, Spark brings itself, in newer versions.
BROUGHT_BY_SPARK = (
    "com.fasterxml.jackson.core:*,com.github.luben:*,com.google.code.findbugs:*,commons-logging:*,"
    "commons-pool:*,io.airlift:*,org.apache.hadoop:*,org.apache.logging.log4j:*,"
    "org.apache.parquet:*,org.locationtech.jts:*,org.roaringbitmap:*,org.slf4j:*,org.xerial.snappy:*"
)

SHA256 = {
    "delta-kernel-api-4.4.0.jar": "ee9b5a14ac3b7efdff4d61a58478fe8eb0e5a3fbca43889dca7290795fe79a11",
    "delta-kernel-defaults-4.4.0.jar": "225c975199e4718b38ee5b7e6da7f19e9585024262b2cec2656b32151a856b0b",
    "delta-kernel-unitycatalog-4.4.0.jar": "cea22dfb4ac562b3cd27bf652697750e8336009d73fb06631363aaaad5345ffa",
    "delta-spark_4.2_2.13-4.4.0.jar": "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    "delta-storage-4.4.0.jar": "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    "jackson-datatype-jdk8-2.13.5.jar": "e58761751fea8a00dc626aae1c5f1be38c5cfd487aeb333d933a4ab5f5a73c55",
    "unitycatalog-client-0.6.0.jar": "48257499a86b801a3e2372cec55ac226ca1c1c7eabe5c118e7302f29a1fdbc19",
    "unitycatalog-hadoop-0.6.0.jar": "c47b63c961c87102b9e1d63809a0915ba4c86b7652f57c8d39ca3a05b441a150",
}


def main() -> int:
    """Resolve the jars and copy them, unless they are there."""
    home = Path(pyspark.__file__).parent / "jars"
    if all(_sha256(home / jar) == expected for jar, expected in SHA256.items()):
        return 0
    with tempfile.TemporaryDirectory(prefix="delta-jars-") as folder:
        found = {jar.name.partition("_")[2]: jar for jar in _resolve(Path(folder))}
        for name in sorted(SHA256.keys() | found.keys()):
            if name not in found or _sha256(found[name]) != SHA256.get(name):
                print(f"{name}: not the jar that is expected of {COORDINATE}", file=sys.stderr)
                return 1
        for old in [*home.glob("delta-*.jar"), *home.glob("unitycatalog-*.jar")]:
            old.unlink()
        for name, jar in found.items():
            shutil.copyfile(jar, home / f"{name}.part")
            (home / f"{name}.part").replace(home / name)
    return 0


def _resolve(folder: Path) -> list[Path]:
    """Let spark-submit's Ivy download the jars; it does so before any session starts."""
    from pyspark.java_gateway import launch_gateway

    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--packages {COORDINATE} --exclude-packages {BROUGHT_BY_SPARK} "
        f"--conf spark.jars.ivy={folder} pyspark-shell"
    )
    launch_gateway().shutdown()
    return sorted((folder / "jars").glob("*.jar"))


def _sha256(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None


if __name__ == "__main__":
    sys.exit(main())
