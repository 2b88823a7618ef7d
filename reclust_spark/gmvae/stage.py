"""`reclust train-gmvae` on Spark: train on the features table, store the model and the latents."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

import pyarrow as pa

from reclust_spark.config import Config, config_hash
from reclust_spark.errors import ConfigError, InputError, ReclustError, RunError
from reclust_spark.gmvae import parquet, work
from reclust_spark.gmvae.backends import base
from reclust_spark.gmvae.rounds import MAIN, Round
from reclust_spark.gmvae.store import FileKeeper
from reclust_spark.onevsall.predict import Question
from reclust_spark.paths import ROOT
from reclust_spark.warehouse import grouped
from reclust_spark.warehouse.files import place_of
from reclust_spark.warehouse.names import (
    FEATURE_MAP,
    FEATURES,
    GMVAE,
    GMVAES,
    LATENTS,
    PREPARED,
    QUESTION_MAP,
    TRAIN_GMVAE,
)
from reclust_spark.warehouse.runs import Ledger, Outcome, Result, Step, choose_prepared
from reclust_spark.warehouse.tables import Warehouse, schema_of

STAGE = TRAIN_GMVAE
STEP_VERSION = 1
LOOK_SECONDS = 1.0
KEPT_CLUSTERS = 8
"""A person's most probable clusters that the latents table keeps."""
NOT_IN_RESULT = {"cluster_by", "attempts", "checkpoints"}
"""Options that change who does the work, or what is made of it later, and not the model."""

log = logging.getLogger(__name__)


def run(
    warehouse: Warehouse,
    config: Config,
    ledger: Ledger,
    prepared: int | None = None,
    on_round: Callable[[Round], None] = lambda done: None,
) -> Result:
    """Train a GMVAE on the newest features, or reuse the one that they already have.

    Parameters
    ----------
    warehouse : Warehouse
    config : Config
    ledger : Ledger
    prepared : int, optional
        The prepare_version to train on; the newest complete one by default.
    on_round : callable
        Called after each round; of other processes, soon after its checkpoint.

    Returns
    -------
    Result
        The gmvae_version.

    Raises
    ------
    ConfigError, InputError, RunError
    """
    prepared = choose_prepared(warehouse, prepared)
    settings = config.gmvae.model_dump(exclude=NOT_IN_RESULT)
    upstream = ledger.fingerprint("prepare", PREPARED, prepared)
    fingerprint = config_hash({"version": STEP_VERSION, "gmvae": settings, "prepare": upstream})
    step = Step(STAGE, GMVAE, FEATURES.name, str(prepared), fingerprint, prepared)

    training = _Training(warehouse, config, prepared, fingerprint, on_round)
    result = ledger.run(step, training.write)
    # not before the manifest has the model: until then a new run goes on from them
    training.drop_checkpoints()
    return result


