"""The views as text: what each engine is given, with the places of the tables filled in.

views.sql holds the views themselves, in SQL that all engines read; it names the tables bare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from reclust_spark.errors import ConfigError
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    EXPLANATIONS,
    LABELS,
    NODES,
    RUNS,
    SCORES,
    TABLES,
    Table,
)

SPARK, DUCKDB = "spark", "duckdb"
ENGINES = (SPARK, DUCKDB)
VIEWS = ("tree", "leaves", "members", "leading_answers", "cluster_at_depth")
STAND_ON = (RUNS, NODES, LABELS, ASSIGNMENTS, SCORES, EXPLANATIONS)
"""The tables that the views read."""
CREATE, CREATE_TEMPORARY = "CREATE OR REPLACE VIEW", "CREATE OR REPLACE TEMPORARY VIEW"
DUCKDB_TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "binary": "BLOB",
}


def view_statements(*, temporary: bool = False) -> list[str]:
    """Return the statements that make the views, in order, without their semicolons.

    Parameters
    ----------
    temporary : bool
        The views end with the session, and may stand on others that do.
    """
    statements: list[str] = []
    lines: list[str] = []
    text = Path(__file__).with_name("views.sql").read_text(encoding="utf-8")
    for line in text.splitlines():
        lines.append(line)
        if line.endswith(";") and not line.startswith("--"):
            statements.append("\n".join(lines).strip().removesuffix(";"))
            lines = []
    if temporary:
        return [statement.replace(CREATE, CREATE_TEMPORARY) for statement in statements]
    return statements


def table_statements(
    engine: str, places: Mapping[str, str], *, temporary: bool = False
) -> list[str]:
    """Return the statements that make a view of each table, by its bare name.

    Parameters
    ----------
    engine : str
    places : mapping of table name to str
        What to read: ``delta.`/data/wh/nodes` ``, ``delta_scan('…')``, ``schema.nodes``. Of a
        table that is not there the view is empty, so that the other views work.
    temporary : bool
    """
    create = CREATE_TEMPORARY if temporary else CREATE
    made = []
    for table in TABLES:
        place = places.get(table.name)
        rows = _no_rows(table, engine) if place is None else f"SELECT * FROM {place}"
        made.append(f"{create} {table.name} AS {rows}")
    return made


def script(engine: str, folder: str, there: Mapping[str, str]) -> str:
    """Return all that an engine needs to have the views of a warehouse that is a folder.

    Parameters
    ----------
    engine : str
    folder : str
        Of the warehouse, for the comment on top.
    there : mapping of table name to str
        Where each table is that has been written: a full path or URI.

    Returns
    -------
    str
        Spark: temporary views, which a session of its own has to be given each time. DuckDB: views
        that a database file keeps, by its extension delta.
    """
    name = {SPARK: "Spark", DUCKDB: "DuckDB"}[engine]
    lines = [f"-- The views of the reclust warehouse {folder}, for {name}; by `reclust sql`."]
    missing = [table.name for table in TABLES if table.name not in there]
    if missing:
        lines.append(
            f"-- Not written yet, and empty here until this is made anew: {', '.join(missing)}."
        )
    places = {table: scanned(engine, place) for table, place in there.items()}
    temporary = engine == SPARK
    statements = [] if engine == SPARK else ["INSTALL delta", "LOAD delta"]
    statements += table_statements(engine, places, temporary=temporary)
    views = view_statements(temporary=temporary)
    return "\n".join([*lines, *(f"{one};" for one in statements), ""]) + "".join(
        f"\n{one};\n" for one in views
    )


def scanned(engine: str, place: str) -> str:
    """Return how an engine reads a Delta table at a path or URI."""
    if engine == SPARK:
        return "delta.`" + place.replace("`", "``") + "`"
    # Hadoop's spellings are not everyone's
    place = re.sub(r"^file:/+", "/", place).replace("s3a://", "s3://", 1)
    return "delta_scan('" + place.replace("'", "''") + "')"


def check_request(is_folder: bool, query: str | None, engine: str, out: str | None) -> None:
    """Check what `reclust sql` is asked for.

    Raises
    ------
    ConfigError
        If the engine is unknown, or options do not go together.
    """
    if engine not in ENGINES:
        raise ConfigError("--engine", f"is {engine!r}", ", ".join(ENGINES), "--engine duckdb")
    if query is not None and (engine != SPARK or out is not None):
        raise ConfigError(
            "reclust sql with a query", "--engine and --out are given too",
            "a query, which runs in Spark and is printed; or a script of the views",
            "leave the query out for the script, or both options for the rows",
        )  # fmt: skip
    if query is None and not is_folder and (engine != SPARK or out is not None):
        raise ConfigError(
            "reclust sql", "the warehouse is a catalog schema, which keeps its views itself",
            "no --engine and no --out; a script is for a warehouse that is a folder",
            "run `reclust sql` alone",
        )  # fmt: skip


def _no_rows(table: Table, engine: str) -> str:
    quote = "`" if engine == SPARK else '"'
    columns = ", ".join(
        f"CAST(NULL AS {ddl if engine == SPARK else duckdb_type(ddl)}) AS {quote}{name}{quote}"
        for name, ddl in table.columns.items()
    )
    return f"SELECT {columns} WHERE false"


def duckdb_type(ddl: str) -> str:
    """Return DuckDB's name of a type that a table has."""
    if ddl.startswith("array<"):
        return f"{duckdb_type(ddl.removeprefix('array<')[:-1])}[]"
    if ddl.startswith("struct<"):
        fields = (field.split(":") for field in ddl.removeprefix("struct<")[:-1].split(","))
        return f"STRUCT({', '.join(f'{name} {duckdb_type(kind)}' for name, kind in fields)})"
    return DUCKDB_TYPES[ddl]
