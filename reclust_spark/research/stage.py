"""For research that goes on: notes on clusters, and whom to interview of one."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from reclust_spark.errors import InputError
from reclust_spark.explain.stage import STAGE as EXPLAIN
from reclust_spark.explain.stage import read_labels, read_node
from reclust_spark.paths import ROOT, is_within
from reclust_spark.research.choose import (
    BORDERLINE,
    CANDIDATES_DDL,
    SCHEMA,
    TYPICAL,
    Heart,
    candidates_of,
    choose,
    first,
)
from reclust_spark.research.interviews import Person, check_counts, shortage, to_people
from reclust_spark.score.stage import Models, read_models, scorer_of
from reclust_spark.warehouse.names import ASSIGNMENTS, FEATURES, NOTES, TREE
from reclust_spark.warehouse.runs import Tree, choose_tree, output_versions
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


# ---- whom to interview


class Recruits(NamedTuple):
    """Whom to interview of a cluster.

    Attributes
    ----------
    path : str
    parent_path : str or None
    label : str or None
    people : list of Person
        The typical ones, the most typical first; then those on the border, the nearest first.
    remarks : list of str
        What one should know: fewer than asked for, no models.
    """

    path: str
    parent_path: str | None
    label: str | None
    people: list[Person]
    remarks: list[str]


def recruit(
    warehouse: Warehouse, wanted: int | None, path: str, typical: int, borderline: int
) -> Recruits:
    """Choose people of a cluster to interview, among those its tree was built on.

    Typical: near the medoid, held strongly by the fit (at least as half of the cluster's people
    are), and placed here by the models, more probably than not. Borderline: the models find
    something else about as probable. A person whom no cluster below took is of this one. Where too
    few are typical in all of this, those nearest to the medoid follow.

    Parameters
    ----------
    warehouse : Warehouse
    wanted : int or None
        The tree_version; None: the newest.
    path : str
    typical, borderline : int
        How many; fewer are found where the cluster is smaller.

    Returns
    -------
    Recruits

    Raises
    ------
    ConfigError
        If a number is negative, or nobody is asked for.
    InputError
        If there is no such tree or cluster; or if the tree has not been explained, and a border
        is asked for.
    """
    check_counts(typical, borderline)
    tree = choose_tree(warehouse, wanted)
    node = read_node(warehouse, tree.version, path)
    remarks = []
    if path == ROOT and borderline:
        remarks.append("/ has no siblings: nobody is on its border")
        borderline = 0
    models = None
    if borderline or output_versions(warehouse, EXPLAIN, tree.version) is not None:
        models = _models_above(read_models(warehouse, tree), path)
    else:
        remarks.append("the tree has not been explained: who is typical goes by the fit alone")
    asked = {TYPICAL: typical, BORDERLINE: borderline}
    people = _choose(warehouse, tree, node, models, asked)
    remarks += shortage(path, node["n_rows"], people, asked)
    label = read_labels(warehouse, tree.version).get(path)
    return Recruits(path, node["parent_path"], label, to_people(people), remarks)


def _models_above(models: Models, path: str) -> Models:
    """Return the models that decide on the way to a cluster: all of its ancestors' splits."""
    above = tuple(
        model
        for model in models.models
        if model.parent_path != path and is_within(path, model.parent_path)
    )
    return models._replace(models=above)


def _choose(
    warehouse: Warehouse,
    tree: Tree,
    node: dict[str, Any],
    models: Models | None,
    asked: dict[str, int],
) -> pa.Table:
    features = warehouse.read(FEATURES, tree.prepare_version)
    places = warehouse.read(ASSIGNMENTS, tree.version)
    places = places.where(F.col("path").startswith(node["path"]))
    half = F.percentile(F.when(~F.col("is_noise"), F.col("strength")), F.lit(0.5))
    medoid = features.where(F.col("row_id") == node["medoid_row_id"]).first()["features"]
    heart = Heart(np.array(medoid, dtype=np.float32), places.agg(half).first()[0])
    # who turns out to be typical is not taken again
    wanted = {TYPICAL: asked[TYPICAL], BORDERLINE: 0}
    if asked[BORDERLINE]:
        wanted[BORDERLINE] = sum(asked.values())
    shared = warehouse.spark.sparkContext.broadcast(models)
    path = node["path"]

    def seek(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = None if shared.value is None else scorer_of(shared)
        best = {kind: SCHEMA.empty_table() for kind in wanted}
        for batch in batches:
            for kind, rows in candidates_of(batch, path, heart, scorer).items():
                best[kind] = first(pa.concat_tables([best[kind], rows]), wanted[kind])
        yield from pa.concat_tables(best.values()).to_batches()

    people = places.select("row_id", "path", "is_noise", "strength").join(
        features.select("row_id", "answers", "features"), "row_id"
    )
    found = people.mapInArrow(seek, CANDIDATES_DDL).toArrow().cast(SCHEMA)
    shared.destroy()
    typical, borderline = (
        found.filter(pc.equal(found["kind"], kind)) for kind in (TYPICAL, BORDERLINE)
    )
    return choose(typical, borderline, asked[TYPICAL], asked[BORDERLINE])
