"""`reclust crosstab` on Spark: outside questions, answered at every node of a tree.

The outside table is read once, and what is asked of it kept on disk, narrow, beside each person's
place in the tree. People are counted into cells there; cells are few, and all that follows is of
them. The driver sees estimates of nodes only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NumericType, StringType

from reclust_spark.config import Config, PrepareOptions, config_hash
from reclust_spark.crosstab.columns import (
    Field,
    columns_of,
    left_out,
    pairs_of,
    spec_of_field,
    with_kinds,
)
from reclust_spark.crosstab.questions import Asked, Sampled, asked_of, most_marks
from reclust_spark.crosstab.rows import ROWS, rows_of
from reclust_spark.crosstab.tabulate import (
    CELLS_DDL,
    ESTIMATES_DDL,
    KEYS,
    PEOPLE,
    SUMS,
    Plan,
    estimate,
    tabulate,
)
from reclust_spark.errors import InputError
from reclust_spark.paths import ROOT, child
from reclust_spark.prepare.codebook import Codebook, check_column, read_codebook
from reclust_spark.prepare.kinds import decide
from reclust_spark.prepare.maps import KEPT_ASIDE
from reclust_spark.prepare.partitions import PART_DDL, Surveyed, profile_partition
from reclust_spark.prepare.sample import sample_size, threshold
from reclust_spark.prepare.values import NUMBER, TEXT, UNSUPPORTED, ColumnSpec, numbers_of
from reclust_spark.warehouse.identity import check_ids, literal, quoted, row_id_of
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    CROSSTABS,
    NODES,
    OUTSIDE,
    PREPARED,
    PROFILE,
    RUNS,
    TREE,
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
from reclust_spark.warehouse.source import Source, open_source
from reclust_spark.warehouse.tables import Warehouse

STAGE = "crosstab"
STEP_VERSION = 3
_WEIGHT = "\0weight"
"""No column's name."""
_STEP = len(child(ROOT, 1)) - len(ROOT)
"""Characters that a path gains at each depth."""

log = logging.getLogger(__name__)


class _Outside(NamedTuple):
    """The outside table, of which nothing is read yet.

    Attributes
    ----------
    name, version : str
    fields : dict of column to Field
        All that can be asked.
    untyped : bool
        The source (CSV) holds text only.
    source : Source or None
        None: what prepare has kept aside.
    id : str
    """

    name: str
    version: str
    fields: dict[str, Field]
    untyped: bool = False
    source: Source | None = None
    id: str = "row_id"


def run(
    warehouse: Warehouse, config: Config, ledger: Ledger, tree_version: int | None = None
) -> Result:
    """Cross outside questions with a tree, or reuse what was found.

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
        If the codebook is no codebook.
    InputError
        If there is no such tree, or the outside table cannot be used as it is; before anything is
        written.
    """
    tree = choose_tree(warehouse, config.tree_version or tree_version)
    codebook = read_codebook(config.input.codebook)
    outside = _open_table(warehouse, config) if config.crosstab.input else _kept(warehouse, tree)
    settings = {
        "version": STEP_VERSION,
        "crosstab": config.crosstab.model_dump(exclude={"input", "format"}),
        "id": outside.id,
        "codebook": codebook.model_dump(),
        "max_ordinal_levels": config.prepare.max_ordinal_levels,
        "source": [outside.name, outside.version],
        "tree": ledger.fingerprint("zoom", TREE, tree.version),
    }
    step = Step(
        STAGE, TREE, ASSIGNMENTS.name, str(tree.version), config_hash(settings),
        tree.prepare_version, tree.version,
    )  # fmt: skip

    def work(number: int) -> Outcome:
        return _Crossing(warehouse, config, codebook, outside, tree).write(ledger.run_id)

    return ledger.run(step, work)


