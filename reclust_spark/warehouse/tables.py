"""Delta tables in a folder or a catalog schema: schemas, reads of a version, idempotent writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from reclust_spark.errors import ConfigError
from reclust_spark.warehouse.files import check_writable, place_of
from reclust_spark.warehouse.names import RUNS, Table


def schema_of(table: Table, *, versioned: bool = True) -> StructType:
    """Return a table's StructType, with or without its version column."""
    names = [name for name in table.columns if versioned or name != table.version]
    schema = StructType()
    for name in names:
        schema.add(StructField(name, _type(table.columns[name]), True))
    return schema


def _type(ddl: str):
    return StructType.fromDDL(f"c {ddl}")[0].dataType


class Warehouse:
    """The home of all tables of a project.

    Parameters
    ----------
    spark : SparkSession
    place : str
        With ``/`` or ``://`` a folder, its tables at ``<place>/<table>``; else a catalog schema.
    """

    def __init__(self, spark: SparkSession, place: str) -> None:
        self.spark = spark
        self.is_folder = "/" in place
        self.place = place.rstrip("/") if self.is_folder else place
        if not self.is_folder:
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {place}")

    def location(self, name: str) -> str:
        """Return where a table is: a folder, or its full name."""
        return f"{self.place}/{name}" if self.is_folder else f"{self.place}.{name}"

    def exists(self, name: str) -> bool:
        """Tell whether a table has been written."""
        if self.is_folder:
            return DeltaTable.isDeltaTable(self.spark, self.location(name))
        return self.spark.catalog.tableExists(self.location(name))

    def read(self, table: Table, version: int | None = None, as_of: int | None = None) -> DataFrame:
        """Read a table, or one version of a step's result in it, as of a version of Delta's."""
        frame = self.read_named(table.name, as_of)
        if version is None or table.version is None:
            return frame
        return frame.where(F.col(table.version) == version)

    def read_named(self, name: str, as_of: int | None = None) -> DataFrame:
        """Read a table by its bare name: a staging table, say."""
        reader = self.spark.read.format("delta")
        if as_of is not None:
            reader = reader.option("versionAsOf", as_of)
        if self.is_folder:
            return reader.load(self.location(name))
        return reader.table(self.location(name))

    def local(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
        """Return a frame of a few rows of a table, its version left out where they have none.

        It goes through Arrow: pickled rows would need a Python worker, with a daemon of its own.
        """
        schema = schema_of(table, versioned=any(table.version in row for row in rows))
        arrow = pa.Table.from_pylist(
            [dict(row) for row in rows], to_arrow_schema(schema, timezone="UTC")
        )
        return self.spark.createDataFrame(arrow, schema).coalesce(1)

    def write_version(
        self, table: Table, frame: DataFrame, version: int, within: str | None = None
    ) -> None:
        """Write one version of a step's result in place of whatever that version held.

        Run twice, the table is the same; a version that a killed run left half-written is replaced.

        Parameters
        ----------
        table : Table
        frame : DataFrame
            The table's columns, in any order, without the version.
        version : int
        within : str, optional
            An SQL predicate: only this part of the version is replaced.
        """
        replaced = f"{table.version} = {version}"
        if within is not None:
            replaced += f" AND {within}"
        given = frame.withColumn(str(table.version), F.lit(version).cast("int"))
        writer = (
            self._cast(table, given)
            .write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", replaced)
            .partitionBy(str(table.version))
        )
        self._save(writer, table.name)

    def append(self, table: Table, frame: DataFrame) -> None:
        """Append rows, with the version that they belong to where the table has any."""
        writer = self._cast(table, frame).write.format("delta").mode("append")
        if table.version is not None:  # the first rows decide how a table is partitioned
            writer = writer.partitionBy(table.version)
        self._save(writer, table.name)

    def append_staged(self, name: str, frame: DataFrame, wave: int, part: str = "") -> None:
        """Append a wave, or a part of it, to a staging table, once however often it is tried."""
        writer = (
            frame.write.format("delta")
            .mode("append")
            .option("txnAppId", name + part)
            .option("txnVersion", wave)
            # read whole: statistics of every column would add half to what writing it takes
            .option("delta.dataSkippingNumIndexedCols", "0")
        )
        self._save(writer, name)

    def drop(self, name: str) -> None:
        """Remove a staging table with its files."""
        if not self.is_folder:
            self.spark.sql(f"DROP TABLE IF EXISTS {self.location(name)}")
            return
        place = place_of(self.spark, self.location(name))
        place.files.delete(place.path, True)

    def delta_version(self, table: Table) -> int:
        """Return the Delta version that a table is at."""
        session, place = self.spark._jsparkSession, self.location(table.name)
        if not self.is_folder:
            place = session.sessionState().sqlParser().parseTableIdentifier(place)
        # DeltaTable.history(1) would tell as well, by a job of half a second
        logs = self.spark._jvm.org.apache.spark.sql.delta.DeltaLog
        return int(logs.forTableWithSnapshot(session, place)._2().version())

    def _save(self, writer, name: str) -> None:
        # a table that an earlier release made may lack a column that this one has
        writer = writer.option("mergeSchema", "true")
        if self.is_folder:
            writer.save(self.location(name))
        else:
            writer.saveAsTable(self.location(name))

    def _cast(self, table: Table, frame: DataFrame) -> DataFrame:
        columns = schema_of(table)
        return frame.select(*(F.col(c.name).cast(c.dataType).alias(c.name) for c in columns))


def check_place(place: str) -> None:
    """Check, before a session is started, that a local warehouse can be written.

    Parameters
    ----------
    place : str
        ``warehouse`` of the configuration; object stores and catalogs are left to Spark.

    Raises
    ------
    ConfigError
        If it is a file, a folder that cannot be made or written, or a warehouse's folder that lacks
        the slash which tells it from a schema.
    """
    if "/" in place:
        check_writable(
            place, f"warehouse {place}", "a folder that this user can write, or a catalog schema",
            "set warehouse to another place: --set warehouse=./warehouse",
        )  # fmt: skip
    elif Path(place, RUNS.name, "_delta_log").is_dir():
        raise ConfigError(
            f"warehouse {place}", "named as a schema is, and a folder of that name is there",
            "a folder with a '/', or a schema", f"--set warehouse=./{place}",
        )  # fmt: skip
