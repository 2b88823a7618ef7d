"""Nodes above `zoom.max_fit_rows` on Spark: samples fitted side by side, everyone else row by row.

Each sample is a task of its own. What they find is staged, then one's models label all of the
node's people in a pass that no worker needs to hold, and the labels become places. Each of the
three is one commit, so that a killed run goes on where it was.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from reclust_spark.config import ZoomOptions
from reclust_spark.paths import ROOT, child, depth, seed_of
from reclust_spark.warehouse import grouped
from reclust_spark.warehouse.columns import ample, exact_sum, hash_limit, literal_map
from reclust_spark.warehouse.lists import matrix, order_by
from reclust_spark.warehouse.names import ONE_CLUSTER
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom.cost import OF_SAMPLE
from reclust_spark.zoom.node import NOISE, Rows
from reclust_spark.zoom.records import (
    FITTED,
    MAPPED,
    MODEL,
    OPEN,
    PLACED,
    SAMPLE,
    SAMPLED_DDL,
    STAGED_DDL,
    Sample,
    figures_table,
    nodes_table,
    sample_table,
    to_samples,
)
from reclust_spark.zoom.sampled import (
    Agreement,
    Sampling,
    agree,
    fit_sample,
    label,
    labeller,
    sampling_of,
)
from reclust_spark.zoom.tables import BY_FIT, BY_MODEL
from reclust_spark.zoom.tree import (
    FIT_ROWS,
    FIT_SECONDS,
    FIT_THREADS,
    UMAP_HDBSCAN,
    Node,
    given_cluster_size,
    stop_before_fit,
)

HELD_OUT = -1
"""Stands for a sample's number in the draw of those who are in none."""
LABELLED_DDL = (
    "path string, row_id string, weight double, label int, strength double, by_model boolean"
)

log = logging.getLogger(__name__)

Choose = Callable[[DataFrame], DataFrame]
People = Callable[..., DataFrame]
"""From open nodes to their people: row_id, weight, features, rank, strength and assigned_by. A
`Choose` beside the nodes is applied before anyone's features are read; it sees row_id and rank."""


class Choice(NamedTuple):
    """The sample that is kept of a node, and how far the others agree with it."""

    node: Node
    sample: Sample
    agreement: Agreement
    samples: list[Sample]


class Place(NamedTuple):
    """What becomes of a label: a child's path, and whether the child is a leaf."""

    path: str
    is_leaf: bool


