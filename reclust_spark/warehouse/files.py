"""The files behind a path, wherever Hadoop's file systems reach."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyspark.sql import SparkSession


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
