"""From what `grow` found to the rows of nodes, assignments and embeddings, as data frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reclust_spark.paths import ROOT, child, depth, parent
from reclust_spark.warehouse.names import ASSIGNMENTS, EMBEDDINGS, NODES, TREE
from reclust_spark.zoom.tree import Map, Node, Placed

BY_FIT, BY_MODEL = "fit", "model"


def node_rows(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Return the rows of the nodes table of one tree, sorted by path, without its version.

    Parameters
    ----------
    nodes : iterable of Node
        All of a tree's nodes, the root among them.

    Returns
    -------
    list of dict
    """
    by_path = {node.path: node for node in nodes}
    total = by_path[ROOT].weight
    rows = []
    for path in sorted(by_path):
        node, above = by_path[path], parent(path)
        derived = {
            "parent_path": above,
            "depth": depth(path),
            "share": node.weight / total,
            "parent_share": None if above is None else node.weight / by_path[above].weight,
        }
        row = node._asdict() | derived
        rows.append({name: row[name] for name in NODES.columns if name != TREE})
    return rows


def assignments_frame(placed: Sequence[Placed]) -> pd.DataFrame:
    """Return people's final places, without their version.

    Parameters
    ----------
    placed : sequence of Placed

    Returns
    -------
    DataFrame
    """
    sizes = [len(group.ids) for group in placed]
    paths = [group.path for group in placed]
    columns = {
        "path": np.repeat(np.array(paths, dtype=object), sizes),
        "row_id": _joined([group.ids for group in placed], object),
        "depth": np.repeat(np.array([depth(path) for path in paths], dtype=np.int32), sizes),
        "is_noise": np.repeat(np.array([group.is_noise for group in placed], dtype=bool), sizes),
        "strength": _joined([group.strength for group in placed], np.float64),
        "assigned_by": np.where(
            _joined([_by_model(group) for group in placed], bool), BY_MODEL, BY_FIT
        ),
        "weight": _joined([group.weights for group in placed], np.float64),
    }
    return pd.DataFrame(columns)[[name for name in ASSIGNMENTS.columns if name != TREE]]


def embeddings_frame(maps: Sequence[Map]) -> pd.DataFrame:
    """Return the maps of all embedded nodes, without their version.

    Parameters
    ----------
    maps : sequence of Map

    Returns
    -------
    DataFrame
    """
    xy = np.concatenate([one.xy for one in maps]) if maps else np.zeros((0, 2), dtype=np.float32)
    columns = {
        "path": np.repeat(
            np.array([one.path for one in maps], dtype=object), [len(one.ids) for one in maps]
        ),
        "row_id": _joined([one.ids for one in maps], object),
        "x": xy[:, 0],
        "y": xy[:, 1],
        "child_path": _joined([_child_paths(one) for one in maps], object),
    }
    return pd.DataFrame(columns)[[name for name in EMBEDDINGS.columns if name != TREE]]


def tree_hash(assignments: pd.DataFrame) -> str:
    """Return the SHA-256 of a tree: two trees with one hash put everyone in the same place.

    Parameters
    ----------
    assignments : DataFrame
        row_id, path, is_noise and strength, a row a person, in any order.

    Returns
    -------
    str
        Hexadecimal; over row_id, path, is_noise and strength's bits, sorted by row_id.
    """
    rows = assignments.sort_values("row_id")
    digest = hashlib.sha256()
    digest.update("\0".join(rows["row_id"]).encode())
    digest.update("\0".join(rows["path"]).encode())
    digest.update(rows["is_noise"].to_numpy(dtype=bool).tobytes())
    strength = rows["strength"].to_numpy(dtype="<f8", na_value=np.nan, copy=True)
    strength[np.isnan(strength)] = np.nan  # one spelling of "none" in bits
    digest.update(strength.tobytes())
    return digest.hexdigest()


def _by_model(group: Placed) -> np.ndarray:
    nobody = np.zeros(len(group.ids), dtype=bool)
    return nobody if group.by_model is None else group.by_model


def _child_paths(one: Map) -> np.ndarray:
    paths = [child(one.path, number + 1) for number in range(int(one.children.max()) + 1)]
    return np.array([*paths, None], dtype=object)[one.children]


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype=dtype)
