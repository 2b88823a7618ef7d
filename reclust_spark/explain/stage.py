"""`reclust explain` on Spark: every split node in a task of its own, the largest first.

A task trains on at most ``explain.max_fit_rows`` of its node's people. It sees those with the
smallest hash of their id, so that who is sampled at a node is sampled at every node below it, and
who is held out of the models of one is held out of those of all.
"""

from __future__ import annotations

import difflib
import getpass
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from reclust_spark.config import Config, ExplainOptions, config_hash
from reclust_spark.errors import InputError
from reclust_spark.explain import barrier
from reclust_spark.explain.label import label_clusters
from reclust_spark.explain.node import NodePeople, explain_node
from reclust_spark.explain.records import (
    HELD_OUT,
    NODE,
    POPULATION,
    STAGED_DDL,
    STORED,
    columns_of,
    to_table,
)
from reclust_spark.onevsall.folds import FOLDS, TEST, TRAINING_FOLDS
from reclust_spark.onevsall.predict import Question, inputs_of
from reclust_spark.paths import ROOT, child, depth, parent
from reclust_spark.warehouse import grouped
from reclust_spark.warehouse.columns import ample, hash_limit, literal_map
from reclust_spark.warehouse.lists import matrix
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    BY_ANALYST,
    BY_MODEL,
    CONFUSION,
    EXPLANATIONS,
    FEATURES,
    LABELS,
    METRICS,
    MODELS,
    NODES,
    QUESTION_MAP,
    RUNS,
    TREE,
    Table,
)
from reclust_spark.warehouse.runs import (
    COMPLETE,
    Ledger,
    Outcome,
    Result,
    Step,
    choose_tree,
    output_versions,
)
from reclust_spark.warehouse.tables import Warehouse

STAGE = "explain"
STEP_VERSION = 4
HASH_SEED = 42

log = logging.getLogger(__name__)


class SplitNode(NamedTuple):
    """A node that is split: its path, its children's paths, its people in rows."""

    path: str
    children: tuple[str, ...]
    n_rows: int


def run(
    warehouse: Warehouse, config: Config, ledger: Ledger, tree_version: int | None = None
) -> Result:
    """Fit and explain the one-vs-all models of a tree, or reuse them.

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
    InputError
        If there is no such tree.
    """
    tree = choose_tree(warehouse, config.tree_version or tree_version)
    settings = {
        "version": STEP_VERSION,
        "explain": config.explain.model_dump(),
        "tree": ledger.fingerprint("zoom", TREE, tree.version),
    }
    step = Step(
        STAGE, TREE, ASSIGNMENTS.name, str(tree.version), config_hash(settings),
        tree.prepare_version, tree.version,
    )  # fmt: skip

    def work(number: int) -> Outcome:
        return _Explaining(warehouse, config.explain, tree.prepare_version).write(number)

    return ledger.run(step, work)


