"""The steps in order, in one Spark session, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from reclust_spark.config import Config
from reclust_spark.prepare import stage as prepare
from reclust_spark.warehouse.names import PREPARED, TREE
from reclust_spark.warehouse.runs import Ledger, Result
from reclust_spark.warehouse.session import named_failures, session
from reclust_spark.warehouse.tables import Warehouse, check_place
from reclust_spark.zoom import stage as zoom

STEPS = ("prepare", "zoom")

Listener = Callable[[str], None]


def run_steps(config: Config, steps: Sequence[str], say: Listener = lambda line: None) -> None:
    """Run steps in the order given.

    Parameters
    ----------
    config : Config
    steps : sequence of str
        Of `STEPS`.
    say : callable
        Is told of progress, a line at a time.

    Raises
    ------
    ConfigError, InputError
        Before any work is done.
    RunError
        If Spark could not finish a step.
    """
    with connect(config) as warehouse:
        ledger = Ledger(warehouse, config)
        prepared: int | None = None
        for step in steps:
            say(f"{step}: started")
            with named_failures(step):
                if step == "prepare":
                    result = prepare.run(warehouse, config, ledger)
                    prepared = result.version
                else:
                    result = zoom.run(warehouse, config, ledger, prepared, _tell(say))
            say(f"{step}: {_outcome(step, result)}")


@contextmanager
def connect(config: Config) -> Iterator[Warehouse]:
    """Check the warehouse's place, open a session and give the warehouse."""
    check_place(config.warehouse)
    with session(config.spark, (zoom.WARM_MODULE,)) as spark:
        yield Warehouse(spark, config.warehouse)


def _tell(say: Listener) -> Callable[[zoom.Progress], None]:
    def tell(progress: zoom.Progress) -> None:
        say(
            f"zoom: wave {progress.wave}, {progress.nodes_done:,} nodes done, "
            f"{progress.nodes_open:,} open, "
            f"{progress.rows_placed:,} of {progress.rows:,} rows placed"
        )

    return tell


def _outcome(step: str, result: Result) -> str:
    name = PREPARED if step == "prepare" else TREE
    how = "nothing has changed, reused" if result.reused else "wrote"
    return f"{how} {name} {result.version}"
