"""The manifest: which step made which version, from what, and how it ended.

A step's result counts only once its row is in `runs`, written last. A step whose input, settings,
upstream settings and STEP_VERSION are unchanged reuses its version and writes nothing but that row.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pyspark.sql import Row
from pyspark.sql import functions as F

from reclust_spark import __version__
from reclust_spark.config import Config, config_hash
from reclust_spark.errors import InputError
from reclust_spark.warehouse.names import GMVAE, METRICS, PREPARED, RUNS, TREE, Table
from reclust_spark.warehouse.tables import Warehouse

SECRET = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)
"""What Spark itself hides (spark.redaction.regex)."""

COMPLETE, REUSED, FAILED = "complete", "reused", "failed"


@dataclass(frozen=True)
class Step:
    """What identifies a step's result.

    Attributes
    ----------
    stage : str
        ``prepare``, ``zoom`` …
    version_column : str
        ``prepare_version``, ``gmvae_version`` or ``tree_version``.
    input_table, input_version : str
        What it reads.
    fingerprint : str
        A hash of all that decides the result: input version, settings, STEP_VERSION.
    prepare_version : int or None
        The version of the features a model or a tree is built on.
    version : int or None
        The version that the step's rows belong to where it makes none of its own: a tree's.
    gmvae_version : int or None
        The version of the GMVAE whose clusters are a tree's first.
    """

    stage: str
    version_column: str
    input_table: str
    input_version: str
    fingerprint: str
    prepare_version: int | None = None
    version: int | None = None
    gmvae_version: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a step did.

    Attributes
    ----------
    rows_in, rows_out : int
    tables : tuple of Table
        The tables that it wrote, for the manifest.
    metrics : dict of (path, name) to float
        Figures of the run: seconds, counts.
    """

    rows_in: int
    rows_out: int
    tables: tuple[Table, ...] = ()
    metrics: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The version of a step that holds now, and whether it was there already."""

    version: int
    reused: bool


class Ledger:
    """Reads and writes the manifest for one run.

    Parameters
    ----------
    warehouse : Warehouse
    config : Config
        Stored, resolved, with every row.
    run_id : str, optional
        Shared by the steps of one command.
    """

    def __init__(self, warehouse: Warehouse, config: Config, run_id: str | None = None) -> None:
        self.warehouse = warehouse
        self.config = config
        self.run_id = run_id or uuid.uuid4().hex
        self._rows: list[Row] | None = None

    def fingerprint(self, stage: str, version_column: str, number: int) -> str:
        """Return what a version was made from."""
        return str(self._last(stage, version_column, number)["step_hash"])

    def rows_out(self, stage: str, version_column: str, number: int) -> int:
        """Return how many people a version has."""
        return int(self._last(stage, version_column, number)["rows_out"])

    def run_ids(self, stage: str, version_column: str, number: int) -> list[str]:
        """Return the complete runs of a stage that belong to a version, of itself or upstream."""
        rows = self._complete(stage)
        return [row["run_id"] for row in rows if row[version_column] == number]

    def run(self, step: Step, work: Callable[[int], Outcome], *, again: bool = False) -> Result:
        """Reuse a step's version, or make the next one.

        Parameters
        ----------
        step : Step
        work : callable
            Given the version to write, writes it. A version that an earlier run left without a
            manifest row is given again, so that its half-written tables are replaced.
        again : bool
            Nothing is reused: what the step has made is gone.

        Returns
        -------
        Result
        """
        started = datetime.now(UTC)
        known = None if again else self._made_from(step)
        if known is not None:
            self._record(step, known, REUSED, started)
            return Result(known, reused=True)
        number = self._next(step)
        try:
            outcome = work(number)
        except Exception as error:
            self._record(step, None, FAILED, started, error=str(error))
            raise
        self._write_metrics(step, outcome.metrics)
        self._record(step, number, COMPLETE, started, outcome=outcome)
        return Result(number, reused=False)

    def _complete(self, stage: str) -> list[Row]:
        """Return a stage's complete runs; the manifest is read once between two writes."""
        if self._rows is None:
            there = self.warehouse.exists(RUNS.name)
            rows = self.warehouse.read(RUNS).drop("config", "error") if there else None
            self._rows = [] if rows is None else rows.where(F.col("status") == COMPLETE).collect()
        return [row for row in self._rows if row["stage"] == stage]

    def _last(self, stage: str, version_column: str, number: int) -> Row:
        rows = [row for row in self._complete(stage) if row[version_column] == number]
        return max(rows, key=_finished)

    def _made_from(self, step: Step) -> int | None:
        rows = self._complete(step.stage)
        if step.version is not None:
            # its rows replace those of an earlier run in place: only the last run's are there
            wanted = {
                step.version_column: step.version,
                "input_table": step.input_table,
                "input_version": step.input_version,
            }
            rows = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
            last = max(rows, key=_finished, default=None)
            is_last = last is not None and last["step_hash"] == step.fingerprint
            return step.version if is_last else None
        made = [row for row in rows if row["step_hash"] == step.fingerprint]
        return max((int(row[step.version_column]) for row in made), default=None)

    def _next(self, step: Step) -> int:
        if step.version is not None:
            return step.version
        known = (int(row[step.version_column]) for row in self._complete(step.stage))
        return max(known, default=0) + 1

    def _write_metrics(self, step: Step, figures: Mapping[tuple[str, str], float]) -> None:
        if not figures:
            return
        whole = {"run_id": self.run_id, "stage": step.stage}
        rows = [
            whole | {"path": path, "name": name, "value": float(value)}
            for (path, name), value in figures.items()
        ]
        self.warehouse.append(METRICS, self.warehouse.local(METRICS, rows))

    def _record(
        self,
        step: Step,
        number: int | None,
        status: str,
        started: datetime,
        outcome: Outcome | None = None,
        error: str | None = None,
    ) -> None:
        settings = _without_secrets(self.config.model_dump(mode="json"))
        tables = outcome.tables if outcome else ()
        row: dict[str, Any] = {
            "run_id": self.run_id,
            "stage": step.stage,
            "status": status,
            "started_at": started,
            "finished_at": datetime.now(UTC),
            "input_table": step.input_table,
            "input_version": step.input_version,
            PREPARED: step.prepare_version,
            GMVAE: step.gmvae_version,
            TREE: None,
            step.version_column: number,
            "output_versions": json.dumps(
                {table.name: self.warehouse.delta_version(table) for table in tables}
            ),
            "step_hash": step.fingerprint,
            "config_hash": config_hash(settings),
            "config": json.dumps(settings, sort_keys=True),
            "code_version": __version__,
            "rows_in": outcome.rows_in if outcome else None,
            "rows_out": outcome.rows_out if outcome else None,
            "error": error,
        }
        self._rows = None
        self.warehouse.append(RUNS, self.warehouse.local(RUNS, [row]))


