"""For research that goes on: notes on clusters, and whom to interview of one."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Any

from reclust_spark.errors import InputError
from reclust_spark.explain.stage import read_node
from reclust_spark.warehouse.names import NOTES, TREE
from reclust_spark.warehouse.runs import choose_tree
from reclust_spark.warehouse.tables import Warehouse


def add_note(warehouse: Warehouse, wanted: int | None, path: str, text: str) -> None:
    """Write down what is known of a cluster beside its answers; earlier notes stay.

    Parameters
    ----------
    warehouse : Warehouse
    wanted : int or None
        The tree_version; None: the newest.
    path, text : str

    Raises
    ------
    InputError
        If there is no such tree or cluster, or the text is blank.
    """
    tree = choose_tree(warehouse, wanted)
    read_node(warehouse, tree.version, path)
    if not text.strip():
        raise InputError(f"note on {path}", "is blank", "a text", f'reclust note {path} "a text"')
    row = {
        TREE: tree.version,
        "path": path,
        "note": text.strip(),
        "author": getpass.getuser(),
        "at": datetime.now(UTC),
    }
    warehouse.append(NOTES, warehouse.local(NOTES, [row]))


def read_notes(warehouse: Warehouse, tree_version: int) -> dict[str, list[dict[str, Any]]]:
    """Return the notes on a tree's clusters.

    Parameters
    ----------
    warehouse : Warehouse
    tree_version : int

    Returns
    -------
    dict of path to list of dict
        Rows of the notes table, the newest first; only clusters that have any.
    """
    if not warehouse.exists(NOTES.name):
        return {}
    notes: dict[str, list[dict[str, Any]]] = {}
    rows = [row.asDict() for row in warehouse.read(NOTES, tree_version).collect()]
    for row in sorted(rows, key=lambda row: row["at"], reverse=True):
        notes.setdefault(row["path"], []).append(row)
    return notes
