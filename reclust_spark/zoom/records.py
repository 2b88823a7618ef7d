"""What a task returns: one Arrow table of tagged rows, and how it is read again.

One action a wave writes nodes, places, maps and open people together, so that a fit runs once; the
tag tells them apart. The columns are the union of what the four kinds need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from reclust_spark.warehouse.names import ASSIGNMENTS, EMBEDDINGS
from reclust_spark.zoom.tables import assignments_frame, embeddings_frame
from reclust_spark.zoom.tree import Growth, Node

NODE, PLACED, MAPPED, OPEN = "node", "assignment", "embedding", "open"
FIGURE = "figure"

COLUMNS = {
    "tag": pa.string(),
    "path": pa.string(),
    "row_id": pa.string(),
    "depth": pa.int32(),
    "is_noise": pa.bool_(),
    "strength": pa.float64(),
    "assigned_by": pa.string(),
    "weight": pa.float64(),
    "x": pa.float32(),
    "y": pa.float32(),
    "child_path": pa.string(),
    "n_rows": pa.int64(),
    "persistence": pa.float64(),
    "medoid_row_id": pa.string(),
    "seed": pa.int64(),
    "stop_reason": pa.string(),
    "n_children": pa.int32(),
    "n_noise": pa.int64(),
    "engine": pa.string(),
    "n_fit": pa.int64(),
    "trustworthiness": pa.float64(),
    "name": pa.string(),
    "value": pa.float64(),
}
SCHEMA = pa.schema(list(COLUMNS.items()))

DDL = {
    pa.string(): "string",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.float32(): "float",
    pa.float64(): "double",
}
STAGED_DDL = ", ".join(f"{name} {DDL[kind]}" for name, kind in COLUMNS.items())


def to_table(growth: Growth) -> pa.Table:
    """Turn what `grow` found into tagged rows.

    Parameters
    ----------
    growth : Growth

    Returns
    -------
    Table
        With the columns of `SCHEMA`; what a tag does not use is null.
    """
    nodes = [*growth.nodes, *(one.node for one in growth.open)]
    return pa.concat_tables(
        [nodes_table(nodes), figures_table(growth.seconds), people_table(growth)]
    )


def nodes_table(nodes: list[Node]) -> pa.Table:
    """Turn nodes into tagged rows."""
    return _part(NODE, {name: [getattr(node, name) for node in nodes] for name in Node._fields})


def figures_table(figures: Mapping[tuple[str, str], float]) -> pa.Table:
    """Turn figures, by path and name, into tagged rows."""
    paths, names = [path for path, _ in figures], [name for _, name in figures]
    return _part(FIGURE, {"path": paths, "name": names, "value": list(figures.values())})


def people_table(growth: Growth) -> pa.Table:
    """Turn people's places and maps into tagged rows, and leave the nodes out."""
    parts = [
        _part(PLACED, _frame_columns(assignments_frame(growth.placed), ASSIGNMENTS.columns)),
        _part(MAPPED, _frame_columns(embeddings_frame(growth.maps), EMBEDDINGS.columns)),
    ]
    for one in growth.open:
        path = pa.repeat(pa.scalar(one.node.path), len(one.ids))
        parts.append(_part(OPEN, {"path": path, "row_id": one.ids, "strength": one.strength}))
    return pa.concat_tables(parts)


def to_nodes(rows: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """Read nodes back; of two rows for a path, left open and later fitted, the fitted one counts.

    Parameters
    ----------
    rows : iterable of mapping
        Rows with the tag `NODE`, in the order of their waves.

    Returns
    -------
    dict of str to Node
    """
    return {row["path"]: Node(*(row[name] for name in Node._fields)) for row in rows}


def _frame_columns(frame: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {name: frame[name].to_numpy() for name in names if name in frame}


def _part(tag: str, columns: Mapping[str, Any]) -> pa.Table:
    size = len(next(iter(columns.values())))
    arrays = []
    for name, kind in COLUMNS.items():
        if name == "tag":
            arrays.append(pa.repeat(pa.scalar(tag), size))
        elif name in columns:
            arrays.append(_array(columns[name], kind))
        else:
            arrays.append(pa.nulls(size, kind))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    # a strength that does not exist (the root's) is NaN in arrays and null in tables
    return pa.array(values, kind, from_pandas=isinstance(values, np.ndarray))
