"""The `reclust` command: `run` and its steps for machines; `tree`, `show`, `label` for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from reclust_spark.config import Config, load_config
from reclust_spark.errors import ReclustError
from reclust_spark.show import answer_table, cluster_parts, recruit_parts, tree_table
from reclust_spark.warehouse.names import TREE

app = typer.Typer(
    help="Find who the people of a wide survey are: prepare, zoom, explain, score, report.",
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
Path_ = Annotated[
    str, typer.Argument(metavar="PATH", help="A cluster: /003/ and /003/001/; / is everyone.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


@app.command()
def run(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Do every step in order."""
    from reclust_spark.pipeline import steps_of

    resolved = _resolved(config, settings)
    _steps(resolved, steps_of(resolved), quiet)
    _tell_place(resolved)


@app.command()
def prepare(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Turn the survey table into features of equal influence a question."""
    _steps(_resolved(config, settings), ("prepare",), quiet)


@app.command()
def train_gmvae(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Train the model that splits populations too large for UMAP; see zoom.engine."""
    from reclust_spark.warehouse.names import TRAIN_GMVAE

    _steps(_resolved(config, settings), (TRAIN_GMVAE,), quiet)


@app.command()
def zoom(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Embed and cluster the people, then each cluster again on its own rows."""
    _steps(_resolved(config, settings), ("zoom",), quiet)


@app.command()
def explain(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Learn what sets each cluster apart from its siblings, in the words of the questionnaire."""
    _steps(_resolved(config, settings), ("explain",), quiet)


@app.command()
def score(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Place people in the tree by its models alone: those of score.input."""
    _steps(_resolved(config, settings), ("score",), quiet)


@app.command()
def crosstab(
    questions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUESTION]...", help="Columns; crosstab.questions, or all."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="A second question; may repeat.")
    ] = None,
    config: Files = None,
    settings: Settings = None,
    quiet: Quiet = False,
) -> None:
    """Answer outside questions at every node of the tree, and print those of the first split."""
    from reclust_spark.crosstab.show import DEPTH, crosstab_parts
    from reclust_spark.crosstab.stage import read_crosstabs
    from reclust_spark.pipeline import run_steps
    from reclust_spark.warehouse.runs import choose_tree

    asked = {"questions": questions, "by": by}
    given = [f"crosstab.{key}={json.dumps(names)}" for key, names in asked.items() if names]
    resolved = _resolved(config, [*(settings or ()), *given])
    with _progress(quiet) as say, _looking(resolved, "crosstab") as warehouse:
        run_steps(resolved, ("crosstab",), say)
        tree = choose_tree(warehouse, resolved.tree_version)
        rows = read_crosstabs(warehouse, tree.version, deepest=DEPTH)
    for part in crosstab_parts(rows, resolved.crosstab):
        _print(part)


@app.command()
def report(config: Files = None, settings: Settings = None, quiet: Quiet = False) -> None:
    """Write the page to explore the tree, the deck to show it, and the workbook of its figures."""
    resolved = _resolved(config, settings)
    _steps(resolved, ("report",), quiet)
    _tell_place(resolved)


@app.command()
def tree(config: Files = None, settings: Settings = None) -> None:
    """Print a tree: sizes, shares, names, and why each branch ends."""
    from reclust_spark.explain.stage import read_labels
    from reclust_spark.warehouse.runs import choose_tree
    from reclust_spark.zoom.stage import read_tree

    resolved = _resolved(config, settings)
    with _looking(resolved, "tree") as warehouse:
        number = choose_tree(warehouse, resolved.tree_version).version
        nodes, labels = read_tree(warehouse, number), read_labels(warehouse, number)
    _print(tree_table(nodes, labels))


@app.command()
def show(path: Path_, config: Files = None, settings: Settings = None) -> None:
    """Print who a cluster is: size, name, leading answers, siblings, and how sure that is."""
    from reclust_spark.explain.stage import read_cluster
    from reclust_spark.research.stage import read_notes

    resolved = _resolved(config, settings)
    with _looking(resolved, "show") as warehouse:
        cluster = read_cluster(warehouse, resolved.tree_version, path)
        notes = read_notes(warehouse, cluster.node[TREE])
    for part in cluster_parts(cluster, notes.get(path, ())):
        _print(part)


@app.command()
def label(
    path: Path_,
    name: Annotated[str, typer.Argument(help="What you call it.")],
    config: Files = None,
    settings: Settings = None,
) -> None:
    """Give a cluster a name of your own, in place of the one made of its answers."""
    from reclust_spark.explain.stage import set_label

    resolved = _resolved(config, settings)
    with _looking(resolved, "label") as warehouse:
        set_label(warehouse, resolved.tree_version, path, name)


@app.command()
def note(
    path: Path_,
    text: Annotated[str, typer.Argument(help="What you know of them.")],
    config: Files = None,
    settings: Settings = None,
) -> None:
    """Write down what you know of a cluster, for whoever sees it next; earlier notes stay."""
    from reclust_spark.research.stage import add_note

    resolved = _resolved(config, settings)
    with _looking(resolved, "note") as warehouse:
        add_note(warehouse, resolved.tree_version, path, text)


@app.command()
def recruit(
    path: Path_,
    typical: Annotated[int, typer.Option(help="How many at its heart.")] = 10,
    borderline: Annotated[int, typer.Option(help="How many on its border.")] = 5,
    out: Annotated[str | None, typer.Option(metavar="FILE.csv", help="Written as well.")] = None,
    config: Files = None,
    settings: Settings = None,
) -> None:
    """Choose people of a cluster to interview: at its heart, and on its border."""
    from reclust_spark.research.interviews import check_counts, check_file, write_csv
    from reclust_spark.research.stage import recruit as choose

    resolved = _resolved(config, settings)
    check_counts(typical, borderline)
    if out is not None:
        check_file(out)
    with _looking(resolved, "recruit") as warehouse:
        found = choose(warehouse, resolved.tree_version, path, typical, borderline)
    for part in recruit_parts(found):
        _print(part)
    if out is not None:
        write_csv(out, found.people, found.path, found.parent_path)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="One query; its rows are printed.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows of a query, at most.")] = 50,
    engine: Annotated[str, typer.Option(help="spark or duckdb: whose script.")] = "spark",
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Where it goes.")] = None,
    config: Files = None,
    settings: Settings = None,
) -> None:
    """Make the views tree, leaves, members, leading_answers, cluster_at_depth; or query them.

    In a catalog schema they are made, and stay. For a warehouse that is a folder it prints the
    script that makes them in Spark or DuckDB.
    """
    from reclust_spark.research.interviews import check_file
    from reclust_spark.views import stage
    from reclust_spark.views.script import check_request

    resolved = _resolved(config, settings)
    check_request("/" in resolved.warehouse, query, engine, out)
    if out is not None:
        check_file(out, "views.sql")
    with _looking(resolved, "sql") as warehouse:
        if query is not None:
            answer = stage.answer(warehouse, query, limit)
            _print(answer_table(answer))
            if answer.more:
                _print(f"… the first {limit:,} rows; --limit {limit * 10} prints more")
        elif not warehouse.is_folder:
            _print(f"made or replaced: {', '.join(stage.create(warehouse))}")
        elif out is not None:
            Path(out).write_text(stage.script_of(warehouse, engine), encoding="utf-8")
        else:
            typer.echo(stage.script_of(warehouse, engine), nl=False)


@app.command()
def export(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A new folder.")],
    config: Files = None,
    settings: Settings = None,
) -> None:
    """Write models, questions and one file to score with, without Delta or Spark."""
    from reclust_spark.score.stage import export as write

    resolved = _resolved(config, settings)
    with _looking(resolved, "export") as warehouse:
        number = write(warehouse, resolved.tree_version, folder)
    _print(f"tree {number} is in {folder}; try: python {folder}/predict.py --help")


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


def _tell_place(config: Config) -> None:
    from reclust_spark.report.stage import place_of_report

    _print(f"the report is in {place_of_report(config)}")


def _print(what: Any) -> None:
    # in a pipe there is no width to fit into
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    console.print(what, markup=False, soft_wrap=isinstance(what, str))


@contextmanager
def _looking(config: Config, command: str) -> Iterator[Any]:
    from reclust_spark.pipeline import connect
    from reclust_spark.warehouse.session import named_failures

    with connect(config) as warehouse, named_failures(command):
        yield warehouse


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