def _finished(row: Row) -> datetime:
    return row["finished_at"]


def _without_secrets(settings: dict[str, Any]) -> dict[str, Any]:
    """Hide the values of Spark's properties that its own pages would hide: keys, passwords."""
    conf = settings["spark"]["conf"]
    hidden = {key: "(hidden)" if SECRET.search(key) else value for key, value in conf.items()}
    return settings | {"spark": settings["spark"] | {"conf": hidden}}


def latest_version(
    warehouse: Warehouse, stage: str, version_column: str, prepared: int | None = None
) -> int | None:
    """Return the version that a stage completed or reused last, or None.

    Parameters
    ----------
    warehouse : Warehouse
    stage, version_column : str
    prepared : int, optional
        Only versions that were built on this prepare_version.
    """
    if not warehouse.exists(RUNS.name):
        return None
    rows = warehouse.read(RUNS).where(
        (F.col("stage") == stage) & F.col("status").isin(COMPLETE, REUSED)
    )
    if prepared is not None:
        rows = rows.where(F.col(PREPARED) == prepared)
    row = rows.orderBy(F.desc("finished_at")).first()
    return None if row is None else int(row[version_column])


class Tree(NamedTuple):
    """A complete tree.

    Attributes
    ----------
    version, prepare_version : int
        Of the tree, and of the features that it is built on.
    """

    version: int
    prepare_version: int


def choose_prepared(warehouse: Warehouse, wanted: int | None) -> int:
    """Return the prepare_version that is wanted; the newest complete one by default.

    Raises
    ------
    InputError
        If nothing has been prepared.
    """
    if wanted is None:
        wanted = latest_version(warehouse, "prepare", PREPARED)
    return require(wanted, f"warehouse {warehouse.place}", "reclust prepare")


def choose_tree(warehouse: Warehouse, wanted: int | None) -> Tree:
    """Return the tree that a setting names, or the newest.

    Parameters
    ----------
    warehouse : Warehouse
    wanted : int or None
        ``tree_version``; None: the tree that was completed or reused last.

    Returns
    -------
    Tree

    Raises
    ------
    InputError
        If there is no such tree, or none at all.
    """
    newest = latest_version(warehouse, "zoom", TREE)
    number = require(newest, f"warehouse {warehouse.place}", "reclust run")
    rows = warehouse.read(RUNS).where((F.col("stage") == "zoom") & (F.col("status") == COMPLETE))
    made = {row[TREE]: row[PREPARED] for row in rows.select(TREE, PREPARED).collect()}
    number = number if wanted is None else wanted
    if number not in made:
        raise InputError(
            "setting tree_version", f"there is no complete tree {number} in {warehouse.place}",
            ", ".join(str(version) for version in sorted(made)),
            "set one of these, or leave tree_version out for the newest",
        )  # fmt: skip
    return Tree(number, made[number])


def output_versions(warehouse: Warehouse, stage: str, tree: int) -> dict[str, int] | None:
    """Return the Delta version of each table as a stage left it, None where it has not run.

    Reading a tree's rows at these versions is safe while, or after, another run replaces them.

    Parameters
    ----------
    warehouse : Warehouse
    stage : str
    tree : int
        The tree_version.
    """
    rows = warehouse.read(RUNS).where(
        (F.col("stage") == stage) & (F.col("status") == COMPLETE) & (F.col(TREE) == tree)
    )
    row = rows.orderBy(F.desc("finished_at")).first()
    return None if row is None else json.loads(row["output_versions"])


def require(number: int | None, where: str, command: str) -> int:
    """Return a version, or say which step has to run first.

    Raises
    ------
    InputError
        If there is none.
    """
    if number is None:
        raise InputError(
            where, "no complete version is there", "a warehouse in which that step has run",
            f"run `{command}` first",
        )  # fmt: skip
    return number
