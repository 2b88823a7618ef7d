"""`reclust report`: from the tables to explorer.html, deck.pptx and figures.xlsx.

Only tables are read, and of those with a row a person only samples and sums.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from reclust_spark.config import Config, config_hash
from reclust_spark.crosstab.stage import read_crosstabs
from reclust_spark.errors import ConfigError
from reclust_spark.explain.node import LEADING
from reclust_spark.explain.stage import read_questions, split_figures
from reclust_spark.onevsall.predict import Question
from reclust_spark.paths import ROOT
from reclust_spark.report.assemble import Facts, Tables, assemble
from reclust_spark.report.content import Picture, Report
from reclust_spark.report.deck import check_template, write_deck
from reclust_spark.report.explorer import write_page
from reclust_spark.report.pictures import Sums, check_shape, pictures_of, sums_of_batches
from reclust_spark.report.workbook import write_workbook
from reclust_spark.research.stage import read_notes
from reclust_spark.warehouse.files import check_writable, exists, publish
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    BY_ANALYST,
    CONFUSION,
    EMBEDDINGS,
    EXPLANATIONS,
    FEATURES,
    LABELS,
    MODELS,
    NODES,
    PREPARED,
    RUNS,
    SHAP_VALUES,
    TREE,
    Table,
)
from reclust_spark.warehouse.runs import (
    COMPLETE,
    Ledger,
    Outcome,
    Result,
    Step,
    Tree,
    choose_tree,
    output_versions,
)
from reclust_spark.warehouse.tables import Warehouse

STAGE = "report"
STEP_VERSION = 1
PAGE, DECK, WORKBOOK = "explorer.html", "deck.pptx", "figures.xlsx"
SWARM_PEOPLE = 160
"""People whose SHAP values are shown, a cluster and question."""
ROOT_POINTS, NODE_POINTS, ALL_POINTS = 8_000, 3_000, 150_000
"""People on the map of everyone, on that of another node, on all of them."""
SEED = 7
"""Of the hash that chooses whom a map shows; not that of explain, whose people are the first."""

log = logging.getLogger(__name__)


def place_of_report(config: Config) -> str:
    """Return the folder that a report is written to.

    Raises
    ------
    ConfigError
        If there is none to be had: the warehouse is a catalog schema, which holds no files.
    """
    if config.report.out is not None:
        return config.report.out.rstrip("/") or "/"
    if "/" not in config.warehouse:
        raise ConfigError(
            "setting report.out", f"is not set, and the warehouse {config.warehouse} is a catalog",
            "a folder for the report's files", "--set report.out=./report",
        )  # fmt: skip
    return f"{config.warehouse.rstrip('/')}/report"


def check_report(config: Config) -> None:
    """Check, before a session is started, that a report could be written.

    Raises
    ------
    ConfigError
        If its folder cannot be written, or the deck's template is none.
    """
    folder = place_of_report(config)
    check_writable(
        folder, f"report folder {folder}", "a folder that this user can write",
        "set another one: --set report.out=./report",
    )  # fmt: skip
    if config.report.template is not None:
        check_template(Path(config.report.template))


def run(
    warehouse: Warehouse, config: Config, ledger: Ledger, tree_version: int | None = None
) -> Result:
    """Write the report of a tree, or leave the one that says the same.

    Parameters
    ----------
    warehouse : Warehouse
    config : Config
    ledger : Ledger
    tree_version : int, optional
        The tree; by default that of the setting, or the newest.

    Returns
    -------
    Result
        The tree_version.

    Raises
    ------
    ConfigError
        If the folder or the template cannot be used, or the questions are no such image.
    InputError
        If there is no such tree.
    """
    check_report(config)
    tree = choose_tree(warehouse, config.tree_version or tree_version)
    folder = place_of_report(config)
    questions = read_questions(warehouse, tree.prepare_version)
    if config.report.image is not None:
        check_shape(config.report.image, len(questions))
    files = [f"{folder}/{name}" for name in (PAGE, DECK, WORKBOOK)]
    there = all(exists(warehouse.spark, file) for file in files)
    reading = _Reading(warehouse, config, tree, questions)
    settings = {
        "version": STEP_VERSION,
        "report": config.report.model_dump(),
        "folder": folder,
        "template": _stamp(config.report.template),
        "tree": ledger.fingerprint("zoom", TREE, tree.version),
        "words": reading.words(),
    }
    step = Step(
        STAGE, TREE, NODES.name, str(tree.version), config_hash(settings),
        tree.prepare_version, tree.version,
    )  # fmt: skip

    def work(number: int) -> Outcome:
        return _write(warehouse, config, reading, folder)

    return ledger.run(step, work, again=not there)


def _stamp(file: str | None) -> list[int] | None:
    if file is None:
        return None
    facts = Path(file).stat()
    return [facts.st_size, facts.st_mtime_ns]


def _write(warehouse: Warehouse, config: Config, reading: _Reading, folder: str) -> Outcome:
    seconds: dict[tuple[str, str], float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.monotonic()
        result = work()
        seconds[ROOT, f"{name}_seconds"] = time.monotonic() - started
        return result

    report = timed("read", reading.report)
    template = None if config.report.template is None else Path(config.report.template)
    with tempfile.TemporaryDirectory() as scratch:
        made = [Path(scratch, name) for name in (PAGE, DECK, WORKBOOK)]
        timed("page", lambda: made[0].write_text(write_page(report), encoding="utf-8"))
        timed("deck", lambda: write_deck(report, made[1], template))
        timed("workbook", lambda: write_workbook(report, made[2]))
        publish(warehouse.spark, made, folder)
    return Outcome(report.n, len(report.clusters), (), seconds)


class _Explained(NamedTuple):
    """What explain has written of a tree."""

    explanations: list[dict[str, Any]]
    models: list[dict[str, Any]]
    confusion: list[dict[str, Any]]
    shap_values: pa.Table


class _Reading:
    """One tree's tables on their way into a report."""

    def __init__(
        self, warehouse: Warehouse, config: Config, tree: Tree, questions: tuple[Question, ...]
    ) -> None:
        self.warehouse, self.config, self.tree = warehouse, config, tree
        self.questions = questions
        self.explained = output_versions(warehouse, "explain", tree.version)
        self.labels = self._labels()
        self.notes = read_notes(warehouse, tree.version)
        self.crosstabs = read_crosstabs(warehouse, tree.version)

    def words(self) -> str:
        """Return a hash of what may change while the tree stays: labels, notes, crosstabs."""
        runs = {row["run_id"] for row in self.crosstabs}
        said = [self.labels, self.notes, sorted(runs), self.explained]
        return config_hash({"said": json.loads(json.dumps(said, default=str))})

    def report(self) -> Report:
        """Read the rest, and put it together."""
        nodes = [row.asDict() for row in self._tree(NODES).sort("path").collect()]
        explained = self._explained()
        figures = {
            (path, name): value
            for path, named in split_figures(self.warehouse, self.tree.version).items()
            for name, value in named.items()
        }
        tables = Tables(
            nodes=nodes,
            questions=self.questions,
            labels=self.labels,
            notes=self.notes,
            explanations=explained.explanations,
            models=explained.models,
            confusion=explained.confusion,
            figures=figures,
            shap_values=explained.shap_values,
            embeddings=self._embeddings(nodes),
            pictures=self._pictures(nodes),
            crosstabs=self.crosstabs,
        )
        return assemble(self._facts(), tables)

    def _tree(self, table: Table) -> DataFrame:
        return self.warehouse.read(table, self.tree.version)

    def _labels(self) -> list[dict[str, Any]]:
        """Return the labels, those that count last."""
        if not self.warehouse.exists(LABELS.name):
            return []
        rows = [row.asDict() for row in self._tree(LABELS).collect()]
        return sorted(rows, key=lambda row: (row["source"] == BY_ANALYST, row["at"], row["path"]))

    def _facts(self) -> Facts:
        runs = self.warehouse.read(RUNS).where(F.col("status") == COMPLETE)
        zoom = runs.where((F.col("stage") == "zoom") & (F.col(TREE) == self.tree.version)).first()
        prepared = F.col(PREPARED) == self.tree.prepare_version
        survey = runs.where((F.col("stage") == "prepare") & prepared).first()["input_table"]
        name = survey.rstrip("/").rpartition("/")[2]
        weights = self._tree(ASSIGNMENTS).agg(F.min("weight"), F.max("weight")).first()
        return Facts(
            title=self.config.report.title or f"The people of {Path(name).stem}",
            tree_version=self.tree.version,
            made_at=zoom["finished_at"],
            source=name,
            weighted=weights[0] != weights[1],
            zoom=json.loads(zoom["config"])["zoom"],
        )

    def _explained(self) -> _Explained:
        if self.explained is None:
            log.warning(
                "tree %d has not been explained: the report says nothing of answers; "
                "`reclust explain` learns them", self.tree.version,
            )  # fmt: skip
            empty = pa.table({"path": [""], "source_column": [""], "answer": [0.0], "shap": [0.0]})
            return _Explained([], [], [], empty.slice(0, 0))

        def rows_of(table: Table) -> DataFrame:
            return self.warehouse.read(table, self.tree.version, self.explained[table.name])

        def collected(frame: DataFrame) -> list[dict[str, Any]]:
            return [row.asDict() for row in frame.collect()]

        leading = rows_of(EXPLANATIONS).where(F.col("rank") <= LEADING).sort("path", "rank")
        order = Window.partitionBy("path", "source_column").orderBy(
            F.xxhash64(F.lit(SEED), F.col("row_id")), "row_id"
        )
        people = rows_of(SHAP_VALUES).withColumn("place", F.row_number().over(order))
        people = people.where(F.col("place") <= SWARM_PEOPLE)
        return _Explained(
            collected(leading),
            collected(rows_of(MODELS).drop("model")),
            collected(rows_of(CONFUSION)),
            people.select("path", "source_column", "answer", "shap")
            .sort("path", "source_column", "shap", "answer")
            .toArrow(),
        )

    def _embeddings(self, nodes: list[dict[str, Any]]) -> pa.Table:
        """Sample each node's map by a hash of the people's ids."""
        sizes = {row["path"]: row["n_fit"] or row["n_rows"] for row in nodes if row["n_children"]}
        wanted = {
            path: min(n, ROOT_POINTS if path == ROOT else NODE_POINTS) for path, n in sizes.items()
        }
        # a large tree's maps share what a page can hold
        less = min(1.0, ALL_POINTS / max(1, sum(wanted.values())))
        limits = {
            path: min(2**63 - 1, int(-(2**63) + less * wanted[path] / n * 2**64))
            for path, n in sizes.items()
        }
        rows = self._tree(EMBEDDINGS)
        if not limits:
            return rows.select("path", "x", "y", "child_path").limit(0).toArrow()
        limit = F.create_map(*(F.lit(part) for pair in limits.items() for part in pair))
        chosen = F.xxhash64(F.lit(SEED), F.col("path"), F.col("row_id")) <= limit[F.col("path")]
        # the order of the hash is nobody's
        sample = rows.where(F.col("path").isin(list(limits)) & chosen)
        sample = sample.select("path", F.xxhash64("row_id").alias("order"), "x", "y", "child_path")
        return sample.sort("path", "order", "x", "y").drop("order").toArrow()

    def _pictures(self, nodes: list[dict[str, Any]]) -> dict[str, Picture]:
        shape = self.config.report.image
        if shape is None:
            return {}
        features = self.warehouse.read(FEATURES, self.tree.prepare_version)
        features = features.select("row_id", "weight", "answers")
        people = features.join(self._tree(ASSIGNMENTS).select("row_id", "path"), "row_id")
        ddl = "path string, total array<double>, weight array<double>, low double, high double"
        parts = people.drop("row_id").mapInArrow(sums_of_batches, ddl).toArrow().to_pylist()
        sums = (
            Sums(p["path"], np.array(p["total"]), np.array(p["weight"]), p["low"], p["high"])
            for p in sorted(parts, key=lambda part: (part["path"], part["total"]))
        )
        medoids = {row["path"]: row["medoid_row_id"] for row in nodes if row["medoid_row_id"]}
        known = features.where(F.col("row_id").isin(list(set(medoids.values())))).collect()
        answers = {row["row_id"]: np.array(row["answers"], dtype=np.float32) for row in known}
        return pictures_of(sums, {path: answers[who] for path, who in medoids.items()}, shape)