class _Explaining:
    """One tree on its way to being explained."""

    def __init__(self, warehouse: Warehouse, options: ExplainOptions, prepared: int) -> None:
        self.warehouse, self.options, self.prepared = warehouse, options, prepared
        self.questions = read_questions(warehouse, prepared)

    def write(self, number: int) -> Outcome:
        """Explain all splits in one pass, and write the tables."""
        splits = self._splits(number)
        staged = self._staged(number, splits).persist(StorageLevel.DISK_ONLY)
        try:
            staged.count()
            # small tables: a commit is mostly waiting, so they wait together
            with ThreadPoolExecutor(len(STORED)) as writers:
                list(writers.map(lambda table: self._write_stored(table, staged, number), STORED))
            self._write_labels(number)
            figures = self._figures(staged)
        finally:
            staged.unpersist()
        n_rows = max((split.n_rows for split in splits), default=0)
        n_models = sum(len(split.children) for split in splits)
        return Outcome(n_rows, n_models, (*STORED, LABELS), figures)

    def _write_stored(self, table: Table, staged: DataFrame, number: int) -> None:
        rows = staged.where(F.col("tag") == table.name).select(*columns_of(table))
        if table is EXPLANATIONS:
            rows = _with_population(rows, staged)
        # one file, sorted: a range shuffle would cost more than these few rows
        rows = rows.coalesce(1).sortWithinPartitions("path")
        self.warehouse.write_version(table, rows, number)

    def _splits(self, number: int) -> list[SplitNode]:
        """Return the split nodes, those with the most work first."""
        nodes = self.warehouse.read(NODES, number).select("path", "n_rows", "parent_path")
        rows = nodes.sort("path").collect()
        children: dict[str, list[str]] = {}
        for row in rows:
            if row["parent_path"] is not None:
                children.setdefault(row["parent_path"], []).append(row["path"])
        splits = [
            SplitNode(row["path"], tuple(children[row["path"]]), row["n_rows"])
            for row in rows
            if row["path"] in children
        ]
        return sorted(splits, key=lambda s: (-self._rows_seen(s) * len(s.children), s.path))

    def _wanted(self, split: SplitNode) -> int:
        """Return how many people are trained on, tuned and tested on."""
        cap = self.options.max_fit_rows
        if cap is None:
            return split.n_rows
        return min(round(cap * FOLDS / TRAINING_FOLDS), split.n_rows)

    def _rows_seen(self, split: SplitNode) -> int:
        """Return how many people a task gets to see."""
        return min(self._wanted(split), self.options.max_task_rows)

    def _staged(self, number: int, splits: list[SplitNode]) -> DataFrame:
        if not splits:
            return self.warehouse.spark.createDataFrame([], STAGED_DDL)
        questions, options = self.questions, self.options
        large = [split for split in splits if self._wanted(split) > options.max_task_rows]
        boosters = {split.path: self._fit_together(number, split) for split in large}
        seen = {split.path: self._rows_seen(split) for split in splits}

        def explain(rank: int, table: pa.Table) -> pa.Table:
            split = splits[rank]
            people = people_of(table, questions, seen[split.path])
            found = explain_node(
                split.path, split.children, people, questions, options, boosters.get(split.path)
            )
            return to_table(split.path, found)

        people = self._people(number, splits, seen)
        return grouped.map_groups(people, len(splits), explain, STAGED_DDL)

    def _people(
        self, number: int, splits: list[SplitNode], seen: dict[str, int] | None
    ) -> DataFrame:
        """Return people once for each split node they are at or below, with its rank.

        `seen` says how many of a node's people are wanted; None: all.
        """
        places = self.warehouse.read(ASSIGNMENTS, number)
        deepest = F.col("depth") - F.when(F.col("is_noise"), 0).otherwise(1)
        length = len(child(ROOT, 1)) - len(ROOT)
        above = F.transform(
            F.sequence(F.lit(0), deepest),
            lambda step: F.substring(F.col("path"), 1, 1 + length * step),
        )
        ranks = literal_map({split.path: rank for rank, split in enumerate(splits)})
        tagged = places.where(deepest >= 0).select(
            "row_id",
            "path",
            "is_noise",
            "weight",
            F.xxhash64(F.lit(HASH_SEED), F.col("row_id")).alias("hash"),
            F.explode(above).alias("node"),
        )
        tagged = tagged.withColumn(grouped.RANK, ranks[F.col("node")])
        tagged = tagged.where(F.col(grouped.RANK).isNotNull())
        if seen is not None:
            limits = {
                split.path: hash_limit(ample(seen[split.path]), split.n_rows) for split in splits
            }
            tagged = tagged.where(F.col("hash") <= literal_map(limits)[F.col("node")])
        features = self.warehouse.read(FEATURES, self.prepared).select("row_id", "answers")
        return features.join(tagged.drop("node"), "row_id")

    def _fit_together(self, number: int, split: SplitNode) -> list[Any]:
        """Fit a large node's models on all executors, with the folds that its task will deal."""
        people = self._people(number, [split], None)
        order = Window.partitionBy("path", "is_noise").orderBy("hash", "row_id")
        fold = (F.row_number().over(order) - 1) % FOLDS
        use = F.when(fold == TEST, "test").when(fold == TEST - 2, barrier.STOP)
        numbers = literal_map({path: k for k, path in enumerate(split.children)})
        place = F.substring(F.col("path"), 1, len(child(split.path, 1)))
        rows = people.select(
            "answers",
            F.coalesce(numbers[place], F.lit(-1)).cast("int").alias("child"),
            use.otherwise(barrier.TRAIN).alias("use"),
        ).where(F.col("use") != "test")
        slots = grouped.slots(self.warehouse.spark)
        return barrier.fit_children(rows, len(split.children), self.questions, self.options, slots)

    def _write_labels(self, number: int) -> None:
        rows = self.warehouse.read(EXPLANATIONS, number).where("rank <= 6").sort("path", "rank")
        by_parent: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for row in rows.collect():
            siblings = by_parent.setdefault(str(parent(row["path"])), {})
            siblings.setdefault(row["path"], []).append(row.asDict())
        shorts = {q.block_id or q.source_column: q.short for q in self.questions if q.short}
        labels = {ROOT: "everyone"}
        for siblings in by_parent.values():
            labels |= label_clusters(siblings, shorts)
        given = [
            {"path": path, "label": label, "source": BY_MODEL, "at": datetime.now(UTC)}
            for path, label in sorted(labels.items())
        ]
        frame = self.warehouse.local(LABELS, given)
        self.warehouse.write_version(LABELS, frame, number, f"source = '{BY_MODEL}'")

    def _figures(self, staged: DataFrame) -> dict[tuple[str, str], float]:
        """Return each node's agreement and seconds, and the whole walk's agreement by depth."""
        nodes = staged.where(F.col("tag") == NODE).select("path", "agreement", "seconds").collect()
        figures: dict[tuple[str, str], float] = {}
        for row in nodes:
            figures[row["path"], "agreement"] = row["agreement"]
            figures[row["path"], "explain_seconds"] = row["seconds"]
        deepest = max((depth(row["path"]) for row in nodes), default=-1)
        steps = staged.where(F.col("tag") == HELD_OUT)
        # those held out at the root are held out all the way down
        everyone = steps.groupBy("row_id").agg(
            F.min("depth").alias("first"),
            *(
                F.min(F.when(F.col("depth") < d, F.col("agrees").cast("int"))).alias(f"d{d}")
                for d in range(1, deepest + 2)
            ),
        )
        row = everyone.where("first = 0").agg(
            *(F.avg(f"d{d}").alias(f"d{d}") for d in range(1, deepest + 2))
        ).first() if deepest >= 0 else {}  # fmt: skip
        for d in range(1, deepest + 2):
            figures[ROOT, f"agreement_depth_{d}"] = row[f"d{d}"]
        return figures