class LargeNodes:
    """Splits nodes that are too large for one task.

    Parameters
    ----------
    warehouse : Warehouse
    options : ZoomOptions
    population : int
        The rows of the whole table.
    people : callable
        See `People`.
    staging : str
        The name of the staging table of the waves; those of samples and labels begin with it.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        options: ZoomOptions,
        population: int,
        people: People,
        staging: str,
    ) -> None:
        self.warehouse, self.options, self.population = warehouse, options, population
        self.people = people
        self.samples, self.labels = staged_by_large(staging)

    def split(self, nodes: list[Node], wave: int) -> DataFrame:
        """Return the staged rows of what becomes of some nodes: themselves, children, people.

        Parameters
        ----------
        nodes : list of Node
            Open, the largest first.
        wave : int
        """
        # a run that was stopped may have staged some of them: in other memory, others are large
        fitted = self._paths_in(self.samples, nodes)
        if unfitted := [node for node in nodes if node.path not in fitted]:
            self._fit(unfitted, wave)
        choices = [self._choose(node) for node in nodes]
        splits = [one for one in choices if one.sample.stop_reason is None]
        labelled = self._paths_in(self.labels, nodes)
        if unlabelled := [one for one in splits if one.node.path not in labelled]:
            self._label(unlabelled, wave)
        return self._placed(choices)

    # ---- fitting samples

    def _fit(self, nodes: list[Node], wave: int) -> None:
        """Fit all samples of some nodes and stage what they find, as one action."""
        options, population, n = self.options, self.population, self.options.samples
        plans = [sampling_of(node.n_rows, options.max_fit_rows, n) for node in nodes]
        threads = self._threads(len(nodes))

        def fit(rank: int, table: pa.Table) -> pa.Table:
            node, number = nodes[rank // n], rank % n
            is_held_out = table["is_held_out"].to_numpy()
            hashes = table["hash"].to_numpy()
            inside = np.flatnonzero(~is_held_out)
            # a few more were drawn than are wanted: the same ones are left on any machine
            inside = inside[np.argsort(hashes[inside], kind="stable")]
            inside = inside[: plans[rank // n].fit_rows]
            is_inside = np.zeros(len(hashes), dtype=bool)
            is_inside[inside] = True
            order = order_by(table["row_id"])
            order, held_out = order[is_inside[order]], order[is_held_out[order]]
            rows = Rows(
                table["row_id"].take(pa.array(order)).to_numpy(),
                matrix(table["features"], order),
                np.ones(len(order)),
            )
            found = fit_sample(
                node.path, seed_of(options.seed, f"{node.path}#{number}"), node.n_rows, rows,
                hashes[order], matrix(table["features"], held_out), population, options, threads,
            )  # fmt: skip
            return sample_table(node.path, number, found)

        drawn = self._drawn(nodes, plans)
        schema = StructType.fromDDL(SAMPLED_DDL)
        found = grouped.map_groups(drawn, len(nodes) * n, fit, schema)
        self.warehouse.append_staged(self.samples, found, wave, nodes[0].path)

    def _threads(self, n_nodes: int) -> int:
        return grouped.threads_of(self.warehouse.spark, n_nodes * self.options.samples)

    def _drawn(self, nodes: list[Node], plans: list[Sampling]) -> DataFrame:
        """Return the people of all samples, and those who are in none, by the sample's rank."""
        n = self.options.samples
        held_out, wanted = [], []
        for node, plan in zip(nodes, plans, strict=True):
            held_out.append(hash_limit(plan.held_out_rows, node.n_rows))
            others = node.n_rows - plan.held_out_rows
            wanted.append(hash_limit(ample(plan.fit_rows), others))

        def hash_of(number: int) -> Column:
            return F.xxhash64(_of_rank([node.seed for node in nodes]), F.lit(number), "row_id")

        is_held_out = hash_of(HELD_OUT) <= _of_rank(held_out)
        ranks = []
        for number in range(n):
            rank = (F.col(grouped.RANK) * n + number).cast("int").alias(grouped.RANK)
            here = F.struct(rank, hash_of(number).alias("hash"))
            is_in = F.col("is_held_out") | (hash_of(number) <= _of_rank(wanted))
            ranks.append(F.when(is_in, here))
        drawn = F.filter(F.array(*ranks), lambda one: one.isNotNull())

        def choose(people: DataFrame) -> DataFrame:
            chosen = people.withColumn("is_held_out", is_held_out).withColumn("drawn", drawn)
            return chosen.where(F.size("drawn") > 0)

        people = self.people(nodes, choose)
        columns = ["row_id", "features", "is_held_out"]
        return people.select(*columns, F.explode("drawn").alias("drawn")).select(
            *columns, "drawn.rank", "drawn.hash"
        )

    def _choose(self, node: Node) -> Choice:
        """Return the sample of a node that agrees most with the others, and tell what differs."""
        read = self.warehouse.read_named(self.samples).where(F.col("path") == node.path)
        rows = read.where(F.col("tag").isin(SAMPLE, MODEL)).drop("row_id", "strength", "x", "y")
        samples = to_samples(row.asDict() for row in rows.collect())[node.path]
        clusters = [max(1, len(one.models)) for one in samples]
        agreement = agree([one.held_out for one in samples], clusters)
        for missed in agreement.missed:
            log.warning(
                "%s: sample %d has a cluster of %.1f %% of the node that the kept sample %d has "
                "not (Jaccard %.2f with the most alike)",
                node.path, missed.sample, 100 * missed.share, agreement.kept, missed.jaccard,
            )  # fmt: skip
        kept = samples[agreement.kept]
        reason = stop_before_fit(node.path, node.n_rows, self.population, self.options)
        if reason is not None:  # a root; samples were fitted for its map and its medoid
            kept = kept._replace(stop_reason=reason)
        # models are large, and the others' have labelled whom they had to
        return Choice(node, kept, agreement, [one._replace(models=[]) for one in samples])

    # ---- labelling everyone

    def _label(self, choices: list[Choice], wave: int) -> None:
        """Stage the label of everyone: the fit's of the kept sample's people, else its models'."""
        fitted = self._fitted(choices).select(
            "row_id", F.col("label").alias("fit_label"), "strength"
        )
        people = self.people([one.node for one in choices]).drop("strength", "assigned_by")
        people = people.withColumn("path", _of_rank([one.node.path for one in choices]))
        # nobody is at two open nodes; by row_id alone people are partitioned already
        people = people.join(fitted, "row_id", "left")
        models = [tuple(one.sample.models) for one in choices]

        def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                if not batch.num_rows:
                    continue
                features, ranks = matrix(batch["features"]), batch[grouped.RANK].to_numpy()
                labels = np.empty(len(ranks), dtype=np.intp)
                strength = np.empty(len(ranks))
                for rank in np.unique(ranks).tolist():
                    joined = labeller(models[rank], features.shape[1])
                    here = np.flatnonzero(ranks == rank)
                    labels[here], strength[here] = label(joined, features[here])
                by_fit = batch["fit_label"].is_valid().to_numpy(zero_copy_only=False)
                given = batch["fit_label"].fill_null(0).to_numpy()
                sure = batch["strength"].fill_null(0.0).to_numpy()
                yield pa.RecordBatch.from_arrays(
                    [
                        batch["path"],
                        batch["row_id"],
                        batch["weight"],
                        pa.array(np.where(by_fit, given, labels), pa.int32()),
                        pa.array(np.where(by_fit, sure, strength)),
                        pa.array(~by_fit),
                    ],
                    names=["path", "row_id", "weight", "label", "strength", "by_model"],
                )

        columns = ["row_id", "path", "weight", "features", grouped.RANK, "fit_label", "strength"]
        labelled = people.select(*columns).mapInArrow(stage, LABELLED_DDL)
        self.warehouse.append_staged(self.labels, labelled, wave, choices[0].node.path)

    def _fitted(self, choices: list[Choice]) -> DataFrame:
        """Return the people of the kept samples as these fitted them."""
        kept = literal_map({one.node.path: one.sample.number for one in choices})
        samples = self.warehouse.read_named(self.samples).where(F.col("tag") == FITTED)
        return samples.where(F.col("sample") == kept[F.col("path")])

    # ---- placing everyone

    def _placed(self, choices: list[Choice]) -> DataFrame:
        sizes = self._sizes([one for one in choices if one.sample.stop_reason is None])
        threads = self._threads(len(choices))
        nodes: list[Node] = []
        figures: dict[tuple[str, str], float] = {}
        places: dict[tuple[str, int], Place] = {}
        for one in choices:
            found, of_labels = self._born(one, sizes)
            nodes += found
            figures |= _figures(one, threads)
            places |= {(one.node.path, number): place for number, place in of_labels.items()}
        split = [node.path for node in nodes if node.n_children]
        whole = [one.node for one in choices if one.node.path not in split]
        if whole and whole[0].path == ROOT:
            weight = self.people(whole).agg(exact_sum("weight")).first()[0]
            nodes = [node._replace(weight=float(weight)) for node in nodes]
        local = pa.concat_tables([nodes_table(nodes), figures_table(figures)])
        schema = StructType.fromDDL(STAGED_DDL)
        staged = self.warehouse.spark.createDataFrame(local, schema)
        parts = [self._maps(choices, places)]
        if split:
            parts.append(self._of_split(split, places))
        if whole:
            parts.append(self._of_whole(whole))
        for part in parts:
            staged = staged.unionByName(part, allowMissingColumns=True)
        return staged

    def _sizes(self, choices: list[Choice]) -> dict[tuple[str, int], tuple[int, float]]:
        """Return how many people each label has, and the sum of their weights."""
        if not choices:
            return {}
        labels = self.warehouse.read_named(self.labels)
        here = labels.where(F.col("path").isin([one.node.path for one in choices]))
        counted = here.groupBy("path", "label").agg(
            F.count(F.lit(1)).alias("n"), exact_sum("weight").alias("weight")
        )
        return {
            (row["path"], row["label"]): (row["n"], float(row["weight"]))
            for row in counted.collect()
        }

    def _born(
        self, choice: Choice, sizes: dict[tuple[str, int], tuple[int, float]]
    ) -> tuple[list[Node], dict[int, Place]]:
        """Return a node after its split, with its children, and the place of each label."""
        node, sample = choice.node, choice.sample
        path, options = node.path, self.options
        done = node._replace(
            engine=UMAP_HDBSCAN.name,
            n_fit=sample.n_fit,
            trustworthiness=sample.trustworthiness,
            fidelity=sample.fidelity,
            medoid_row_id=node.medoid_row_id or sample.medoid_row_id,
            stop_reason=sample.stop_reason,
        )
        if sample.stop_reason is not None:
            return [done], {}
        least = given_cluster_size(path, node.n_rows, self.population, options)
        clusters = range(len(sample.models))
        of_labels = {number: sizes.get((path, number), (0, 0.0)) for number in (NOISE, *clusters)}
        stands = [number for number in clusters if of_labels[number][0] >= least]
        if len(stands) < 2:
            return [done._replace(stop_reason=ONE_CLUSTER)], {}
        stands.sort(key=lambda number: (-of_labels[number][0], number))
        children, places = [], {}
        for rank, number in enumerate(stands, start=1):
            name, (n_rows, weight) = child(path, rank), of_labels[number]
            reason = stop_before_fit(name, n_rows, self.population, options)
            places[number] = Place(name, reason is not None)
            born = Node(
                name,
                n_rows,
                weight,
                sample.persistence[number],
                sample.medoids[number],
                seed_of(options.seed, name),
                stop_reason=reason,
                stability=float(choice.agreement.stability[number]),
            )
            children.append(born)
        n_noise = node.n_rows - sum(one.n_rows for one in children)
        weight = math.fsum(weight for _, weight in of_labels.values())
        done = done._replace(weight=weight, n_children=len(children), n_noise=n_noise)
        return [done, *children], places

    def _of_split(self, paths: list[str], places: dict[tuple[str, int], Place]) -> DataFrame:
        """Return the staged rows of the people of nodes that are split."""
        labels = self.warehouse.read_named(self.labels).where(F.col("path").isin(paths))
        key = F.concat_ws("#", "path", "label")
        child_path = literal_map({f"{path}#{k}": one.path for (path, k), one in places.items()})
        is_leaf = literal_map({f"{path}#{k}": one.is_leaf for (path, k), one in places.items()})
        to = child_path[key]
        depths = literal_map({path: depth(path) for path in paths})
        is_noise = to.isNull()
        by_model = F.col("by_model")
        return labels.select(
            F.when(is_noise | is_leaf[key], PLACED).otherwise(OPEN).alias("tag"),
            F.coalesce(to, "path").alias("path"),
            "row_id",
            (depths[F.col("path")] + F.when(is_noise, 0).otherwise(1)).cast("int").alias("depth"),
            is_noise.alias("is_noise"),
            F.when(is_noise, 0.0).otherwise(F.col("strength")).alias("strength"),
            F.when(by_model, BY_MODEL).otherwise(BY_FIT).alias("assigned_by"),
            "weight",
        )

    def _of_whole(self, nodes: list[Node]) -> DataFrame:
        """Return the staged rows of the people of nodes that stay whole."""
        return self.people(nodes).select(
            F.lit(PLACED).alias("tag"),
            _of_rank([node.path for node in nodes]).alias("path"),
            "row_id",
            _of_rank([depth(node.path) for node in nodes]).alias("depth"),
            F.lit(False).alias("is_noise"),
            "strength",
            F.coalesce("assigned_by", F.lit(BY_FIT)).alias("assigned_by"),
            "weight",
        )

    def _maps(self, choices: list[Choice], places: dict[tuple[str, int], Place]) -> DataFrame:
        """Return the staged rows of the kept samples' maps."""
        fitted = self._fitted(choices).where(F.col("x").isNotNull())
        child_path = literal_map({f"{path}#{k}": one.path for (path, k), one in places.items()})
        to = child_path[F.concat_ws("#", "path", "label")]
        return fitted.select(
            F.lit(MAPPED).alias("tag"), "path", "row_id", "x", "y", to.alias("child_path")
        )

    def _paths_in(self, name: str, nodes: list[Node]) -> set[str]:
        """Return the paths of those of some nodes of which a staging table has anything."""
        if not self.warehouse.exists(name):
            return set()
        is_of_one = F.col("path").isin([node.path for node in nodes])
        staged = self.warehouse.read_named(name).where(is_of_one).select("path").distinct()
        return {row["path"] for row in staged.collect()}