def read_crosstabs(
    warehouse: Warehouse, tree_version: int, deepest: int | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a tree's crosstabs that complete runs wrote, sorted by their key.

    Parameters
    ----------
    warehouse : Warehouse
    tree_version : int
    deepest : int, optional
        Only clusters down to this depth.

    Returns
    -------
    list of dict
        Empty where nothing was crossed.
    """
    versions = output_versions(warehouse, STAGE, tree_version)
    if versions is None or CROSSTABS.name not in versions:
        return []
    runs = warehouse.read(RUNS).where((F.col("stage") == STAGE) & (F.col("status") == COMPLETE))
    rows = warehouse.read(CROSSTABS, tree_version, versions[CROSSTABS.name])
    if deepest is not None:
        rows = rows.where(F.length("path") <= len(ROOT) + deepest * _STEP)
    whole = rows.join(F.broadcast(runs.select("run_id").distinct()), "run_id", "left_semi")
    order = ("question", "by_question", "path", "by_order", "level_order", "statistic")
    return whole.toArrow().sort_by([(name, "ascending") for name in order]).to_pylist()


def _open_table(warehouse: Warehouse, config: Config) -> _Outside:
    options = config.crosstab
    source = open_source(warehouse.spark, options.input, options.format, "crosstab.input")
    names = list(source.frame.columns)
    name = options.id or config.input.id
    if name is None:
        raise InputError(
            "crosstab.id", "is not set, nor is input.id",
            f"a column of {source.name}: {', '.join(names[:10])}", "--set crosstab.id=COLUMN",
        )  # fmt: skip
    check_column(name, names, "crosstab.id" if options.id else "input.id")
    fields = {
        field.name: Field(_material(field.dataType), field.dataType.simpleString())
        for field in source.frame.schema
        if field.name != name
    }
    return _Outside(source.name, source.version, fields, source.form == "csv", source, name)


def _kept(warehouse: Warehouse, tree: Tree) -> _Outside:
    """Return the columns that prepare kept aside; each with the kind that it decided."""
    profile = warehouse.read(PROFILE, tree.prepare_version)
    rows = profile.where(F.col("dropped_reason") == KEPT_ASIDE).sort("source_column").collect()
    if not rows:
        raise InputError(
            "crosstab.input", f"is not set, and tree {tree.version} has no column kept aside",
            "a table with the people's ids, or columns in input.outside",
            "--set crosstab.input=TABLE",
        )  # fmt: skip
    fields = {
        row["source_column"]: Field(
            # numbers, and nothing else, have a mean
            TEXT if row["mean"] is None else NUMBER, "kept aside", row["kind"],
        )
        for row in rows
    }  # fmt: skip
    runs = warehouse.read(RUNS).where(
        (F.col("stage") == "prepare")
        & (F.col("status") == COMPLETE)
        & (F.col(PREPARED) == tree.prepare_version)
    )
    made = runs.orderBy(F.desc("finished_at")).first()
    return _Outside(made["input_table"], made["input_version"], fields)


class _Crossing:
    """Outside questions on their way into a tree."""

    def __init__(
        self,
        warehouse: Warehouse,
        config: Config,
        codebook: Codebook,
        outside: _Outside,
        tree: Tree,
    ) -> None:
        self.warehouse, self.options = warehouse, config.crosstab
        self.codebook, self.outside, self.tree = codebook, outside, tree
        self.prepare = PrepareOptions(
            max_levels=config.crosstab.max_levels,
            max_ordinal_levels=config.prepare.max_ordinal_levels,
        )
        nodes = warehouse.read(NODES, tree.version).select("path").collect()
        self.paths = tuple(sorted(row["path"] for row in nodes))
        self.columns = columns_of(outside.name, outside.fields, config.crosstab)
        self.figures: dict[tuple[str, str], float] = {}

    def write(self, run_id: str) -> Outcome:
        """Cross everything that is asked, and write it in one commit."""
        people = self._people().persist(StorageLevel.DISK_ONLY)
        try:
            n_people = self._timed("read_seconds", self._check, people)
            n_h = self._units(people, n_people)
            asked = self._timed("profile_seconds", self._ask, people, n_people, len(n_h))
            if not asked:
                # texts may well be kept aside for reading only: it is no fault of the survey
                log.warning("%s: nothing that was kept aside can be asked", self.outside.name)
                tables = (CROSSTABS,) if self.warehouse.exists(CROSSTABS.name) else ()
                return Outcome(n_people, 0, tables, self.figures)
            plan = self._plan(asked, n_h)
            estimates = self._timed("cross_seconds", self._estimates, people, plan)
        finally:
            people.unpersist()
        rows = self._timed("rows_seconds", rows_of, estimates, plan, self.options.min_n)
        self._timed("write_seconds", self._save, rows, run_id)
        suppressed = pc.sum(rows["suppressed"]).as_py()
        self.figures[ROOT, "suppressed"] = suppressed
        return Outcome(n_people, len(rows), (CROSSTABS,), self.figures)

    def _timed(self, name: str, work: Any, *given: Any) -> Any:
        started = time.monotonic()
        result = work(*given)
        self.figures[ROOT, name] = time.monotonic() - started
        return result

    # ---- who is asked

    def _people(self) -> DataFrame:
        """Return people's places in the tree and their answers, by place (c0, c1, c2)."""
        places = self.warehouse.read(ASSIGNMENTS, self.tree.version)
        places = places.select("row_id", "path", "weight")
        if self.outside.source is None:
            # everyone is of the sample, whether anything of them was kept or not
            joined = places.join(self._kept_answers(), "row_id", "left")
        else:
            joined = places.join(self._table_answers(self.outside.source.frame), "row_id")
        stratum = F.lit("") if self.options.strata is None else F.col("stratum")
        # units are told apart within their stratum
        unit = F.when(F.col("cluster").isNotNull(), F.xxhash64(stratum, "cluster"))
        answers = [f"c{i}" for i in range(len(self.columns))]
        return joined.select(
            "row_id", "path", "weight", stratum.alias("stratum"), unit.alias("unit"), *answers
        )

    def _table_answers(self, frame: DataFrame) -> DataFrame:
        def text(name: str | None) -> Column:
            if name is None:
                return F.lit("")
            column = F.col(quoted(name)).cast("string")
            return F.when(F.trim(column) != "", column)

        answers = [
            _read(name, self.outside.fields[name].material).alias(f"c{i}")
            for i, name in enumerate(self.columns)
        ]
        return frame.select(
            row_id_of(frame, self.outside.id).alias("row_id"),
            text(self.options.strata).alias("stratum"),
            text(self.options.clusters).alias("cluster"),
            *answers,
        )

    def _kept_answers(self) -> DataFrame:
        rows = self.warehouse.read(OUTSIDE, self.tree.prepare_version)

        def held(name: str, field: str) -> Column:
            return F.max(F.when(F.col("source_column") == name, F.col(field)))

        def design(name: str | None) -> Column:
            return F.first(F.lit("")) if name is None else held(name, "value")

        answers = [
            held(name, "number" if self.outside.fields[name].material == NUMBER else "value")
            for name in self.columns
        ]
        return rows.groupBy("row_id").agg(
            design(self.options.strata).alias("stratum"),
            design(self.options.clusters).alias("cluster"),
            *(answer.alias(f"c{i}") for i, answer in enumerate(answers)),
        )

    def _check(self, people: DataFrame) -> int:
        """Read the table, once, and tell who is not in the tree."""
        source, found = self.outside.source, None
        if source is not None:
            found = check_ids(source, self.outside.id)
        n_people = people.count()
        if found is None:
            return n_people
        if not n_people:
            raise InputError(
                f"{source.name}, id column {self.outside.id!r}",
                f"none of its {found:,} ids is in tree {self.tree.version} of "
                f"{self.warehouse.place}",
                "the ids that input.id had for the tree: "
                + ", ".join(repr(name) for name in self._some_ids()),
                "set crosstab.id to the column that holds them",
            )  # fmt: skip
        unknown = found - n_people
        self.figures[ROOT, "unknown"] = unknown
        if unknown:
            log.warning(
                "%s: %d of %d people are not in tree %d and are left out",
                source.name, unknown, found, self.tree.version,
            )  # fmt: skip
        return n_people

    def _some_ids(self) -> list[str]:
        rows = self.warehouse.read(ASSIGNMENTS, self.tree.version).select("row_id").head(3)
        return [row["row_id"] for row in rows]

    def _units(self, people: DataFrame, n_people: int) -> dict[str, int]:
        """Return how many units each stratum has, whether they answered anything or not."""
        options = self.options
        if options.strata is None and options.clusters is None:
            return {"": n_people}
        units = F.count(F.lit(1)) if options.clusters is None else F.count_distinct("unit")
        rows = people.groupBy("stratum").agg(
            F.count(F.lit(1)).alias("people"),
            F.count_if(F.col("unit").isNull()).alias("without"),
            units.alias("units"),
        )
        rows = sorted(rows.collect(), key=lambda row: row["stratum"] or "")
        n_without = sum(row["without"] for row in rows) if options.clusters else 0
        n_outside = sum(row["people"] for row in rows if row["stratum"] is None)
        for setting, name, n in (
            ("strata", options.strata, n_outside),
            ("clusters", options.clusters, n_without),
        ):
            if n:
                raise InputError(
                    f"{self.outside.name}, crosstab.{setting} column {name!r}",
                    f"{n:,} of {n_people:,} people have none", "one for everyone of the sample",
                    f"mend these rows, or leave crosstab.{setting} out",
                )  # fmt: skip
        lonely = [row["stratum"] for row in rows if row["units"] == 1]
        if lonely:
            log.warning(
                "%s: %d strata have a single unit, such as %r: its deviation from the mean over "
                "all stands for that from its stratum's",
                self.outside.name, len(lonely), lonely[0],
            )  # fmt: skip
        return {row["stratum"]: row["units"] for row in rows}

    # ---- what is asked

    def _ask(self, people: DataFrame, n_people: int, n_strata: int) -> dict[str, Asked]:
        """Decide what each column is; what cannot be asked is an error where it was named."""
        codebook = with_kinds(self.codebook, self.outside.fields)
        specs = [
            spec_of_field(
                name, self.outside.fields[name], codebook, self.prepare,
                untyped=self.outside.untyped,
            )
            for name in self.columns
        ]  # fmt: skip
        weight = ColumnSpec(_WEIGHT, NUMBER, "double")
        surveyed = _survey(people, [*specs, weight], n_people)
        sample = surveyed.sample()
        weights = numbers_of(sample[_WEIGHT].combine_chunks(), weight)
        marks = most_marks(len(self.paths), n_strata)
        most_values = self.prepare.max_ordinal_levels
        asked: dict[str, Asked] = {}
        for spec, profile in zip(specs, surveyed.profiles[:-1], strict=True):
            decision = decide(spec, profile, codebook, self.prepare)
            reason = left_out(self.outside.name, decision, self.options)
            if reason is not None:
                log.warning("%s: column %r is left out: %s", self.outside.name, spec.name, reason)
                continue
            numbers = np.empty(0)
            if decision.question.as_numbers:
                numbers = numbers_of(sample[spec.name].combine_chunks(), spec)
            asked[spec.name] = asked_of(
                decision.question, profile, Sampled(numbers, weights), marks, most_values
            )
        if not asked and self.outside.source is not None:
            raise InputError(
                self.outside.name, "has no column that can be asked",
                "numbers, or texts of a few levels",
                "the warnings say why; name other columns in crosstab.questions",
            )  # fmt: skip
        return asked

    def _plan(self, asked: dict[str, Asked], n_h: dict[str, int]) -> Plan:
        return Plan(
            tuple(asked.values()),
            pairs_of(asked, self.options),
            self.paths,
            tuple(n_h),
            tuple(float(n) for n in n_h.values()),
            self.options.clusters is not None,
            self.options.confidence,
        )

    # ---- what they say

    def _estimates(self, people: DataFrame, plan: Plan) -> pa.Table:
        """Count people into cells, and the cells of each question into estimates."""
        place = {name: i for i, name in enumerate(self.columns)}
        answers = [F.col(f"c{place[asked.question.column]}") for asked in plan.asked]
        counted = people.select(*PEOPLE, *answers).mapInArrow(
            lambda batches: tabulate(batches, plan), CELLS_DDL
        )
        cells = counted.groupBy(*KEYS).agg(*(F.sum(name).alias(name) for name in SUMS))

        def work(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:
            return estimate(key[0].as_py(), key[1].as_py(), table, plan)

        return cells.groupBy("pair", "by_level").applyInArrow(work, ESTIMATES_DDL).toArrow()

    def _save(self, rows: pa.Table, run_id: str) -> None:
        asked = {(row["question"], row["by_question"]) for row in _keys_of(rows)}
        within = " OR ".join(
            f"(question = {literal(question)} AND by_question = {literal(by)})"
            for question, by in sorted(asked)
        )
        frame = self.warehouse.spark.createDataFrame(rows).select(
            *ROWS.names,
            F.lit(self.options.confidence).alias("confidence"),
            F.lit(self.outside.name).alias("input_table"),
            F.lit(self.outside.version).alias("input_version"),
            F.lit(run_id).alias("run_id"),
        )
        self.warehouse.write_version(CROSSTABS, frame.coalesce(1), self.tree.version, f"({within})")


def _keys_of(rows: pa.Table) -> list[dict[str, str]]:
    return rows.group_by(["question", "by_question"]).aggregate([]).to_pylist()


def _survey(people: DataFrame, specs: Sequence[ColumnSpec], n_people: int) -> Surveyed:
    """Profile the columns, and sample people, as prepare does."""
    k = sample_size(len(specs))
    limit = threshold(n_people, k)
    answers = [f"c{i}" for i in range(len(specs) - 1)]

    def profile(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return profile_partition(batches, specs, k, limit)

    parts = people.select("row_id", *answers, "weight").mapInArrow(profile, PART_DDL)
    surveyed = Surveyed(specs, k)
    # profiles, and a sample of bounded size
    for row in parts.collect():
        surveyed.add(row["profiles"], row["sample"])
    return surveyed


def _material(kind: DataType) -> str:
    if isinstance(kind, (NumericType, BooleanType)):
        return NUMBER
    return TEXT if isinstance(kind, StringType) else UNSUPPORTED


def _read(name: str, material: str) -> Column:
    """Read a column as Arrow can carry it; of what is not supported, only whether it is there."""
    column = F.col(quoted(name))
    if material == UNSUPPORTED:
        return F.when(column.isNotNull(), F.lit(True))
    return column
