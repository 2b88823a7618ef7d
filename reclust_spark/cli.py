"""The `reclust` command: `run` and its steps for machines, `tree` for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from reclust_spark.config import Config, load_config
from reclust_spark.errors import ReclustError

app = typer.Typer(
    help="Find who the people of a wide survey are: prepare, zoom, and look at the tree.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Files = Annotated[
    list[str] | None, typer.Option("--config", help="A YAML file; may repeat, later wins.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value, the value YAML: --set zoom.max_depth=3"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


@app.command()
def run(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Do every step in order."""
    from reclust_spark.pipeline import STEPS

    _steps(_resolved(config, settings), STEPS, quiet)


@app.command()
def prepare(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Turn the survey table into features of equal influence a question."""
    _steps(_resolved(config, settings), ("prepare",), quiet)


@app.command()
def zoom(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Embed and cluster the people, then each cluster again on its own rows."""
    _steps(_resolved(config, settings), ("zoom",), quiet)


@app.command()
def tree(config: Files = None, settings: Settings = None) -> None:
    """Print the newest tree: sizes, shares, and why each branch ends."""
    from reclust_spark.pipeline import connect
    from reclust_spark.zoom.stage import read_tree

    with connect(_resolved(config, settings)) as warehouse:
        nodes = read_tree(warehouse)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("cluster", no_wrap=True)
    for name in ("people", "share", "of parent", "noise", "trust"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("ends", no_wrap=True)
    for node in nodes:
        table.add_row(*_cells(node))
    console = Console()
    # in a pipe there is no width to fit into
    console.print(table, width=console.width if console.is_terminal else 200)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the status of what happened.

    Parameters
    ----------
    arguments : sequence of str, optional
        ``sys.argv`` without the program by default.
    """
    try:
        app(args=None if arguments is None else list(arguments))
    except ReclustError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"error: {error}", style="red", markup=False
        )
        sys.exit(error.exit_status)


def _resolved(files: list[str] | None, settings: list[str] | None) -> Config:
    return load_config(files or (), settings or ())


def _steps(config: Config, steps: Sequence[str], quiet: bool) -> None:
    from reclust_spark.pipeline import run_steps

    with _progress(quiet) as say:
        run_steps(config, steps, say)


def _cells(node: dict[str, Any]) -> list[str]:
    trust = node["trustworthiness"]
    of_parent = node["parent_share"]
    return [
        "  " * node["depth"] + node["path"],
        f"{node['n_rows']:,}",
        f"{node['share']:.1%}",
        "" if of_parent is None else f"{of_parent:.1%}",
        f"{node['n_noise']:,}" if node["n_children"] else "",
        "" if trust is None else f"{trust:.3f}",
        node["stop_reason"] or "",
    ]


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a line; to a terminal only."""
    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal:
        yield lambda line: None
        return
    with console.status("starting Spark") as status:

        def say(line: str) -> None:
            console.print(line)
            status.update(line)

        yield say


if __name__ == "__main__":
    main()
