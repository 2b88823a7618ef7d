"""What a task returns: one Arrow table of tagged rows, and how it is read again.

One action a wave writes nodes, places, maps and open people together, so that a fit runs once; the
tag tells them apart. The columns are the union of what the four kinds need.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from reclust_spark.onevsall.predict import Model, digest_of
from reclust_spark.paths import child
from reclust_spark.warehouse.names import ASSIGNMENTS, EMBEDDINGS
from reclust_spark.zoom.arrays import Ints
from reclust_spark.zoom.sampled import SampleFit
from reclust_spark.zoom.tables import BY_FIT, assignments_frame, embeddings_frame
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
    "stability": pa.float64(),
    "fidelity": pa.float64(),
    "name": pa.string(),
    "value": pa.float64(),
}

DDL = {
    pa.string(): "string",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.binary(): "binary",
}


def ddl_of(kind: pa.DataType) -> str:
    """Return Spark's name of a type."""
    if pa.types.is_map(kind):
        return f"map<{ddl_of(kind.key_type)},{ddl_of(kind.item_type)}>"
    if pa.types.is_list(kind):
        return f"array<{ddl_of(kind.value_type)}>"
    return DDL[kind]


STAGED_DDL = ", ".join(f"{name} {ddl_of(kind)}" for name, kind in COLUMNS.items())


def to_table(growth: Growth) -> pa.Table:
    """Turn what `grow` found into tagged rows.

    Parameters
    ----------
    growth : Growth

    Returns
    -------
    Table
        With the columns `COLUMNS`; what a tag does not use is null.
    """
    nodes = [*growth.nodes, *(one.node for one in growth.open)]
    return pa.concat_tables(
        [nodes_table(nodes), figures_table(growth.figures), people_table(growth)]
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
        by = pa.repeat(pa.scalar(BY_FIT), len(one.ids))
        columns = {"path": path, "row_id": one.ids, "strength": one.strength, "assigned_by": by}
        parts.append(_part(OPEN, columns))
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


def _part(
    tag: str, columns: Mapping[str, Any], kinds: Mapping[str, pa.DataType] = COLUMNS
) -> pa.Table:
    size = len(next(iter(columns.values())))
    arrays = []
    for name, kind in kinds.items():
        if name == "tag":
            arrays.append(pa.repeat(pa.scalar(tag), size))
        elif name in columns:
            arrays.append(_array(columns[name], kind))
        else:
            arrays.append(pa.nulls(size, kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(list(kinds.items())))


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    # a strength that does not exist (the root's) is NaN in arrays and null in tables
    return pa.array(values, kind, from_pandas=isinstance(values, np.ndarray))


# ---- samples of a large node

SAMPLE, MODEL, FITTED = "sample", "model", "fitted"
SAMPLED_COLUMNS = {
    "tag": pa.string(),
    "path": pa.string(),
    "sample": pa.int32(),
    "stop_reason": pa.string(),
    "n_fit": pa.int64(),
    "trustworthiness": pa.float64(),
    "fidelity": pa.float64(),
    "medoid_row_id": pa.string(),
    "held_out": pa.list_(pa.int32()),
    "seconds": pa.map_(pa.string(), pa.float64()),
    "label": pa.int32(),
    "persistence": pa.float64(),
    "model": pa.binary(),
    "slope": pa.float64(),
    "intercept": pa.float64(),
    "threshold": pa.float64(),
    "row_id": pa.string(),
    "strength": pa.float64(),
    "x": pa.float32(),
    "y": pa.float32(),
}
SAMPLED_DDL = ", ".join(f"{name} {ddl_of(kind)}" for name, kind in SAMPLED_COLUMNS.items())


class Sample(NamedTuple):
    """What is known of a sample without its people.

    Attributes
    ----------
    path : str
    number : int
    stop_reason : str or None
    n_fit : int
    trustworthiness, fidelity : float or None
    medoid_row_id : str
    held_out : ndarray of int, shape (n_held_out,)
        See `sampled.SampleFit`.
    seconds : dict of str to float
    medoids : list of str
        Of each cluster, as the two below.
    persistence : list of float
    models : list of Model
    """

    path: str
    number: int
    stop_reason: str | None
    n_fit: int
    trustworthiness: float | None
    fidelity: float | None
    medoid_row_id: str
    held_out: Ints
    seconds: dict[str, float]
    medoids: list[str]
    persistence: list[float]
    models: list[Model]


def sample_table(path: str, number: int, fit: SampleFit) -> pa.Table:
    """Turn what a sample has found into tagged rows: itself, its models, its people."""
    found, size = fit.found, len(fit.ids)
    whole = {
        "stop_reason": [found.stop_reason],
        "n_fit": [size],
        "trustworthiness": [found.trustworthiness],
        "fidelity": [fit.fidelity],
        "medoid_row_id": [fit.medoid],
        "held_out": [fit.held_out],
        "seconds": [list(found.seconds.items())],
    }
    models = {
        "label": list(range(len(fit.models))),
        "persistence": list(found.persistence[: len(fit.models)]),
        "medoid_row_id": fit.medoids,
        "model": [one.model for one in fit.models],
        "slope": [one.calibration[0] for one in fit.models],
        "intercept": [one.calibration[1] for one in fit.models],
        "threshold": [one.threshold for one in fit.models],
    }
    people = {"label": found.labels, "row_id": fit.ids, "strength": found.strength}
    if found.xy is not None:
        people |= {"x": found.xy[:, 0], "y": found.xy[:, 1]}
    parts = []
    tagged: list[tuple[str, dict[str, Any], int]] = [
        (SAMPLE, whole, 1), (MODEL, models, len(fit.models)), (FITTED, people, size),
    ]  # fmt: skip
    for tag, columns, rows in tagged:
        where = {"path": [path] * rows, "sample": [number] * rows}
        parts.append(_part(tag, where | columns, SAMPLED_COLUMNS))
    return pa.concat_tables(parts)


def to_samples(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Sample]]:
    """Read samples back, by path and in their order, from the rows tagged `SAMPLE` and `MODEL`."""
    rows = list(rows)
    of: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in sorted((row for row in rows if row["tag"] == MODEL), key=lambda row: row["label"]):
        of[row["path"], row["sample"]].append(row)
    samples: dict[str, list[Sample]] = defaultdict(list)
    whole = [row for row in rows if row["tag"] == SAMPLE]
    for row in sorted(whole, key=lambda row: (row["path"], row["sample"])):
        clusters = of[row["path"], row["sample"]]
        samples[row["path"]].append(
            Sample(
                row["path"], row["sample"], row["stop_reason"], row["n_fit"],
                row["trustworthiness"], row["fidelity"], row["medoid_row_id"],
                np.asarray(row["held_out"], dtype=np.intp), dict(row["seconds"]),
                [one["medoid_row_id"] for one in clusters],
                [one["persistence"] for one in clusters],
                [_model_of(row["path"], one) for one in clusters],
            )
        )  # fmt: skip
    return dict(samples)


def _model_of(path: str, row: Mapping[str, Any]) -> Model:
    blob, line = bytes(row["model"]), (row["slope"], row["intercept"])
    name = child(path, row["label"] + 1)
    return Model(name, path, blob, row["threshold"], line, digest_of(blob))