class _Training:
    """One model on its way into the tables."""

    def __init__(
        self,
        warehouse: Warehouse,
        config: Config,
        prepared: int,
        fingerprint: str,
        on_round: Callable[[Round], None],
    ) -> None:
        self.warehouse, self.options, self.prepared = warehouse, config.gmvae, prepared
        self.fingerprint, self.on_round = fingerprint, on_round
        self.features = warehouse.read(FEATURES, prepared)

    def write(self, number: int) -> Outcome:
        job = self._job()
        found = self._trained(job)
        row = {
            "objective": self.options.objective,
            "k": self.options.k,
            "bound": found.bound,
            "n_steps": sum(one.steps for one in found.rounds),
            "seed": self.options.seed,
            "model": found.model,
        }
        self.warehouse.write_version(GMVAES, self.warehouse.local(GMVAES, [row]), number)
        self._write_latents(found.model, number)
        figures = {(ROOT, "bound"): found.bound, (ROOT, "silent_rows"): float(found.silent_rows)}
        for one in found.rounds:
            figures[ROOT, f"round_{one.number}_loss"] = one.loss
            figures[ROOT, f"round_{one.number}_seconds"] = one.seconds
            if one.phase == MAIN:
                figures[ROOT, f"round_{one.number}_bound"] = one.bound
        if found.silent_rows:
            log.warning("%d people answered nothing; they count nothing", found.silent_rows)
        return Outcome(found.rows, found.rows, (GMVAES, LATENTS), figures)

    def _job(self) -> work.Job:
        rows = self.warehouse.read(QUESTION_MAP, self.prepared).sort("position").collect()
        questions = tuple(Question.of(row.asDict()) for row in rows)
        slots = self.warehouse.read(FEATURE_MAP, self.prepared).sort("slot").collect()
        groups = parquet.list_row_groups(self.features.inputFiles())
        people = sum(group.rows for group in groups)
        if self.options.k > people // 2:
            raise InputError(
                f"setting gmvae.k, table {FEATURES.name}",
                f"{self.options.k} clusters of {people:,} people",
                f"from 2 to half the people: {people // 2:,}",
                "set gmvae.k to fewer clusters",
            )
        processes = self._processes()
        return work.Job(
            parquet.deal(groups, processes),
            questions,
            tuple(row["position"] for row in slots),
            self.options,
            self._checkpoints(),
        )

    def _processes(self) -> int:
        """Return how many processes train; on one machine no more can run than it has slots."""
        if self.options.backend == "local":
            return 1
        wanted, context = self.options.processes, self.warehouse.spark.sparkContext
        slots = grouped.slots(self.warehouse.spark)
        if context.master.startswith("local[") and wanted > slots:
            raise ConfigError(
                "setting gmvae.processes", f"{wanted} processes on {context.master}",
                f"at most its {slots} slots, for they run all at once",
                "set fewer processes, or a spark.master with more slots",
            )  # fmt: skip
        return wanted

    def _checkpoints(self) -> str | None:
        """Return the folder of this training's checkpoints: one that all processes reach."""
        name = f"_checkpoints_gmvae_{self.fingerprint[:16]}"
        if self.options.checkpoints is not None:
            folder = f"{self.options.checkpoints.rstrip('/')}/{name}"
        elif self.warehouse.is_folder:
            folder = self.warehouse.location(name)
        else:
            return None
        # whole, for processes that were started somewhere else
        place = place_of(self.warehouse.spark, folder)
        return str(place.files.makeQualified(place.path).toString())

    def drop_checkpoints(self) -> None:
        """Remove what a killed run would have gone on from."""
        folder = self._checkpoints()
        if folder is not None:
            place = place_of(self.warehouse.spark, folder)
            place.files.delete(place.path, True)

    def _trained(self, job: work.Job) -> work.Result:
        """Run the backend; a run that lost a worker goes on from the last checkpoint."""
        backend = base.load(self.options.backend)
        # what listens lives in this process: it is told of what those of other backends have kept
        is_here = self.options.backend == "local"
        part = partial(base.guarded, job, self.on_round if is_here else None)
        for attempt in range(1, self.options.attempts + 1):
            try:
                with _telling(None if is_here else job.checkpoints, self.on_round):
                    found = backend.run(self.warehouse.spark, part, len(job.hands))
                break
            except ReclustError:
                raise
            except Exception as error:
                if attempt == self.options.attempts:
                    raise RunError(
                        f"step {STAGE}", f"{attempt} attempts have failed, the last one: {error}",
                        "workers that live until the training is done",
                        "mend that and run it again: it goes on after the last checkpoint",
                    ) from error  # fmt: skip
                log.warning("attempt %d has failed (%s); the next goes on after its last round",
                            attempt, error)  # fmt: skip
        if isinstance(found, ReclustError):
            raise found
        return found

    def _write_latents(self, model: bytes, number: int) -> None:
        schema = schema_of(LATENTS, versioned=False)
        place = f"table {GMVAES.name}, {GMVAE} {number}"

        def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            from reclust_spark.gmvae.latents import encoder

            yield from map(encoder(model, place, KEPT_CLUSTERS), batches)

        rows = self.features.select("row_id", "weight", "features").mapInArrow(encode, schema)
        self.warehouse.write_version(LATENTS, rows, number)


@contextmanager
def _telling(checkpoints: str | None, on_round: Callable[[Round], None]) -> Iterator[None]:
    """Tell of the rounds that appear in a folder of checkpoints, as long as the work goes on."""
    if checkpoints is None:
        yield
        return
    keeper, done = FileKeeper(checkpoints), Event()
    before = len(keeper.rounds())

    def tell() -> None:
        told, is_last = before, False
        while not is_last:
            is_last = done.wait(LOOK_SECONDS)
            try:
                rounds = keeper.rounds()
            except OSError:  # dropped for the next one just now
                continue
            for one in rounds[told:]:
                on_round(one)
            told = max(told, len(rounds))

    watcher = Thread(target=tell, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
