"""The survey table: Delta, Parquet, CSV or a table name, and which version of it this is."""

from __future__ import annotations

import hashlib
import uuid
from typing import NamedTuple

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from reclust_spark.errors import InputError
from reclust_spark.warehouse.files import exists, place_of

CSV_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.bz2", ".tsv.bz2")
PARQUET_ENDINGS = (".parquet", ".pq")


class Source(NamedTuple):
    """A table to read.

    Attributes
    ----------
    name : str
        As the user wrote it.
    frame : DataFrame
    version : str
        A Delta source's own; else a hash of file names, sizes and times.
    form : str
        delta, parquet, csv (all columns are text) or table.
    """

    name: str
    frame: DataFrame
    version: str
    form: str


def open_source(spark: SparkSession, path: str | None, form: str | None, setting: str) -> Source:
    """Open a table without reading its rows.

    Parameters
    ----------
    spark : SparkSession
    path : str or None
        A folder, a file or a table name.
    form : str or None
        delta, parquet, csv or table; guessed where None.
    setting : str
        The setting that holds the path, for messages.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If nothing is set, nothing is there, or it cannot be read.
    """
    if not path:
        raise InputError(
            setting, "is not set", "a folder, a file or a table name", f"--set {setting}=survey.csv"
        )
    kind = form or _guess(spark, path)
    try:
        if kind == "table":
            return _table(spark, path)
        if not exists(spark, path):
            raise _nothing(setting, path)
        if kind == "delta":
            return _delta(spark, path)
        frame = _csv(spark, path) if kind == "csv" else spark.read.parquet(path)
    except (AnalysisException, Py4JJavaError) as error:
        reason = _reason(error)
        if "TABLE_OR_VIEW_NOT_FOUND" in reason or "SCHEMA_NOT_FOUND" in reason:
            raise _nothing(setting, path) from None
        raise InputError(
            f"{setting} {path}", f"cannot be read as {kind} ({reason})",
            "a Delta, Parquet or CSV table", "check the path, or set input.format",
        ) from None  # fmt: skip
    return Source(path, frame, _files_version(spark, frame), kind)


def _reason(error: Exception) -> str:
    """Return what went wrong, without the JVM's trace."""
    cause = error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else str(error)
    return str(cause).splitlines()[0]


def _guess(spark: SparkSession, path: str) -> str:
    if "/" not in path and not exists(spark, path):
        return "csv" if path.lower().endswith(CSV_ENDINGS) else "table"
    if DeltaTable.isDeltaTable(spark, path):
        return "delta"
    if path.lower().endswith(CSV_ENDINGS):
        return "csv"
    if path.lower().endswith(PARQUET_ENDINGS):
        return "parquet"
    names = _names_in(spark, path)
    return "csv" if names and all(name.endswith(CSV_ENDINGS) for name in names) else "parquet"


def _table(spark: SparkSession, name: str) -> Source:
    frame = spark.table(name)
    if spark.catalog.tableExists(name):
        detail = spark.sql(f"DESCRIBE EXTENDED {name}").where("col_name = 'Provider'").first()
        if detail is not None and detail["data_type"].lower() == "delta":
            version = DeltaTable.forName(spark, name).history(1).first()["version"]
            frozen = spark.read.option("versionAsOf", version).table(name)
            return Source(name, frozen, f"delta:{version}", "table")
    return Source(name, frame, _files_version(spark, frame), "table")


def _delta(spark: SparkSession, path: str) -> Source:
    version = DeltaTable.forPath(spark, path).history(1).first()["version"]
    # both passes must see the same rows, whatever is appended meanwhile
    frame = spark.read.format("delta").option("versionAsOf", version).load(path)
    return Source(path, frame, f"delta:{version}", "delta")


def _csv(spark: SparkSession, path: str) -> DataFrame:
    separator = "\t" if ".tsv" in path.lower() else ","
    return spark.read.csv(path, header=True, inferSchema=False, sep=separator, escape='"')


def _nothing(setting: str, path: str) -> InputError:
    return InputError(
        f"{setting} {path}",
        "there is no such table",
        "a folder or file of Delta, Parquet or CSV, or the name of a table in the catalog",
        f"check the path, or set another: --set {setting}=…",
    )


def _names_in(spark: SparkSession, path: str) -> list[str]:
    if not exists(spark, path):
        return []
    place = place_of(spark, path)
    names = [status.getPath().getName().lower() for status in place.files.listStatus(place.path)]
    return [name for name in names if not name.startswith(("_", "."))]


def _files_version(spark: SparkSession, frame: DataFrame) -> str:
    """Hash names, sizes and times; a table without files is never the same twice."""
    conf = spark._jsc.hadoopConfiguration()
    facts = []
    for file in sorted(frame.inputFiles()):
        place = spark._jvm.org.apache.hadoop.fs.Path(spark._jvm.java.net.URI(file))
        status = place.getFileSystem(conf).getFileStatus(place)
        facts.append(f"{file} {status.getLen()} {status.getModificationTime()}")
    if not facts:
        return f"unknown:{uuid.uuid4().hex}"
    return "files:" + hashlib.sha256("\n".join(facts).encode()).hexdigest()
