"""Who a row is: its id as text, checked to be there, once a person."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DecimalType,
    DoubleType,
    FloatType,
    MapType,
    NumericType,
    StringType,
    StructType,
)

from reclust_spark.errors import InputError
from reclust_spark.warehouse.source import Source

_WHOLE_AS_DOUBLE = 2**53
_SHOWN_COLUMNS = 30


def quoted(name: str) -> str:
    """Return a column's name as SQL takes it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def row_id_of(frame: DataFrame, name: str) -> Column:
    """Return the expression of row_id: the id as text, whole numbers without ``.0``.

    Parameters
    ----------
    frame : DataFrame
    name : str
        The id column.

    Returns
    -------
    Column
        Null where the id is null, NaN or blank.

    Raises
    ------
    InputError
        If the column is of a type that cannot identify anyone.
    """
    column, kind = F.col(quoted(name)), frame.schema[name].dataType
    if isinstance(kind, (ArrayType, MapType, StructType, BinaryType)):
        raise InputError(
            f"input.id {name!r}", f"is of type {kind.simpleString()}", "whole numbers or texts",
            "name another column in input.id, or make one of it",
        )  # fmt: skip
    if isinstance(kind, StringType):
        return F.when(F.trim(column) != "", column)
    if isinstance(kind, (DoubleType, FloatType, DecimalType)):
        whole = (column == F.floor(column)) & (F.abs(column) < _WHOLE_AS_DOUBLE)
        text = F.when(whole, column.try_cast("bigint").cast("string"))
        text = text.otherwise(column.cast("string"))
        if isinstance(kind, DecimalType):
            return text
        return F.when(~F.isnan(column), text)
    return column.cast("string")


def check_ids(source: Source, name: str) -> int:
    """Check that everyone has one id and one row; reads the id column alone.

    Parameters
    ----------
    source : Source
    name : str
        The id column; it is there.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    InputError
        If the table is empty, an id is missing, or someone has several rows.
    """
    row_id = row_id_of(source.frame, name).alias("row_id")
    counts = source.frame.select(row_id).groupBy("row_id").agg(F.count(F.lit(1)).alias("n"))
    repeated = F.col("row_id").isNotNull() & (F.col("n") > 1)
    found = counts.agg(
        F.coalesce(F.sum("n"), F.lit(0)).alias("rows"),
        F.coalesce(F.sum(F.when(F.col("row_id").isNull(), F.col("n"))), F.lit(0)).alias("missing"),
        F.count_if(repeated).alias("repeated"),
        F.max_by("row_id", F.when(repeated, F.col("n"))).alias("most"),
        F.max(F.when(repeated, F.col("n"))).alias("most_rows"),
        F.min(F.when(repeated, F.col("row_id"))).alias("first"),
    ).first()
    where = f"{source.name}, id column {name!r}"
    if not found["rows"]:
        raise InputError(
            source.name, "has no rows", "a row for each person", "check input.path and its filter"
        )
    if found["missing"]:
        raise InputError(
            where, f"{found['missing']:,} of {found['rows']:,} rows have no id",
            "an id in every row",
            f"drop them: SELECT * FROM … WHERE {quoted(name)} IS NOT NULL; or name another "
            "column in input.id",
        )  # fmt: skip
    if found["repeated"]:
        examples = f"{found['most']!r} {found['most_rows']:,} times"
        if found["first"] != found["most"]:
            examples += f", {found['first']!r} among the others"
        raise InputError(
            where,
            f"several rows a person: {found['repeated']:,} ids stand more than once ({examples}) "
            f"in {found['rows']:,} rows",
            "one row a person, each id once",
            f"roll the events up first, for example: {rolled_up(source, name)}",
        )
    return int(found["rows"])


def rolled_up(source: Source, name: str) -> str:
    """Return SQL that makes one row a person: means of numbers, the largest of all else."""
    parts = [quoted(name), "count(*) AS n_rows"]
    fields = [field for field in source.frame.schema if field.name != name]
    for field in fields[:_SHOWN_COLUMNS]:
        how = "avg" if isinstance(field.dataType, NumericType) else "max"
        parts.append(f"{how}({quoted(field.name)}) AS {quoted(field.name)}")
    view, place = "", source.name
    if source.form == "csv":
        options = f"path {literal(source.name)}, header 'true'"
        view, place = f"CREATE TEMPORARY VIEW events USING csv OPTIONS ({options}); ", "events"
    elif source.form != "table":
        place = f"{source.form}.{quoted(source.name)}"
    return f"{view}SELECT {', '.join(parts)} FROM {place} GROUP BY {quoted(name)}"
