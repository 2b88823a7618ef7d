"""The views in DuckDB, over Arrow datasets of delta-rs: neither Spark nor an extension is needed.

::

    import duckdb
    from reclust_spark.views.duck import register

    connection = duckdb.connect()
    register(connection, "/data/wh")
    connection.sql("SELECT * FROM tree")
"""

from __future__ import annotations

from typing import Any

from reclust_spark.errors import InputError
from reclust_spark.views.script import DUCKDB, table_statements, view_statements
from reclust_spark.warehouse.names import RUNS, TABLES


def register(
    connection: Any, folder: str, storage_options: dict[str, str] | None = None
) -> tuple[str, ...]:
    """Give a connection the tables of a warehouse, as they are now, and the views over them.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Its temporary views of these names are replaced.
    folder : str
        The warehouse: a folder, or a URI that delta-rs reads. What is written later is seen once
        this is called again.
    storage_options : dict of str to str, optional
        Of delta-rs, for object stores.

    Returns
    -------
    tuple of str
        The tables that are there; the others are empty.

    Raises
    ------
    InputError
        If nothing has been written there.
    """
    from deltalake import DeltaTable

    home = folder.rstrip("/")
    places: dict[str, str] = {}
    for table in TABLES:
        place = f"{home}/{table.name}"
        if not DeltaTable.is_deltatable(place, storage_options):
            continue
        places[table.name] = f"reclust_{table.name}"
        rows = DeltaTable(place, storage_options=storage_options).to_pyarrow_dataset()
        connection.register(places[table.name], rows)
    if RUNS.name not in places:
        raise InputError(
            f"warehouse {folder}", "holds no runs", "a folder that `reclust run` has written to",
            "check the path",
        )  # fmt: skip
    for statement in table_statements(DUCKDB, places, temporary=True):
        connection.execute(statement)
    for statement in view_statements(temporary=True):
        connection.execute(statement)
    return tuple(places)