def staged_by_large(staging: str) -> tuple[str, str]:
    """Return the names of the tables that hold what samples have found, and people's labels."""
    return f"{staging}_samples", f"{staging}_labels"


def _figures(choice: Choice, threads: int) -> dict[tuple[str, str], float]:
    """Return a node's figures: how far each sample agrees with the others, what each took."""
    path, figures = choice.node.path, {}
    for sample, score in zip(choice.samples, choice.agreement.scores, strict=True):
        of = f"{OF_SAMPLE}{sample.number}_"
        figures[path, f"{of}agreement"] = float(score)
        figures[path, f"{of}clusters"] = float(len(sample.medoids))
        for part, seconds in sample.seconds.items():
            figures[path, f"{of}{part}_seconds"] = seconds
        figures[path, of + FIT_SECONDS] = sum(sample.seconds.values())
        figures[path, of + FIT_ROWS] = float(sample.n_fit)
        figures[path, of + FIT_THREADS] = float(threads)
    for missed in choice.agreement.missed:
        name = f"only_in_sample_{missed.sample}_share"
        figures[path, name] = figures.get((path, name), 0.0) + missed.share
    return figures


def _of_rank(values: Sequence[object]) -> Column:
    """Return, of values by rank, that of a row's."""
    return F.get(F.array(*(F.lit(one) for one in values)), F.col(grouped.RANK))
