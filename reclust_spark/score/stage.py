"""`reclust score` on Spark: people into the tree by its models alone, row by row.

The models travel to the executors once, as a broadcast; a worker process loads them once. Neither
UMAP nor HDBSCAN is imported.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark import Broadcast, StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from reclust_spark.config import Config, config_hash
from reclust_spark.errors import InputError
from reclust_spark.explain.stage import explained_versions, read_labels, read_questions
from reclust_spark.onevsall.predict import (
    ERROR,
    Mismatch,
    Model,
    ModelError,
    Question,
    Scorer,
    placed_columns,
    read_people,
)
from reclust_spark.paths import ROOT, child
from reclust_spark.prepare.codebook import check_column, read_codebook
from reclust_spark.score.check import (
    FOUND_DDL,
    SILENT,
    Usual,
    check_units,
    in_other_units,
    judge_findings,
    survey_batch,
)
from reclust_spark.score.export import write_export
from reclust_spark.warehouse.identity import check_ids, literal, quoted, row_id_of
from reclust_spark.warehouse.names import (
    CLUSTER_SIZES,
    COUNT,
    MODELS,
    NODES,
    NUMERIC,
    PROFILE,
    SCORES,
    TREE,
)
from reclust_spark.warehouse.runs import Ledger, Outcome, Result, Step, Tree, choose_tree
from reclust_spark.warehouse.source import Source, open_source
from reclust_spark.warehouse.tables import Warehouse

STAGE = "score"
STEP_VERSION = 1
_ROW_ID = "\0row_id"
"""No question's name; without a column, a batch would have no rows."""
PLACED_DDL = "path string, depth int, is_noise boolean, probability double"

log = logging.getLogger(__name__)


class Models(NamedTuple):
    """What a worker needs to score; `token` tells one tree's from another's."""

    token: str
    questions: tuple[Question, ...]
    models: tuple[Model, ...]


def run(
    warehouse: Warehouse, config: Config, ledger: Ledger, tree_version: int | None = None
) -> Result:
    """Place the people of a table in a tree, or reuse where they were placed.

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
        If there is no such tree, it has not been explained, or the table does not fit it; before
        anything is written.
    """
    tree = choose_tree(warehouse, config.tree_version or tree_version)
    models = read_models(warehouse, tree)
    where = "score.input" if config.score.input else "input.path"
    path = config.score.input or config.input.path
    form = config.score.format or (None if config.score.input else config.input.format)
    source = open_source(warehouse.spark, path, form, where)
    settings = {
        "version": STEP_VERSION,
        "unknown": config.score.unknown,
        "id": config.input.id,
        "weight": config.input.weight,
        "models": ledger.fingerprint("explain", TREE, tree.version),
        "source": [source.name, source.version],
        "units": _units(config),
    }
    step = Step(
        STAGE, TREE, source.name, source.version, config_hash(settings),
        tree.prepare_version, tree.version,
    )  # fmt: skip

    def work(number: int) -> Outcome:
        return _Scoring(warehouse, config, source, models, tree).write(ledger.run_id)

    return ledger.run(step, work)


def read_models(warehouse: Warehouse, tree: Tree) -> Models:
    """Read a tree's models and check that each can be used.

    Parameters
    ----------
    warehouse : Warehouse
    tree : Tree

    Returns
    -------
    Models

    Raises
    ------
    InputError
        If the tree has not been explained, or a model is damaged or missing.
    """
    versions = explained_versions(warehouse, tree.version)
    questions = read_questions(warehouse, tree.prepare_version)
    rows = warehouse.read(MODELS, tree.version, versions[MODELS.name]).sort("path").collect()
    models = tuple(
        Model(
            row["path"],
            row["parent_path"],
            bytes(row["model"]),
            row["threshold"],
            tuple(row["calibration"]),
            row["digest"] or "",
        )
        for row in rows
    )
    place = warehouse.location(MODELS.name)
    clusters = warehouse.read(NODES, tree.version).where(F.col("path") != ROOT).select("path")
    gone = sorted({row["path"] for row in clusters.collect()} - {model.path for model in models})
    remedy = f"run `reclust explain --set tree_version={tree.version}` again"
    if gone:
        raise InputError(place, f"the model of {gone[0]} is missing", "a model a cluster", remedy)
    try:
        Scorer(questions, models)
    except ModelError as error:
        raise InputError(
            place, str(error), f"the models that explain wrote for tree {tree.version}",
            f"drop that table's rows of the tree, then {remedy}",
        ) from None  # fmt: skip
    return Models(uuid.uuid4().hex, questions, models)


