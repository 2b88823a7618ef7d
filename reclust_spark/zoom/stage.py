"""`reclust zoom` on Spark: waves of nodes over the features table, staged, resumed, then written.

A wave is every open node of a level, each a task of its own, the largest first; nodes up to
``zoom.inline_rows``, and those that are a small part of their wave, are finished to their leaves
inside it. Nodes above ``zoom.max_fit_rows`` are split beside them by samples (`large`). A wave's
rows go to a staging table, so a killed run goes on after what is staged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from reclust_spark.config import Config, config_hash
from reclust_spark.errors import RunError
from reclust_spark.paths import ROOT
from reclust_spark.warehouse import grouped
from reclust_spark.warehouse.columns import exact_sum, literal_map
from reclust_spark.warehouse.lists import matrix, order_by
from reclust_spark.warehouse.memory import task_memory
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    EMBEDDINGS,
    FEATURES,
    GMVAE,
    LATENTS,
    METRICS,
    NODES,
    PREPARED,
    TRAIN_GMVAE,
    TREE,
    Table,
)
from reclust_spark.warehouse.runs import (
    Ledger,
    Outcome,
    Result,
    Step,
    choose_prepared,
    latest_version,
    require,
)
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom.clock import Clock
from reclust_spark.zoom.cost import (
    BY_ROWS,
    OF_FIT,
    USUAL_CHILDREN,
    Cost,
    Fit,
    Outlook,
    fits_in,
    learn_cost,
    makespan,
    seconds_left,
)
from reclust_spark.zoom.large import Choose, LargeNodes, staged_by_large
from reclust_spark.zoom.latent import (
    GMVAE_ENGINE,
    Latents,
    Standing,
    describe_root,
    in_sample,
    latents_of,
    place,
    split_latents,
    standing,
)
from reclust_spark.zoom.memory import FEWEST_ROWS, fit_bytes, rows_that_fit
from reclust_spark.zoom.node import Rows
from reclust_spark.zoom.records import (
    FIGURE,
    MAPPED,
    NODE,
    OPEN,
    PLACED,
    STAGED_DDL,
    figures_table,
    nodes_table,
    people_table,
    to_nodes,
    to_table,
)
from reclust_spark.zoom.tables import BY_MODEL, node_rows
from reclust_spark.zoom.tree import (
    UMAP_HDBSCAN,
    Engine,
    Node,
    given_cluster_size,
    grow,
    inline_rows_in,
    root_of,
    stop_before_fit,
    unseen_root,
)

STAGE = "zoom"
STEP_VERSION = 5
NOT_IN_RESULT = {"inline_rows", "engine", "task_memory"}
"""Options that change how the work is cut and never what comes out, or that count elsewhere. A
node that is sampled for want of memory says so in `nodes.n_fit`; its tree is as good as any."""

log = logging.getLogger(__name__)

Figures = dict[tuple[str, str], float]
"""By path and name."""


class Progress(NamedTuple):
    """How far a zoom is.

    Attributes
    ----------
    wave : int
    nodes_done, nodes_open : int
    rows_placed, rows : int
        People with a final place, of all.
    seconds_left : float or None
        About; None before enough fits have been timed.
    """

    wave: int
    nodes_done: int
    nodes_open: int
    rows_placed: int
    rows: int
    seconds_left: float | None


def run(
    warehouse: Warehouse,
    config: Config,
    ledger: Ledger,
    prepared: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    gmvae: int | None = None,
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
    gmvae : int, optional
        The gmvae_version that splits the root under `zoom.engine: gmvae`; by default the newest
        of that prepare_version.

    Returns
    -------
    Result
        The tree_version.

    Raises
    ------
    InputError
        If nothing has been prepared, or no GMVAE trained that is to split the root.
    """
    prepared = choose_prepared(warehouse, prepared)
    settings = config.zoom.model_dump(exclude=NOT_IN_RESULT)
    upstream = ledger.fingerprint("prepare", PREPARED, prepared)
    identity = {"version": STEP_VERSION, "zoom": settings, "prepare": upstream}
    if config.zoom.engine == GMVAE_ENGINE:
        if gmvae is None:
            gmvae = latest_version(warehouse, TRAIN_GMVAE, GMVAE, prepared)
        place = f"warehouse {warehouse.place}, {PREPARED} {prepared}"
        gmvae = require(gmvae, place, f"reclust {TRAIN_GMVAE}")
        trained = ledger.fingerprint(TRAIN_GMVAE, GMVAE, gmvae)
        identity |= {"gmvae": trained, "cluster_by": config.gmvae.cluster_by}
    fingerprint = config_hash(identity)
    step = Step(
        STAGE, TREE, FEATURES.name, str(prepared), fingerprint, prepared, gmvae_version=gmvae
    )

    staging = f"_staging_zoom_{fingerprint[:16]}"

    def work(number: int) -> Outcome:
        population = ledger.rows_out("prepare", PREPARED, prepared)
        earlier = ledger.run_ids(STAGE, PREPARED, prepared)
        zoom = _Zoom(warehouse, config, population, prepared, gmvae, staging, earlier, on_progress)
        return zoom.build(number)

    result = ledger.run(step, work)
    # not before the manifest has the tree: until then a new run starts from what is staged
    for name in (staging, *staged_by_large(staging)):
        warehouse.drop(name)
    return result