def people_of(table: pa.Table, questions: tuple[Question, ...], most: int) -> NodePeople:
    """Return a node's people in the order of their hash, at most so many.

    Parameters
    ----------
    table : Arrow table
        row_id, path, is_noise, weight, hash and answers.
    questions : tuple of Question
    most : int
    """
    ids = table["row_id"].to_numpy().astype(object)
    order = np.lexsort((ids, table["hash"].to_numpy()))
    answers = matrix(table["answers"], order)[:most]
    order = order[:most]
    return NodePeople(
        ids[order],
        table["path"].to_numpy().astype(object)[order],
        table["is_noise"].to_numpy()[order],
        table["weight"].to_numpy()[order],
        inputs_of(answers, questions),
    )


def read_questions(warehouse: Warehouse, prepared: int) -> tuple[Question, ...]:
    """Return the questions of a preparation, by position."""
    rows = warehouse.read(QUESTION_MAP, prepared).sort("position").collect()
    return tuple(Question.of(row.asDict()) for row in rows)


def _with_population(rows: DataFrame, staged: DataFrame) -> DataFrame:
    """Add the population's typical answers, which the root's task has found."""
    found = staged.where(F.col("tag") == POPULATION).select("source_column", "population_value")
    return rows.drop("population_value").join(F.broadcast(found), "source_column", "left")


# ---- what people ask of it


class Cluster(NamedTuple):
    """What is known of a cluster.

    Attributes
    ----------
    node : dict
        Its row of the nodes table.
    label : str or None
    model : dict or None
        Its row of the models table, without the model; None for the root.
    explanations : list of dict
        The leading rows, the first one first.
    confusion : list of dict
        Where its test people were put, most first; other_label among the columns.
    split : dict of str to float
        Figures of its own split: agreement, at the root agreement by depth.
    """

    node: dict[str, Any]
    label: str | None
    model: dict[str, Any] | None
    explanations: list[dict[str, Any]]
    confusion: list[dict[str, Any]]
    split: dict[str, float]


def read_labels(warehouse: Warehouse, tree_version: int) -> dict[str, str]:
    """Return the labels of a tree's clusters: the analyst's newest, else the models'."""
    if not warehouse.exists(LABELS.name):
        return {}
    rows = warehouse.read(LABELS, tree_version).collect()
    rows.sort(key=lambda row: (row["source"] == BY_ANALYST, row["at"]))
    return {row["path"]: row["label"] for row in rows}


