"""What a task returns: one Arrow table of tagged rows, so that a node is fitted once.

A tag is the name of the table that a row is meant for; the columns are the union of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from reclust_spark.explain.node import Explained
from reclust_spark.warehouse.names import (
    CONFUSION,
    EXPLANATIONS,
    MODELS,
    SHAP_VALUES,
    TREE,
    Table,
)

TAG, HELD_OUT, NODE, POPULATION = "tag", "held_out", "node", "population"
STORED = (MODELS, CONFUSION, EXPLANATIONS, SHAP_VALUES)

TYPES = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "double": pa.float64(),
    "binary": pa.binary(),
    "array<double>": pa.list_(pa.float64()),
}
DDL = (
    {TAG: "string"}
    | {name: ddl for table in STORED for name, ddl in table.columns.items() if name != TREE}
    | {"depth": "int", "agrees": "boolean", "agreement": "double", "seconds": "double"}
)
SCHEMA = pa.schema([(name, TYPES[ddl]) for name, ddl in DDL.items()])
STAGED_DDL = ", ".join(f"{name} {ddl}" for name, ddl in DDL.items())


def to_table(path: str, explained: Explained) -> pa.Table:
    """Turn what was learned of a node into tagged rows.

    Parameters
    ----------
    path : str
        The node.
    explained : Explained

    Returns
    -------
    Table
        With the columns of `SCHEMA`; what a tag does not use is null.
    """
    rows = {
        MODELS.name: explained.models,
        CONFUSION.name: explained.confusion,
        EXPLANATIONS.name: explained.explanations,
        NODE: [{"path": path, "agreement": explained.agreement, "seconds": explained.seconds}],
        POPULATION: [
            {"source_column": column, "population_value": value}
            for column, value in explained.typical.items()
        ],
    }
    columns = {SHAP_VALUES.name: explained.shap_values, HELD_OUT: explained.held_out}
    parts = [
        pa.Table.from_pylist([{TAG: tag} | row for row in listed], SCHEMA)
        for tag, listed in rows.items()
    ]
    parts += [_part(tag, held) for tag, held in columns.items()]
    return pa.concat_tables(parts)


def columns_of(table: Table) -> list[str]:
    """Return the columns of a table that its tagged rows fill."""
    return [name for name in table.columns if name in DDL]


def _part(tag: str, columns: Mapping[str, Any]) -> pa.Table:
    size = len(next(iter(columns.values())))
    arrays = []
    for field in SCHEMA:
        if field.name == TAG:
            arrays.append(pa.repeat(pa.scalar(tag), size))
        elif field.name in columns:
            arrays.append(pa.array(columns[field.name], field.type, from_pandas=True))
        else:
            arrays.append(pa.nulls(size, field.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
