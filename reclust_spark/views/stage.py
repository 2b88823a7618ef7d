"""The views in Spark: for a session, in a catalog schema, or as a script for elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, NumericType

from reclust_spark.errors import InputError
from reclust_spark.views.script import (
    SPARK,
    STAND_ON,
    VIEWS,
    scanned,
    script,
    table_statements,
    view_statements,
)
from reclust_spark.warehouse.files import place_of
from reclust_spark.warehouse.names import TABLES
from reclust_spark.warehouse.runs import choose_tree
from reclust_spark.warehouse.tables import Warehouse


class Answer(NamedTuple):
    """What a query found.

    Attributes
    ----------
    names : list of str
    is_number : list of bool
        A flag a column.
    rows : list of list of str or None
        As Spark spells the values; times in UTC.
    more : bool
        There are further rows.
    """

    names: list[str]
    is_number: list[bool]
    rows: list[list[str | None]]
    more: bool


def register(spark: SparkSession, place: str) -> None:
    """Give a session the tables of a warehouse by their bare names, and the views over them.

    They are temporary: ``spark.sql("SELECT * FROM tree")`` works until the session ends. A table
    that has not been written yet is empty until this is called again.

    Parameters
    ----------
    spark : SparkSession
    place : str
        The warehouse.

    Raises
    ------
    InputError
        If there is no complete tree.
    """
    warehouse = Warehouse(spark, place)
    choose_tree(warehouse, None)
    read = {name: _read(warehouse, where) for name, where in _there(warehouse).items()}
    for statement in table_statements(SPARK, read, temporary=True):
        spark.sql(statement)
    for statement in view_statements(temporary=True):
        spark.sql(statement)


def create(warehouse: Warehouse) -> list[str]:
    """Make the views in a catalog schema, or replace them; they stay, and see what is written.

    A table that they read and that has not been written yet is made, empty: a view cannot stand on
    nothing.

    Returns
    -------
    list of str
        Their full names.

    Raises
    ------
    InputError
        If there is no complete tree.
    """
    choose_tree(warehouse, None)
    # a current schema of its own: that of the caller's session stays
    session = warehouse.spark.newSession()
    session.sql(f"USE {warehouse.place}")
    for table in STAND_ON:
        if warehouse.exists(table.name):
            continue
        columns = ", ".join(f"`{name}` {ddl}" for name, ddl in table.columns.items())
        parts = f" PARTITIONED BY ({table.version})" if table.version else ""
        session.sql(f"CREATE TABLE IF NOT EXISTS {table.name} ({columns}) USING delta{parts}")
    for statement in view_statements():
        session.sql(statement)
    return [warehouse.location(name) for name in VIEWS]


def script_of(warehouse: Warehouse, engine: str) -> str:
    """Return the script that gives an engine the views of a warehouse that is a folder.

    Raises
    ------
    InputError
        If there is no complete tree.
    """
    choose_tree(warehouse, None)
    return script(engine, warehouse.place, _there(warehouse))


def answer(warehouse: Warehouse, query: str, limit: int) -> Answer:
    """Run one query with tables and views there.

    Parameters
    ----------
    warehouse : Warehouse
    query : str
        In Spark's SQL. Whatever changes something is no query.
    limit : int
        Rows, at most.

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If there is no complete tree, or the query is wrong.
    """
    session = warehouse.spark.newSession()
    register(session, warehouse.place)
    return ask(session, query, limit)


def ask(session: SparkSession, query: str, limit: int) -> Answer:
    """Run one query in a session that has tables and views; see `answer`."""
    try:
        with _unlogged():
            # in brackets only a query is one: no command, and no second statement
            found = session.sql(f"({query.strip().removesuffix(';')}\n)")
            kinds = [field.dataType for field in found.schema]
            rows = _spelt(found).limit(limit + 1).collect()
    except PySparkException as error:
        reason = next(line for line in str(error).splitlines() if line.strip())
        raise InputError(
            "query", reason.strip(),
            f"one query in Spark's SQL, of {', '.join(VIEWS)} and the warehouse's tables",
            "mend it; docs/queries.md has queries that work",
        ) from None  # fmt: skip
    numeric = [isinstance(kind, NumericType) for kind in kinds]
    return Answer(found.columns, numeric, [list(row) for row in rows[:limit]], len(rows) > limit)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Silence PySpark, which logs a wrong query with all of its trace: its user is told once."""
    names = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
    loggers = [PySparkLogger.getLogger(name) for name in names]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False


def _there(warehouse: Warehouse) -> dict[str, str]:
    """Return where each table is that has been written: a URI, or its full name."""
    places = {}
    for table in TABLES:
        if warehouse.exists(table.name):
            where = warehouse.location(table.name)
            places[table.name] = _full(warehouse.spark, where) if warehouse.is_folder else where
    return places


def _full(spark: SparkSession, folder: str) -> str:
    place = place_of(spark, folder)
    return str(place.files.makeQualified(place.path).toString())


def _read(warehouse: Warehouse, where: str) -> str:
    return scanned(SPARK, where) if warehouse.is_folder else where


def _spelt(frame: DataFrame) -> DataFrame:
    """Return a frame with all values as text; columns may share a name."""
    kinds = [field.dataType for field in frame.schema]
    names = [f"c{number}" for number in range(len(kinds))]
    return frame.toDF(*names).select(
        *(
            F.concat(F.length(name), F.lit(" bytes"))
            if isinstance(kind, BinaryType)
            else F.col(name).cast("string")
            for name, kind in zip(names, kinds, strict=True)
        )
    )
