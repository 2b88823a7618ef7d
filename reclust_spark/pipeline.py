"""The steps in order, in one Spark session, and what became of each."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from reclust_spark.config import Config
from reclust_spark.errors import ConfigError
from reclust_spark.warehouse.names import GMVAE, PREPARED, TRAIN_GMVAE, TREE
from reclust_spark.warehouse.runs import Ledger, Result
from reclust_spark.warehouse.session import named_failures, session
from reclust_spark.warehouse.tables import Warehouse, check_place

STEPS = ("prepare", "zoom", "explain", "score", "crosstab", "report")
PACKAGES = {TRAIN_GMVAE: "gmvae"}
"""Where a step's stage.py lies, where that is not its own name."""
WARM_UMAP = "reclust_spark.zoom.warm_umap"
GMVAE_NEEDS = ("torch", "safetensors")
LIGHT_STEPS = {"zoom"}
"""In them the JVM only moves rows between Python's workers; where no step is run, it only reads."""
WARM_MODULES = {"zoom": "reclust_spark.zoom.warm"}
"""What workers are forked warm from; a step that is not run need not even be installed."""

Listener = Callable[[str], None]


def steps_of(config: Config) -> tuple[str, ...]:
    """Return the steps of `reclust run`.

    The GMVAE is trained where it is to split the root; outside questions are answered where there
    are any.
    """
    asked = bool(config.input.outside or config.crosstab.input)
    steps = tuple(step for step in STEPS if step != "crosstab" or asked)
    if config.zoom.engine == "gmvae":
        return (steps[0], TRAIN_GMVAE, *steps[1:])
    return steps


def run_steps(config: Config, steps: Sequence[str], say: Listener = lambda line: None) -> None:
    """Run steps in the order given.

    Parameters
    ----------
    config : Config
    steps : sequence of str
        Of `STEPS`, or TRAIN_GMVAE.
    say : callable
        Is told of progress, a line at a time.

    Raises
    ------
    ConfigError, InputError
        Before any work is done.
    RunError
        If Spark could not finish a step.
    """
    if "report" in steps:
        _stage_of("report").check_report(config)
    with connect(config, steps) as warehouse:
        ledger = Ledger(warehouse, config)
        versions: dict[str, int] = {}
        for step in steps:
            say(f"{step}: started")
            with named_failures(step):
                result = _run_step(step, warehouse, config, ledger, versions, say)
            versions[step] = result.version
            say(f"{step}: {_outcome(step, result)}")


def _run_step(
    step: str,
    warehouse: Warehouse,
    config: Config,
    ledger: Ledger,
    versions: dict[str, int],
    say: Listener,
) -> Result:
    """Run one step; what the others need is not imported, so that scoring runs without UMAP."""
    stage = _stage_of(step)
    prepared = versions.get("prepare")
    if step == "prepare":
        return stage.run(warehouse, config, ledger)
    if step == TRAIN_GMVAE:
        return stage.run(warehouse, config, ledger, prepared, _tell_round(say))
    if step == "zoom":
        trained = versions.get(TRAIN_GMVAE)
        return stage.run(warehouse, config, ledger, prepared, _tell(say), trained)
    return stage.run(warehouse, config, ledger, versions.get("zoom"))


def _stage_of(step: str) -> ModuleType:
    try:
        return importlib.import_module(f"reclust_spark.{PACKAGES.get(step, step)}.stage")
    except ModuleNotFoundError as error:
        if error.name not in GMVAE_NEEDS:
            raise
        raise ConfigError(
            f"step {step}", f"{error.name} is not installed", f"an environment with {error.name}",
            "pip install 'reclust-spark[gmvae]'",
        ) from None  # fmt: skip


@contextmanager
def connect(config: Config, steps: Sequence[str] = ()) -> Iterator[Warehouse]:
    """Check the warehouse's place, open a session for some steps and give the warehouse."""
    check_place(config.warehouse)
    warm = tuple(WARM_MODULES[step] for step in steps if step in WARM_MODULES)
    if config.zoom.layout == "umap":
        warm = tuple(name if name != WARM_MODULES["zoom"] else WARM_UMAP for name in warm)
    with session(config.spark, warm, light=LIGHT_STEPS.issuperset(steps)) as spark:
        yield Warehouse(spark, config.warehouse)


def _tell(say: Listener) -> Callable[[Any], None]:
    def tell(progress: Any) -> None:
        left = ""
        if progress.nodes_open and progress.seconds_left is not None:
            left = f", about {math.ceil(progress.seconds_left / 60)} min left"
        say(
            f"zoom: wave {progress.wave}, {progress.nodes_done:,} nodes done, "
            f"{progress.nodes_open:,} open, "
            f"{progress.rows_placed:,} of {progress.rows:,} rows placed{left}"
        )

    return tell


def _tell_round(say: Listener) -> Callable[[Any], None]:
    def tell(done: Any) -> None:
        # the autoencoder of the warm start has no bound
        bound = "" if done.phase == "warm" else f", held-out bound {done.bound:,.2f}"
        say(
            f"{TRAIN_GMVAE}: round {done.number} ({done.phase}), {done.seconds:.1f} s, "
            f"loss {done.loss:,.2f}{bound} nats a person"
        )

    return tell


def _outcome(step: str, result: Result) -> str:
    name = {"prepare": PREPARED, TRAIN_GMVAE: GMVAE}.get(step, TREE)
    how = "nothing has changed, reused" if result.reused else "wrote its rows of"
    return f"{how} {name} {result.version}"
