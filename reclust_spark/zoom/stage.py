"""`reclust zoom` on Spark: waves of nodes over the features table, staged, resumed, then written.

A wave is every open node of a level, each a task of its own, the largest first; nodes up to
``zoom.inline_rows`` are finished to their leaves inside it. A wave's rows go to a staging table in
one commit, so a killed run goes on after its last complete wave.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from reclust_spark.config import Config, ZoomOptions, config_hash
from reclust_spark.paths import ROOT
from reclust_spark.warehouse import grouped
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    EMBEDDINGS,
    FEATURES,
    NODES,
    PREPARED,
    TREE,
    Table,
)
from reclust_spark.warehouse.runs import Ledger, Outcome, Result, Step, latest_version, require
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom.node import Rows
from reclust_spark.zoom.records import MAPPED, NODE, OPEN, PLACED, STAGED_DDL, to_nodes, to_table
from reclust_spark.zoom.tables import node_rows
from reclust_spark.zoom.tree import Node, grow, root_of, unseen_root

STAGE = "zoom"
STEP_VERSION = 1
NOT_IN_RESULT = {"inline_rows"}
"""Options that change how the work is cut and never what comes out."""

log = logging.getLogger(__name__)


class Progress(NamedTuple):
    """How far a zoom is.

    Attributes
    ----------
    wave : int
    nodes_done, nodes_open : int
    rows_placed, rows : int
        People with a final place, of all.
    """

    wave: int
    nodes_done: int
    nodes_open: int
    rows_placed: int
    rows: int


def run(
    warehouse: Warehouse,
    config: Config,
    ledger: Ledger,
    prepared: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """Build the tree on the newest features, or reuse the one that they already have.

    Parameters
    ----------
    warehouse : Warehouse
    config : Config
    ledger : Ledger
    prepared : int, optional
        The prepare_version to build on; the newest complete one by default.
    on_progress : callable
        Called after each wave.

    Returns
    -------
    Result
        The tree_version.

    Raises
    ------
    InputError
        If nothing has been prepared.
    """
    if prepared is None:
        prepared = latest_version(warehouse, "prepare", PREPARED)
    prepared = require(prepared, f"warehouse {warehouse.place}", "reclust prepare")
    settings = config.zoom.model_dump(exclude=NOT_IN_RESULT)
    upstream = ledger.fingerprint("prepare", PREPARED, prepared)
    fingerprint = config_hash({"version": STEP_VERSION, "zoom": settings, "prepare": upstream})
    step = Step(STAGE, TREE, FEATURES.name, str(prepared), fingerprint, prepared)

    staging = f"_staging_zoom_{fingerprint[:16]}"

    def work(number: int) -> Outcome:
        return _Zoom(warehouse, config.zoom, prepared, staging, on_progress).build(number)

    result = ledger.run(step, work)
    # not before the manifest has the tree: until then a new run starts from what is staged
    warehouse.drop(staging)
    return result


class _Zoom:
    """One tree under construction."""

    def __init__(
        self,
        warehouse: Warehouse,
        options: ZoomOptions,
        prepared: int,
        staging: str,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.warehouse, self.options = warehouse, options
        self.staging, self.on_progress = staging, on_progress
        self.features = warehouse.read(FEATURES, prepared).select("row_id", "weight", "features")
        self.population = self.features.count()

    def build(self, number: int) -> Outcome:
        """Run what waves are missing, then split the staged rows into the tree's tables."""
        waves, nodes = self._resume()
        while frontier := _open(nodes):
            log.info("wave %d: %d nodes open", waves, len(frontier))
            self._wave(waves, frontier)
            nodes |= self._staged_nodes(waves)
            waves += 1
            self._report(waves, nodes)
        self._write(number, nodes)
        tables = (NODES, ASSIGNMENTS, EMBEDDINGS)
        return Outcome(self.population, self.population, tables, self._seconds())

    def _resume(self) -> tuple[int, dict[str, Node]]:
        """Return the number of complete waves and the nodes that they left."""
        top = None
        if self.warehouse.exists(self.staging):
            top = self.warehouse.read_named(self.staging).agg(F.max("wave")).first()[0]
        if top is None:
            return 0, {ROOT: unseen_root(self.population, self.options)}
        log.info("going on after wave %d of a run that was stopped", top)
        return int(top) + 1, self._staged_nodes()

    def _wave(self, wave: int, frontier: list[Node]) -> None:
        """Fit the open nodes and stage what they give, as one action."""
        options, population = self.options, self.population

        def fit(rank: int, table: pa.Table) -> pa.Table:
            from reclust_spark.zoom.warm import enable_compile_cache

            enable_compile_cache()
            order = grouped.order_by(table["row_id"])
            rows = Rows(
                table["row_id"].to_numpy()[order],
                grouped.matrix(table["features"], order),
                table["weight"].to_numpy()[order],
            )
            node = frontier[rank]
            if node.path == ROOT:
                node = root_of(rows, options)
            strength = table["strength"].to_numpy()[order].astype(np.float64)
            return to_table(grow(node, rows, strength, population, options))

        people = self._people(wave, frontier)
        schema = StructType.fromDDL(STAGED_DDL)
        grown = grouped.map_groups(people, len(frontier), fit, schema)
        self.warehouse.append_staged(self.staging, grown.withColumn("wave", F.lit(wave)), wave)

    def _people(self, wave: int, frontier: list[Node]) -> DataFrame:
        """Return the features of everyone at an open node, with the node's rank."""
        if frontier[0].path == ROOT:
            nothing = F.lit(None).cast("double").alias("strength")
            return self.features.select("*", nothing, F.lit(0).alias(grouped.RANK))
        ranks = {node.path: rank for rank, node in enumerate(frontier)}
        rank_of = F.create_map(*(F.lit(x) for pair in ranks.items() for x in pair))
        staged = self.warehouse.read_named(self.staging)
        at = staged.where((F.col("wave") == wave - 1) & (F.col("tag") == OPEN))
        tagged = at.select("row_id", "strength", rank_of[F.col("path")].alias(grouped.RANK))
        return self.features.join(tagged, "row_id")

    def _staged_nodes(self, wave: int | None = None) -> dict[str, Node]:
        staged = self.warehouse.read_named(self.staging).where(F.col("tag") == NODE)
        if wave is not None:
            staged = staged.where(F.col("wave") == wave)
        rows = staged.select("wave", *Node._fields).collect()
        return to_nodes(row.asDict() for row in sorted(rows, key=lambda row: row["wave"]))

    def _write(self, number: int, nodes: dict[str, Node]) -> None:
        rows = node_rows(nodes.values())
        self.warehouse.write_version(NODES, self.warehouse.local(NODES, rows), number)
        staged = self.warehouse.read_named(self.staging)
        for table, tag in ((ASSIGNMENTS, PLACED), (EMBEDDINGS, MAPPED)):
            rows = staged.where(F.col("tag") == tag).select(*_columns(table))
            # sorted by path, a file holds few clusters and `path LIKE '/003/%'` skips the others
            self.warehouse.write_version(table, rows.sort("path", "row_id"), number)

    def _seconds(self) -> dict[tuple[str, str], float]:
        staged = self.warehouse.read_named(self.staging).where(F.col("seconds").isNotNull())
        rows = staged.select("path", "seconds").collect()
        return {(row["path"], "fit_seconds"): row["seconds"] for row in rows}

    def _report(self, wave: int, nodes: dict[str, Node]) -> None:
        still_open = _open(nodes)
        waiting = sum(node.n_rows for node in still_open)
        done = len(nodes) - len(still_open)
        placed = self.population - waiting
        self.on_progress(Progress(wave, done, len(still_open), placed, self.population))


def _open(nodes: dict[str, Node]) -> list[Node]:
    """Return the nodes that wait for a fit, the largest first."""
    waiting = [node for node in nodes.values() if node.engine is None and node.stop_reason is None]
    return sorted(waiting, key=lambda node: (-node.n_rows, node.path))


def _columns(table: Table) -> list[str]:
    return [name for name in table.columns if name != table.version]


def read_tree(warehouse: Warehouse, number: int) -> list[dict[str, object]]:
    """Return the nodes of a tree, in the order of their paths.

    Parameters
    ----------
    warehouse : Warehouse
    number : int
        The tree_version.

    Returns
    -------
    list of dict
        The columns of the nodes table.
    """
    return [row.asDict() for row in warehouse.read(NODES, number).sort("path").collect()]