class _Scoring:
    """One table on its way into the tree."""

    def __init__(
        self, warehouse: Warehouse, config: Config, source: Source, models: Models, tree: Tree
    ) -> None:
        self.warehouse, self.config, self.source = warehouse, config, source
        self.models, self.tree = models, tree
        self.untyped = source.form == "csv"
        names = [question.source_column for question in models.questions]
        self.present = [name for name in names if name in source.frame.columns]
        units = check_units(models.questions, _units(config))
        self.mismatches = [
            Mismatch(name, "is not in the table", 0) for name in names if name not in self.present
        ] + units
        others = {mismatch.column for mismatch in units}
        self.present = [name for name in self.present if name not in others]
        self.left_out: set[str] = set()

    def write(self, run_id: str) -> Outcome:
        """Check the table, place its people, and write both tables."""
        frame = self._checked_frame()
        if self.untyped:
            # parsing text is the dear part of a CSV: it is done once, and kept on disk
            frame = frame.persist(StorageLevel.DISK_ONLY)
        try:
            n_rows, figures = self._check(frame)
            self._place(frame, run_id)
        finally:
            frame.unpersist()
        self._write_sizes(run_id)
        return Outcome(n_rows, n_rows, (SCORES, CLUSTER_SIZES), figures)

    @property
    def _within(self) -> str:
        """The part of the tables that this run replaces: an earlier one's on the same input."""
        name, version = literal(self.source.name), literal(self.source.version)
        return f"input_table = {name} AND input_version = {version}"

    def _checked_frame(self) -> DataFrame:
        """Select row_id, weight and the questions' columns by place; extra columns are left."""
        frame, options = self.source.frame, self.config.input
        names = list(frame.columns)
        if options.id is None:
            raise InputError(
                "input.id", "is not set",
                f"a column of {self.source.name}: {', '.join(names[:10])}",
                "--set input.id=COLUMN",
            )  # fmt: skip
        check_column(options.id, names, "input.id")
        if self.models.questions and not self.present:
            first = ", ".join(q.source_column for q in self.models.questions[:10])
            raise InputError(
                self.source.name, "has no column of the questionnaire",
                first, "set score.input to a table with these columns",
            )  # fmt: skip
        asked = {question.source_column for question in self.models.questions}
        used = {options.id, options.weight, *asked, *options.outside, *options.exclude}
        extra = [name for name in names if name not in used]
        if extra:
            log.warning(
                "%s: %d columns are no questions of the tree and are ignored: %s",
                self.source.name, len(extra), ", ".join(extra[:10]),
            )  # fmt: skip
        weight = F.lit(1.0)
        if options.weight in names:
            weight = F.col(quoted(options.weight)).try_cast("double")
        elif options.weight is not None:
            log.warning("%s has no column %r: everyone counts 1", self.source.name, options.weight)
        row_id = row_id_of(frame, options.id).alias("row_id")
        answers = [F.col(quoted(name)).alias(f"c{i}") for i, name in enumerate(self.present)]
        return frame.select(row_id, weight.alias("weight"), *answers)

    def _check(self, frame: DataFrame) -> tuple[int, dict[tuple[str, str], float]]:
        """Name what does not fit: an error, or a warning that it is taken for no answer."""
        n_rows = check_ids(self.source, self.config.input.id)
        wrong = F.col("weight").isNull() | F.isnan("weight") | (F.col("weight") < 0)
        n_wrong = frame.where(wrong).count() if self.config.input.weight else 0
        if n_wrong:
            raise InputError(
                f"{self.source.name}, weight column {self.config.input.weight!r}",
                f"{n_wrong:,} rows hold no number from 0 on", "a weight for everyone",
                "mend these rows, or leave input.weight out",
            )  # fmt: skip
        questions, usual, names = self.models.questions, self._usual(), self.present
        untyped = self.untyped

        def survey(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                columns = pa.RecordBatch.from_arrays(batch.columns, names=[_ROW_ID, *names])
                asked = [q for q in questions if q.source_column in names]
                yield survey_batch(columns, asked, usual, untyped)

        answers = frame.drop("weight")
        sums = (
            F.sum("n").alias("n"),
            F.min("example").alias("example"),
            F.sum("answers").alias("answers"),
        )
        surveyed = answers.mapInArrow(survey, FOUND_DDL)
        counts = surveyed.groupBy("source_column", "found").agg(*sums).collect()
        found = self.mismatches + judge_findings([row.asDict() for row in counts], usual)
        if found:
            self._name(found)
        self.left_out = in_other_units(found)
        silent = sum(row["n"] for row in counts if row["found"] == SILENT)
        if silent and self.models.models:
            log.warning("%s: %d people gave no answer and stay at /", self.source.name, silent)
        figures = {("/", "silent"): silent, ("/", "mismatches"): sum(m.n for m in found)}
        return n_rows, figures

    def _name(self, found: list[Mismatch]) -> None:
        said = "; ".join(str(mismatch) for mismatch in found[:10])
        if len(found) > 10:
            said += f"; and {len(found) - 10} more"
        if self.config.score.unknown == ERROR:
            raise InputError(
                self.source.name, f"does not fit the questionnaire: {said}",
                f"the columns, levels and units of tree {self.tree.version} (table question_map)",
                "mend the table, or take these for no answer: --set score.unknown=missing",
            )  # fmt: skip
        log.warning("%s: does not fit the questionnaire: %s", self.source.name, said)

    def _usual(self) -> dict[str, Usual]:
        """Return in which range nine in ten answered each numeric question."""
        numeric = {q.source_column for q in self.models.questions if q.kind in (NUMERIC, COUNT)}
        rows = self.warehouse.read(PROFILE, self.tree.prepare_version)
        rows = rows.where(F.col("quantiles").isNotNull()).select("source_column", "quantiles")
        ranges = {
            row["source_column"]: Usual(row["quantiles"][1], row["quantiles"][5])
            for row in rows.collect()
        }
        return {
            name: usual
            for name, usual in ranges.items()
            if name in numeric and name in self.present and usual.low < usual.high
        }

    def _place(self, frame: DataFrame, run_id: str) -> None:
        shared = self.warehouse.spark.sparkContext.broadcast(self.models)
        # a column that is in other units all through is no answer to anything
        names = [f"\0{name}" if name in self.left_out else name for name in self.present]
        untyped = self.untyped

        def place(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            scorer = scorer_of(shared)
            for batch in batches:
                answers = [batch.column(0), *batch.columns[2:]]
                columns = pa.RecordBatch.from_arrays(answers, names=[_ROW_ID, *names])
                people = read_people(columns, scorer.questions, untyped=untyped)
                placed = placed_columns(scorer.place(people.inputs))
                given = {"row_id": batch.column(0), "weight": batch.column(1)}
                yield pa.RecordBatch.from_pydict(given | placed)

        placed = frame.mapInArrow(place, f"row_id string, weight double, {PLACED_DDL}")
        rows = placed.select(
            "*",
            F.lit(run_id).alias("run_id"),
            F.lit(self.source.name).alias("input_table"),
            F.lit(self.source.version).alias("input_version"),
        )
        self.warehouse.write_version(SCORES, rows, self.tree.version, self._within)
        shared.destroy()

    def _write_sizes(self, run_id: str) -> None:
        """Count people at every cluster, those below it included; a cluster nobody is in too."""
        scores = self.warehouse.read(SCORES, self.tree.version).where(F.expr(self._within))
        length = len(child(ROOT, 1)) - len(ROOT)
        above = F.transform(
            F.sequence(F.lit(0), F.col("depth")),
            lambda step: F.substring(F.col("path"), 1, 1 + length * step),
        )
        found = scores.groupBy("path", "depth").agg(
            F.count(F.lit(1)).alias("n"), F.sum("weight").alias("weight")
        )
        rolled = found.select(F.explode(above).alias("path"), "n", "weight")
        sums = rolled.groupBy("path").agg(F.sum("n").alias("n"), F.sum("weight").alias("weight"))
        nodes = self.warehouse.read(NODES, self.tree.version).select("path")
        nothing = {"n": 0, "weight": 0.0}
        rows = nodes.join(sums, "path", "left").fillna(nothing).collect()
        whole = next(row["weight"] for row in rows if row["path"] == ROOT)
        as_of = datetime.now(UTC)
        local = [
            row.asDict()
            | {
                "share": row["weight"] / whole if whole else 0.0,
                "as_of": as_of,
                "run_id": run_id,
                "input_table": self.source.name,
                "input_version": self.source.version,
            }
            for row in rows
        ]
        frame = self.warehouse.local(CLUSTER_SIZES, local)
        self.warehouse.write_version(CLUSTER_SIZES, frame, self.tree.version, self._within)


_loaded: dict[str, Scorer] = {}


def scorer_of(shared: Broadcast[Models]) -> Scorer:
    """Return this process's scorer of some models; only the last tree's are kept."""
    models = shared.value
    if models.token not in _loaded:
        _loaded.clear()
        _loaded[models.token] = Scorer(models.questions, models.models)
    return _loaded[models.token]


def register(
    spark: SparkSession, place: str, name: str = "reclust_score", tree_version: int | None = None
) -> None:
    """Make scoring a function of SQL: ``SELECT uid, reclust_score(struct(*)).path FROM people``.

    Parameters
    ----------
    spark : SparkSession
    place : str
        The warehouse.
    name : str
        Of the function. It takes a struct with a field for each question, by its source column;
        other fields are ignored. It returns a struct of path, depth, is_noise and probability.
    tree_version : int, optional
        The newest by default.

    Raises
    ------
    InputError
        If there is no such tree, or it has not been explained.
    """
    warehouse = Warehouse(spark, place)
    shared = spark.sparkContext.broadcast(
        read_models(warehouse, choose_tree(warehouse, tree_version))
    )

    @F.arrow_udf(PLACED_DDL)
    def score(people: pa.Array) -> pa.Array:
        scorer = scorer_of(shared)
        columns = pa.RecordBatch.from_struct_array(people)
        placed = placed_columns(scorer.place(read_people(columns, scorer.questions).inputs))
        return pa.StructArray.from_arrays(list(placed.values()), names=list(placed))

    spark.udf.register(name, score)


def export(warehouse: Warehouse, wanted: int | None, folder: str) -> int:
    """Write a tree for a service that has neither Delta nor Spark.

    Parameters
    ----------
    warehouse : Warehouse
    wanted : int or None
        The tree_version; None: the newest.
    folder : str

    Returns
    -------
    int
        The tree_version that was exported.
    """
    tree = choose_tree(warehouse, wanted)
    models = read_models(warehouse, tree)
    facts: dict[str, Any] = {
        TREE: tree.version,
        "labels": read_labels(warehouse, tree.version),
    }
    write_export(folder, models.questions, models.models, facts)
    return tree.version


def _units(config: Config) -> dict[str, str | None]:
    codebook = read_codebook(config.input.codebook)
    return {name: entry.unit for name, entry in codebook.questions.items() if entry.unit}
