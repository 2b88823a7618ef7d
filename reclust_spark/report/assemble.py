"""From rows of the tables to a report's contents; no Spark here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from reclust_spark.explain.describe import LEVEL
from reclust_spark.explain.shapley import topics_of
from reclust_spark.onevsall.predict import Question
from reclust_spark.paths import ROOT
from reclust_spark.report.content import (
    Answer,
    Certainty,
    Cluster,
    Note,
    Picture,
    Report,
    Sibling,
)
from reclust_spark.report.outside import outside_of
from reclust_spark.report.samples import Rank, maps_of, swarms_of
from reclust_spark.warehouse.names import BY_ANALYST

Row = Mapping[str, Any]

SETTINGS = (
    "engine",
    "n_neighbors",
    "min_cluster_size",
    "root_min_cluster_size",
    "min_share",
    "min_samples",
    "max_depth",
    "seed",
)
"""Settings of the zoom that a reader of the report may ask for."""


class Facts(NamedTuple):
    """What is said of the whole: see `content.Report`."""

    title: str
    tree_version: int
    made_at: datetime
    source: str
    weighted: bool
    zoom: Mapping[str, Any]


@dataclass(frozen=True)
class Tables:
    """What the tables hold of a tree.

    Attributes
    ----------
    nodes : sequence of row
        By path.
    questions : sequence of Question
        By position.
    labels : sequence of row
        The first ones lose: a later row of the same path takes its place.
    notes : mapping of path to rows
        The newest first.
    explanations : sequence of row
        The leading ones of each cluster.
    models, confusion : sequence of row
    figures : mapping of (path, name) to float
        What explain has measured: agreement, agreement_depth_1 …
    shap_values : Arrow table
        A sample: path, source_column, answer, shap.
    embeddings : Arrow table
        A sample: path, x, y, child_path.
    pictures : mapping of path to Picture
    crosstabs : sequence of row
        In the order that they are shown in.
    """

    nodes: Sequence[Row]
    questions: tuple[Question, ...]
    labels: Sequence[Row]
    notes: Mapping[str, Sequence[Row]]
    explanations: Sequence[Row]
    models: Sequence[Row]
    confusion: Sequence[Row]
    figures: Mapping[tuple[str, str], float]
    shap_values: pa.Table
    embeddings: pa.Table
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    crosstabs: Sequence[Row] = ()


def assemble(facts: Facts, tables: Tables) -> Report:
    """Put a report's contents together.

    Parameters
    ----------
    facts : Facts
    tables : Tables

    Returns
    -------
    Report
    """
    answers = _by_path(tables.explanations)
    ranks = {
        (row["path"], row["source_column"]): Rank(row["rank"], row["direction"])
        for row in tables.explanations
    }
    swarms = swarms_of(tables.shap_values, ranks, topics_of(tables.questions), tables.questions)
    sizes = {row["path"]: row["n_fit"] or row["n_rows"] for row in tables.nodes}
    maps = maps_of(tables.embeddings, sizes)
    labels = {row["path"]: row for row in tables.labels}
    models = {row["path"]: row for row in tables.models}
    siblings = _by_path(tables.confusion)
    clusters = {}
    for node in sorted(tables.nodes, key=lambda node: str(node["path"])):
        path = node["path"]
        label = labels.get(path)
        clusters[path] = Cluster(
            path=path,
            label="everyone" if path == ROOT and label is None else _label(label, path),
            by_analyst=label is not None and label["source"] == BY_ANALYST,
            n=node["n_rows"],
            weight=node["weight"],
            share=node["share"],
            parent_share=node["parent_share"],
            n_children=node["n_children"],
            n_noise=node["n_noise"],
            stop_reason=node["stop_reason"],
            stability=node["stability"],
            fidelity=node["fidelity"],
            persistence=node["persistence"],
            trustworthiness=node["trustworthiness"],
            answers=tuple(_answer(row) for row in answers.get(path, ())),
            swarms=swarms.get(path, ()),
            siblings=_siblings(path, siblings.get(path, ())),
            certainty=_certainty(models.get(path)),
            agreement=tables.figures.get((path, "agreement")),
            map=maps.get(path),
            picture=tables.pictures.get(path),
            notes=tuple(
                Note(row["note"], row["author"] or "", row["at"])
                for row in tables.notes.get(path, ())
            ),
        )
    return Report(
        title=facts.title,
        tree_version=facts.tree_version,
        made_at=facts.made_at,
        source=facts.source,
        n=clusters[ROOT].n,
        weighted=facts.weighted,
        questions={t.source_column: t.question for t in topics_of(tables.questions)},
        clusters=clusters,
        outside=outside_of(tables.crosstabs),
        agreement=_agreement(tables.figures),
        method={name: facts.zoom[name] for name in SETTINGS if facts.zoom.get(name) is not None},
    )


def _by_path(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["path"], []).append(row)
    return found


def _label(row: Row | None, path: str) -> str:
    return path if row is None else str(row["label"])


def _answer(row: Row) -> Answer:
    return Answer(
        row["source_column"],
        row["question"],
        (row["direction"] or "").removeprefix(LEVEL),
        row["cluster_value"] or "",
        row["parent_value"] or "",
        row["population_value"] or "",
        row["lift"],
        row["mean_abs_shap"],
    )


def _siblings(path: str, rows: Sequence[Row]) -> tuple[Sibling, ...]:
    """Return where a cluster's own people are put, not those of its noise, where it is split."""
    own = [row for row in rows if row["parent_path"] != path and row["share"] > 0]
    own.sort(key=lambda row: (-row["share"], row["other_path"]))
    return tuple(Sibling(row["other_path"], row["share"]) for row in own)


def _certainty(row: Row | None) -> Certainty | None:
    if row is None:
        return None
    return Certainty(
        row["auc"], row["f1"], row["calibration_error"], row["n_test"], row["threshold"]
    )


def _agreement(figures: Mapping[tuple[str, str], float]) -> dict[int, float]:
    start = "agreement_depth_"
    found = {
        int(name.removeprefix(start)): value
        for (path, name), value in figures.items()
        if path == ROOT and name.startswith(start)
    }
    return dict(sorted(found.items()))