class _Zoom:
    """One tree under construction."""

    def __init__(
        self,
        warehouse: Warehouse,
        config: Config,
        population: int,
        prepared: int,
        gmvae: int | None,
        staging: str,
        earlier_runs: list[str],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.warehouse, self.options = warehouse, config.zoom
        self.cluster_by = config.gmvae.cluster_by
        self.latents = None if gmvae is None else warehouse.read(LATENTS, gmvae)
        self.staging, self.on_progress = staging, on_progress
        self.features = warehouse.read(FEATURES, prepared).select("row_id", "weight", "features")
        self.population = population
        self.earlier_runs = earlier_runs
        self.clock = Clock()
        self.figures: Figures = {}
        self.cost: Cost | None = None
        self.max_fit_rows = min(self.options.max_fit_rows, self._rows_that_fit())
        sampled = self.options.model_copy(update={"max_fit_rows": self.max_fit_rows})
        self.large = LargeNodes(warehouse, sampled, population, self._people, staging)

    @cached_property
    def width(self) -> int:
        """Features a person."""
        return len(self.features.select("features").first()[0])

    def build(self, number: int) -> Outcome:
        """Run what waves are missing, then split the staged rows into the tree's tables."""
        with ThreadPoolExecutor(1) as beside:
            # what earlier fits cost is not needed before the first wave is done
            asked = beside.submit(self._earlier_fits)
            waves, nodes = self._resume()
            self.cost = learn_cost(fits_in(self.figures))
            while frontier := _open(nodes):
                log.info("wave %d: %d nodes open", waves, len(frontier))
                with self.clock.time(f"wave_{waves}"):
                    if self._has_given_clusters(frontier[0]):
                        self._place_at_root()
                    else:
                        self._wave(waves, frontier)
                    born, figures = self._staged(waves)
                nodes |= born
                self.figures |= figures
                self.cost = learn_cost(asked.result() + fits_in(self.figures))
                self._report(waves, nodes, figures)
                waves += 1
        with self.clock.time("write"):
            self._write(number, nodes)
        tables = (NODES, ASSIGNMENTS, EMBEDDINGS)
        return Outcome(self.population, self.population, tables, self._seconds())

    def _earlier_fits(self) -> list[Fit]:
        """Return the fits of earlier trees on these features, as the metrics table has them."""
        if not self.earlier_runs:
            return []
        is_wanted = F.col("run_id").isin(self.earlier_runs) & (F.col("stage") == STAGE)
        is_of_fit = F.col("name").rlike(OF_FIT)
        rows = self.warehouse.read(METRICS).where(is_wanted & is_of_fit).collect()
        return fits_in({(row["run_id"] + row["path"], row["name"]): row["value"] for row in rows})

    def _resume(self) -> tuple[int, dict[str, Node]]:
        """Return the number of complete waves and the nodes that they left."""
        top = None
        if self.warehouse.exists(self.staging):
            top = self.warehouse.read_named(self.staging).agg(F.max("wave")).first()[0]
        if top is None:
            return 0, {ROOT: unseen_root(self.population, self.options)}
        log.info("going on after wave %d of a run that was stopped", top)
        nodes, self.figures = self._staged()
        return int(top) + 1, nodes

    def _wave(self, wave: int, frontier: list[Node]) -> None:
        """Split the open nodes, those too large for a task beside the others."""
        large = [node for node in frontier if self._is_large(node)]
        others = [node for node in frontier if not self._is_large(node)]
        context = self.warehouse.spark.sparkContext

        def work(split: Callable[[int, list[Node]], None], nodes: list[Node]) -> None:
            # a pool of their own: neither waits until the other has no task left to start
            context.setLocalProperty("spark.scheduler.pool", split.__name__)
            split(wave, nodes)

        with ThreadPoolExecutor(2) as beside:
            parts = [(self._split_large, large), (self._fit, others)]
            for done in [beside.submit(work, split, nodes) for split, nodes in parts if nodes]:
                done.result()

    def _is_large(self, node: Node) -> bool:
        is_by_latents = self.latents is not None and node.path == ROOT
        return node.n_rows > self.max_fit_rows and not is_by_latents

    def _rows_that_fit(self) -> int:
        """Return how many people a task can fit in the memory there is.

        Raises
        ------
        RunError
            If there is not enough for a sample.
        """
        given = self.options.task_memory
        memory = task_memory(self.warehouse.spark) if given is None else given * 2**20
        if memory is None:
            return self.options.max_fit_rows
        width = self.width
        rows = rows_that_fit(memory, width, self.options)
        wanted = min(self.population, self.options.max_fit_rows)
        if rows >= wanted:
            return rows
        mebibytes = [
            fit_bytes(n_rows, width, self.options) >> 20 for n_rows in (wanted, FEWEST_ROWS)
        ]
        remedy = "fewer slots a machine, or more memory (or zoom.task_memory, if it is there)"
        if rows < FEWEST_ROWS:
            raise RunError(
                f"step {STAGE}", f"a task has {memory >> 20:,} MiB",
                f"{mebibytes[1]:,} MiB for {FEWEST_ROWS:,} people of {width:,} features", remedy,
            )  # fmt: skip
        log.warning(
            "a task has %s MiB, and a node of %s people would take %s: nodes above %s people are "
            "split by samples; to fit more of them whole, give %s",
            f"{memory >> 20:,}", f"{wanted:,}", f"{mebibytes[0]:,}", f"{rows:,}", remedy,
        )  # fmt: skip
        return rows

    def _split_large(self, wave: int, nodes: list[Node]) -> None:
        rows = self.large.split(nodes, wave).withColumn("wave", F.lit(wave))
        self.warehouse.append_staged(self.staging, rows, wave, "_large")

    def _fit(self, wave: int, frontier: list[Node]) -> None:
        """Fit the open nodes and stage what they give, as one action."""
        options, population = self.options, self.population
        by_latents = self.latents is not None and frontier[0].path == ROOT
        threads = grouped.threads_of(self.warehouse.spark, len(frontier))
        slots = grouped.slots(self.warehouse.spark)
        sizes = [node.n_rows for node in frontier]
        cost = self.cost or BY_ROWS
        inline_rows = inline_rows_in(sizes, [cost.seconds(n) for n in sizes], slots, options)

        def fit(rank: int, table: pa.Table) -> pa.Table:
            order = order_by(table["row_id"])
            rows = Rows(
                table["row_id"].to_numpy()[order],
                matrix(table["features"], order),
                table["weight"].to_numpy()[order],
            )
            node = frontier[rank]
            if node.path == ROOT:
                node = root_of(rows, options)
            strength = table["strength"].to_numpy()[order].astype(np.float64)
            engine = UMAP_HDBSCAN
            if by_latents:
                z = matrix(table["z"], order)
                engine = Engine(GMVAE_ENGINE, partial(split_latents, z=z))
            inside = options.model_copy(update={"inline_rows": inline_rows[rank]})
            by_model = pc.equal(table["assigned_by"], BY_MODEL).fill_null(False).to_numpy()[order]
            grown = grow(node, rows, strength, population, inside, engine, threads, by_model)
            return to_table(grown)

        people = self._people(frontier)
        schema = StructType.fromDDL(STAGED_DDL)
        grown = grouped.map_groups(people, len(frontier), fit, schema)
        self.warehouse.append_staged(self.staging, grown.withColumn("wave", F.lit(wave)), wave)

    def _has_given_clusters(self, node: Node) -> bool:
        """Tell whether a node is a root whose clusters are those of a GMVAE."""
        if node.path != ROOT or self.latents is None or self.cluster_by != "argmax":
            return False
        return stop_before_fit(ROOT, self.population, self.population, self.options) is None

    def _place_at_root(self) -> None:
        """Stage the first wave from the latents, row by row: no worker holds the population."""
        started = time.perf_counter()
        stands = standing(
            self._sizes, given_cluster_size(ROOT, self.population, self.population, self.options)
        )
        sample, features = self._sample(stands)
        weights = self._weights(stands)
        nodes, plane = describe_root(
            sample, features, stands, weights, self.population, self.options
        )

        def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                placed = place(latents_of(batch), stands, plane, nodes)
                yield from people_table(placed).to_batches()

        schema = StructType.fromDDL(STAGED_DDL)
        people = self.latents.mapInArrow(stage, schema)
        seconds = {(ROOT, "fit_seconds"): time.perf_counter() - started}
        local = pa.concat_tables([nodes_table(nodes), figures_table(seconds)])
        born = self.warehouse.spark.createDataFrame(local, schema)
        staged = people.unionByName(born).withColumn("wave", F.lit(0))
        self.warehouse.append_staged(self.staging, staged, 0)

    def _sizes(self, dissolved: list[int]) -> dict[int, int]:
        """Return how many people each of the GMVAE's clusters has that is not dissolved."""
        chosen = self.latents.groupBy(_first_of(F.col("clusters"), dissolved).alias("cluster"))
        rows = chosen.count().collect()
        return {row["cluster"]: row["count"] for row in rows if row["cluster"] is not None}

    def _weights(self, stands: Standing) -> tuple[float, list[float]]:
        """Return the sums of everyone's weights, and of each child's."""
        clusters = stands.clusters.tolist()
        chosen = F.get(F.filter("clusters", lambda one: one.isin(clusters)), 0)
        sums = self.latents.groupBy(chosen.alias("cluster")).agg(
            exact_sum("weight").alias("weight")
        )
        rows = sums.collect()
        of = {row["cluster"]: row["weight"] for row in rows}
        return float(sum(of.values())), [float(of[cluster]) for cluster in clusters]

    def _sample(self, stands: Standing) -> tuple[Latents, np.ndarray]:
        """Return the latents and features of the people that stand for all, sorted by row_id."""
        population, width = self.population, self.width

        def choose(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                chosen = in_sample(latents_of(batch), stands, population, width)[1]
                yield batch.filter(pa.array(chosen))

        latents = self.latents.drop(GMVAE)
        sample = latents.mapInArrow(choose, latents.schema)
        rows = sample.join(self.features.select("row_id", "features"), "row_id").toArrow()
        order = order_by(rows["row_id"])
        return latents_of(rows.take(order)), matrix(rows["features"], order)

    def _people(self, frontier: list[Node], choose: Choose = lambda people: people) -> DataFrame:
        """Return the features of everyone at an open node, and the node's rank in the list.

        `choose` may leave people out, or add columns; it sees their row_id and rank.
        """
        if frontier[0].path == ROOT:
            nothing = [
                F.lit(None).cast("double").alias("strength"),
                F.lit(None).cast("string").alias("assigned_by"),
            ]
            everyone = choose(self.features.select("*", *nothing, F.lit(0).alias(grouped.RANK)))
            if self.latents is None:
                return everyone
            return everyone.join(self.latents.select("row_id", "z"), "row_id")
        ranks = {node.path: rank for rank, node in enumerate(frontier)}
        staged = self.warehouse.read_named(self.staging)
        rank = literal_map(ranks)[F.col("path")].alias(grouped.RANK)
        tagged = staged.where(F.col("tag") == OPEN).select(
            "row_id", "strength", "assigned_by", rank
        )
        there = tagged.where(F.col(grouped.RANK).isNotNull())
        return self.features.join(choose(there), "row_id")

    def _staged(self, wave: int | None = None) -> tuple[dict[str, Node], Figures]:
        """Return the nodes and figures that a wave, or all, have staged."""
        staged = self.warehouse.read_named(self.staging).where(F.col("tag").isin(NODE, FIGURE))
        if wave is not None:
            staged = staged.where(F.col("wave") == wave)
        rows = staged.select("tag", "wave", *Node._fields, "name", "value").collect()
        rows.sort(key=lambda row: row["wave"])
        nodes = to_nodes(row.asDict() for row in rows if row["tag"] == NODE)
        figures = [row for row in rows if row["tag"] == FIGURE]
        return nodes, {(row["path"], row["name"]): row["value"] for row in figures}

    def _write(self, number: int, nodes: dict[str, Node]) -> None:
        rows = node_rows(nodes.values())
        self.warehouse.write_version(NODES, self.warehouse.local(NODES, rows), number)
        staged = self.warehouse.read_named(self.staging)

        def write(table: Table, tag: str) -> None:
            rows = staged.where(F.col("tag") == tag).select(*_columns(table))
            # sorted by path, a file holds few clusters and `path LIKE '/003/%'` skips the others
            self.warehouse.write_version(table, rows.sort("path", "row_id"), number)

        with ThreadPoolExecutor(2) as beside:
            tables = ((ASSIGNMENTS, PLACED), (EMBEDDINGS, MAPPED))
            for written in [beside.submit(write, table, tag) for table, tag in tables]:
                written.result()

    def _seconds(self) -> Figures:
        of_steps = self.clock.seconds.items()
        return self.figures | {(ROOT, f"{step}_seconds"): value for step, value in of_steps}

    def _report(self, wave: int, nodes: dict[str, Node], figures: Figures) -> None:
        """Tell how far the zoom is after a wave, whose figures are given."""
        still_open = _open(nodes)
        waiting = sum(node.n_rows for node in still_open)
        done = len(nodes) - len(still_open)
        left = None
        if self.cost is not None:
            slots = grouped.slots(self.warehouse.spark)
            fits = makespan([fit.seconds for fit in fits_in(figures)], slots)
            overhead = max(0.0, self.clock.seconds[f"wave_{wave}"] - fits)
            splits = [node.n_children for node in nodes.values() if node.n_children]
            children = float(np.mean(splits)) if splits else USUAL_CHILDREN
            ahead = Outlook(
                still_open, self.max_fit_rows, self.population, slots, children, overhead
            )
            left = seconds_left(self.cost, ahead, self.options)
        placed = self.population - waiting
        self.on_progress(Progress(wave + 1, done, len(still_open), placed, self.population, left))


def _open(nodes: dict[str, Node]) -> list[Node]:
    """Return the nodes that wait for a fit, the largest first."""
    waiting = [node for node in nodes.values() if node.engine is None and node.stop_reason is None]
    return sorted(waiting, key=lambda node: (-node.n_rows, node.path))


def _first_of(clusters: Column, dissolved: list[int]) -> Column:
    """Return the first cluster of a list that is not dissolved, or null."""
    return F.get(F.filter(clusters, lambda one: ~one.isin(dissolved)) if dissolved else clusters, 0)


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