def set_label(warehouse: Warehouse, wanted: int | None, path: str, label: str) -> None:
    """Give a cluster a name of the analyst's.

    Parameters
    ----------
    warehouse : Warehouse
    wanted : int or None
        The tree_version; None: the newest.
    path, label : str

    Raises
    ------
    InputError
        If there is no such tree or cluster, or the name is blank.
    """
    tree = choose_tree(warehouse, wanted)
    read_node(warehouse, tree.version, path)
    if not label.strip():
        raise InputError(f"label of {path}", "is blank", "a name", f'reclust label {path} "a name"')
    row = {
        TREE: tree.version,
        "path": path,
        "label": label.strip(),
        "source": BY_ANALYST,
        "author": getpass.getuser(),
        "at": datetime.now(UTC),
    }
    warehouse.append(LABELS, warehouse.local(LABELS, [row]))


def read_cluster(warehouse: Warehouse, wanted: int | None, path: str, leading: int = 5) -> Cluster:
    """Read all that is known of a cluster.

    Parameters
    ----------
    warehouse : Warehouse
    wanted : int or None
        The tree_version; None: the newest.
    path : str
    leading : int
        How many of its explanations.

    Returns
    -------
    Cluster

    Raises
    ------
    InputError
        If there is no such tree or cluster, or it has not been explained.
    """
    tree = choose_tree(warehouse, wanted)
    node = read_node(warehouse, tree.version, path)
    versions = explained_versions(warehouse, tree.version)
    labels = read_labels(warehouse, tree.version)

    def rows_of(table, condition) -> list[dict[str, Any]]:
        frame = warehouse.read(table, tree.version, versions[table.name])
        return [row.asDict() for row in frame.where(condition).collect()]

    here = F.col("path") == path
    models = rows_of(MODELS, here)
    explanations = rows_of(EXPLANATIONS, here & (F.col("rank") <= leading))
    above = F.col("parent_path") == parent(path) if path != ROOT else F.lit(False)
    confusion = sorted(rows_of(CONFUSION, here & above), key=lambda row: -row["share"])
    for row in confusion:
        row["other_label"] = labels.get(row["other_path"])
    return Cluster(
        node,
        labels.get(path),
        models[0] if models else None,
        sorted(explanations, key=lambda row: row["rank"]),
        confusion,
        split_figures(warehouse, tree.version).get(path, {}),
    )


def explained_versions(warehouse: Warehouse, tree_version: int) -> dict[str, int]:
    """Return the Delta versions of the tables that explain wrote for a tree.

    Raises
    ------
    InputError
        If the tree has not been explained.
    """
    versions = output_versions(warehouse, STAGE, tree_version)
    if versions is None:
        raise InputError(
            f"tree {tree_version} in {warehouse.place}", "has not been explained",
            "a tree with models", "run `reclust explain` first",
        )  # fmt: skip
    return versions


def read_node(warehouse: Warehouse, tree_version: int, path: str) -> dict[str, Any]:
    """Return a cluster's row of the nodes table.

    Raises
    ------
    InputError
        If the tree has no such cluster; it names the nearest.
    """
    rows = warehouse.read(NODES, tree_version).select("path").collect()
    paths = sorted(row["path"] for row in rows)
    if path not in paths:
        near = difflib.get_close_matches(path, paths, 1)
        raise InputError(
            f"cluster {path!r}", f"is not in tree {tree_version}",
            ", ".join(paths[:12]) + (" …" if len(paths) > 12 else ""),
            f"did you mean {near[0]}?" if near else "`reclust tree` lists all",
        )  # fmt: skip
    return warehouse.read(NODES, tree_version).where(F.col("path") == path).first().asDict()


def split_figures(warehouse: Warehouse, tree_version: int) -> dict[str, dict[str, float]]:
    """Return how far models and fit agree at each split: agreement, at the root by depth.

    Empty where the tree has not been explained.
    """
    runs = warehouse.read(RUNS).where(
        (F.col("stage") == STAGE) & (F.col("status") == COMPLETE) & (F.col(TREE) == tree_version)
    )
    last = runs.orderBy(F.desc("finished_at")).first()
    if last is None:
        return {}
    rows = warehouse.read(METRICS).where(
        (F.col("run_id") == last["run_id"]) & (F.col("stage") == STAGE)
    )
    figures: dict[str, dict[str, float]] = {}
    for row in rows.where(F.col("name").startswith("agreement")).collect():
        figures.setdefault(row["path"], {})[row["name"]] = row["value"]
    return figures
