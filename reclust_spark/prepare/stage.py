"""`reclust prepare` on Spark: check, profile, learn, encode, write.

The source is read three times at most: its id column alone, then all of it for the profile and
the sample, then the columns that are used for the encoding.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NumericType, StringType

from reclust_spark.config import Config, config_hash
from reclust_spark.paths import ROOT
from reclust_spark.prepare.codebook import Codebook, read_codebook
from reclust_spark.prepare.kinds import decide
from reclust_spark.prepare.learn import Preparation, learn_preparation
from reclust_spark.prepare.maps import feature_rows, profile_rows, question_rows
from reclust_spark.prepare.partitions import (
    ENCODED_DDL,
    PART_DDL,
    Coder,
    Surveyed,
    encode_partition,
    profile_partition,
)
from reclust_spark.prepare.questions import reads_numbers
from reclust_spark.prepare.roles import Field, Roles, assign_roles
from reclust_spark.prepare.sample import sample_size, threshold
from reclust_spark.prepare.values import NUMBER, TEXT, UNSUPPORTED, ColumnSpec
from reclust_spark.prepare.weights import check_weight
from reclust_spark.warehouse import grouped
from reclust_spark.warehouse.identity import check_ids, quoted, row_id_of
from reclust_spark.warehouse.names import (
    FEATURE_MAP,
    FEATURES,
    OUTSIDE,
    PREPARED,
    PROFILE,
    QUESTION_MAP,
    Table,
)
from reclust_spark.warehouse.runs import Ledger, Outcome, Result, Step
from reclust_spark.warehouse.source import Source, open_source
from reclust_spark.warehouse.tables import Warehouse

STAGE = "prepare"
STEP_VERSION = 1

log = logging.getLogger(__name__)


def run(warehouse: Warehouse, config: Config, ledger: Ledger) -> Result:
    """Prepare the survey, or reuse what was prepared from the same input and settings.

    Parameters
    ----------
    warehouse : Warehouse
    config : Config
    ledger : Ledger

    Returns
    -------
    Result
        The prepare_version.

    Raises
    ------
    ConfigError
        If the codebook is no codebook.
    InputError
        If the table cannot be used as it is, before anything is written.
    """
    codebook = read_codebook(config.input.codebook)
    options = config.input
    source = open_source(warehouse.spark, options.path, options.format, "input.path")
    fields = [_field(field.name, field.dataType) for field in source.frame.schema]
    roles = assign_roles(
        source.name, fields, options, config.prepare, codebook, untyped=source.form == "csv"
    )
    settings = {
        "version": STEP_VERSION,
        "input": options.model_dump(exclude={"path", "format", "codebook"}),
        "source": [source.name, source.version],
        "codebook": codebook.model_dump(),
        "prepare": config.prepare.model_dump(),
    }
    step = Step(STAGE, PREPARED, source.name, source.version, config_hash(settings))

    def work(number: int) -> Outcome:
        return _Preparing(warehouse, config, source, codebook, roles).write(number)

    return ledger.run(step, work)


class _Preparing:
    """One preparation on its way."""

    def __init__(
        self,
        warehouse: Warehouse,
        config: Config,
        source: Source,
        codebook: Codebook,
        roles: Roles,
    ) -> None:
        self.warehouse, self.config, self.source = warehouse, config, source
        self.codebook, self.roles = codebook, roles
        self.seconds: dict[tuple[str, str], float] = {}

    def write(self, number: int) -> Outcome:
        """Make and write one version of the five tables."""
        if self.source.form == "csv":
            # parsing text is the dear part of a CSV: it is done once, and kept on disk
            self.source = self.source._replace(frame=_kept(self.source.frame))
        try:
            n_rows = self._timed("check_seconds", check_ids, self.source, self.roles.row_id)
            surveyed = self._timed("profile_seconds", self._survey, n_rows)
            preparation = self._learn(surveyed)
            self._write_maps(number, preparation, surveyed)
            self._timed("encode_seconds", self._encode, number, preparation, surveyed)
        finally:
            if self.source.form == "csv":
                self.source.frame.unpersist()
        tables = (PROFILE, QUESTION_MAP, FEATURE_MAP, FEATURES, OUTSIDE)
        return Outcome(n_rows, n_rows, tables, self.seconds)

    def _timed(self, name: str, work: Any, *given: Any) -> Any:
        started = time.monotonic()
        result = work(*given)
        self.seconds[ROOT, name] = time.monotonic() - started
        return result

    def _survey(self, n_rows: int) -> Surveyed:
        specs = self.roles.specs
        k = sample_size(len(specs))
        limit = threshold(n_rows, k)
        parts = _kept(
            self._columns(specs).mapInArrow(
                lambda batches: profile_partition(batches, specs, k, limit), PART_DDL
            )
        )
        try:
            parts.count()
            surveyed = Surveyed(specs, k)
            for row in parts.toLocalIterator():
                surveyed.add(row["profiles"], row["sample"])
        finally:
            parts.unpersist()
        return surveyed

    def _columns(self, specs: Sequence[ColumnSpec]) -> DataFrame:
        """Select row_id and columns by place: their names may hold anything, even each other."""
        frame = self.source.frame
        row_id = row_id_of(frame, self.roles.row_id).alias("row_id")
        columns = [_read(spec, frame.schema[spec.name].dataType) for spec in specs]
        named = [column.alias(f"c{i}") for i, column in enumerate(columns)]
        chosen = frame.select(row_id, *named)
        # a small table in one file would keep one core busy and all others idle
        cores = grouped.slots(self.warehouse.spark)
        return chosen.repartition(cores) if _n_partitions(chosen) < cores else chosen

    def _learn(self, surveyed: Surveyed) -> Preparation:
        roles, n = self.roles, len(self.roles.clustered)
        if roles.weight is not None:
            check_weight(roles.weight, surveyed.profiles[-1])
        return learn_preparation(
            roles.clustered,
            surveyed.profiles[:n],
            surveyed.sample(),
            self.codebook,
            self.config.prepare,
        )

    def _write_maps(self, number: int, preparation: Preparation, surveyed: Surveyed) -> None:
        first, roles = len(self.roles.clustered), self.roles
        profiles = surveyed.profiles[first : first + len(roles.outside)]
        aside = [
            decide(spec, profile, self.codebook, self.config.prepare)
            for spec, profile in zip(roles.outside, profiles, strict=True)
        ]
        names = [spec.name for spec in roles.outside]
        decisions = [*preparation.decisions, *aside]
        self._write_rows(PROFILE, profile_rows(decisions, surveyed.sample(), names), number)
        self._write_rows(QUESTION_MAP, question_rows(preparation.encoder), number)
        self._write_rows(FEATURE_MAP, feature_rows(preparation.encoder), number)

    def _write_rows(self, table: Table, rows: list[dict[str, Any]], number: int) -> None:
        self.warehouse.write_version(table, self.warehouse.local(table, rows), number)

    def _encode(self, number: int, preparation: Preparation, surveyed: Surveyed) -> None:
        coder = self._coder(preparation, surveyed)
        specs = {spec.name: spec for spec in self.roles.specs}
        columns = self._columns([specs[name] for name in coder.columns])
        encoded = columns.mapInArrow(lambda batches: encode_partition(batches, coder), ENCODED_DDL)
        if not coder.aside:
            self._write_rows(OUTSIDE, [], number)
            self.warehouse.write_version(FEATURES, encoded.drop("aside"), number)
            return
        encoded = _kept(encoded)
        self.warehouse.write_version(FEATURES, encoded.drop("aside"), number)
        answers = encoded.select("row_id", F.explode("aside").alias("it"))
        self.warehouse.write_version(OUTSIDE, answers.select("row_id", "it.*"), number)
        encoded.unpersist()

    def _coder(self, preparation: Preparation, surveyed: Surveyed) -> Coder:
        roles, first = self.roles, len(self.roles.clustered)
        numbers = tuple(
            reads_numbers(spec, surveyed.profiles[first + i].n_unparsed)
            for i, spec in enumerate(roles.outside)
        )
        aside = tuple(roles.outside)
        return Coder(preparation.encoder, preparation.pool, roles.weight, aside, numbers)


def _field(name: str, kind: DataType) -> Field:
    return Field(name, _material(kind), kind.simpleString())


def _material(kind: DataType) -> str:
    if isinstance(kind, (NumericType, BooleanType)):
        return NUMBER
    return TEXT if isinstance(kind, StringType) else UNSUPPORTED


def _kept(frame: DataFrame) -> DataFrame:
    return frame.persist(StorageLevel.DISK_ONLY)


def _n_partitions(frame: DataFrame) -> int:
    return int(frame._jdf.queryExecution().toRdd().getNumPartitions())


def _read(spec: ColumnSpec, kind: DataType) -> Column:
    """Read a column as Arrow can carry it; of what is not supported, only whether it is there."""
    column = F.col(quoted(spec.name))
    if spec.material == UNSUPPORTED:
        return F.when(column.isNotNull(), F.lit(True))
    return column if _material(kind) == spec.material else column.cast("string")
