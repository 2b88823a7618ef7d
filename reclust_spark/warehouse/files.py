"""The files behind a path, wherever Hadoop's file systems reach."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from reclust_spark.errors import ConfigError


class Place(NamedTuple):
    """A path and the file system that it is on, as Java objects of Hadoop."""

    path: Any
    files: Any


def place_of(spark: SparkSession, path: str) -> Place:
    """Return where a path leads; nothing is read."""
    place = spark._jvm.org.apache.hadoop.fs.Path(path)
    return Place(place, place.getFileSystem(spark._jsc.hadoopConfiguration()))


def exists(spark: SparkSession, path: str) -> bool:
    """Tell whether a file or folder is there."""
    place = place_of(spark, path)
    return bool(place.files.exists(place.path))


def is_local(path: str) -> bool:
    """Tell whether a path is on this machine's own file system."""
    return "://" not in path or path.startswith("file://")


def local_path(path: str) -> Path:
    """Return a path of this machine's own file system, absolute."""
    return Path(path.removeprefix("file://")).absolute()


def check_writable(folder: str, where: str, allowed: str, remedy: str) -> None:
    """Check that a folder of this machine can be written, or made; others are left to Spark.

    Parameters
    ----------
    folder : str
    where, allowed, remedy : str
        Of the error.

    Raises
    ------
    ConfigError
        If it is a file, or cannot be made or written.
    """
    if not is_local(folder):
        return
    home = local_path(folder)
    if home.exists() and not home.is_dir():
        raise ConfigError(where, "is a file", allowed, remedy)
    missing = [step for step in (home, *home.parents) if not step.exists()]
    try:
        home.mkdir(parents=True, exist_ok=True)
        # permissions alone do not tell: a mount may be read-only, and root passes every check
        with tempfile.TemporaryFile(dir=home):
            pass
        for step in missing:  # a command that writes nothing leaves nothing
            step.rmdir()
    except OSError as error:
        raise ConfigError(where, f"cannot be written ({error.strerror})", allowed, remedy) from None


def publish(spark: SparkSession, made: list[Path], folder: str) -> None:
    """Put finished files into a folder, each whole or not at all, in place of those of that name.

    Parameters
    ----------
    spark : SparkSession
    made : list of Path
        Files of this machine.
    folder : str
        Wherever Hadoop's file systems reach; made where it is missing.
    """
    if is_local(folder):
        home = local_path(folder)
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".") as scratch:
            for file in made:
                # a rename is atomic within one file system only
                near = Path(scratch, file.name)
                near.write_bytes(file.read_bytes())
                near.replace(home / file.name)
        return
    for file in made:
        target, near = (
            place_of(spark, f"{folder}/{name}") for name in (file.name, f".{file.name}")
        )
        source = spark._jvm.org.apache.hadoop.fs.Path(file.as_uri())
        target.files.copyFromLocalFile(False, True, source, near.path)
        target.files.delete(target.path, False)
        target.files.rename(near.path, target.path)
