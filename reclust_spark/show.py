"""How a tree and a cluster look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from reclust_spark.explain.describe import LEVEL
from reclust_spark.research.interviews import between

SEEN = 0.02
"""A sibling that takes a smaller share of a cluster's people is not worth a line."""


def tree_table(nodes: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Table:
    """Lay out a tree, a line a node.

    Parameters
    ----------
    nodes : sequence of mapping
        Rows of the nodes table, sorted by path.
    labels : mapping of path to str
        Empty where the tree has not been explained.
    """
    table = _table("cluster")
    for name in ("people", "share", "of parent", "noise", "trust"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("ends", no_wrap=True)
    if labels:
        table.add_column("name", overflow="fold")
    for node in nodes:
        trust, of_parent = node["trustworthiness"], node["parent_share"]
        label = [labels.get(node["path"], "")] if labels else []
        table.add_row(
            "  " * node["depth"] + node["path"],
            f"{node['n_rows']:,}",
            f"{node['share']:.1%}",
            "" if of_parent is None else f"{of_parent:.1%}",
            f"{node['n_noise']:,}" if node["n_children"] else "",
            "" if trust is None else f"{trust:.3f}",
            node["stop_reason"] or "",
            *label,
        )
    return table


def cluster_parts(cluster: Any, notes: Sequence[Mapping[str, Any]] = ()) -> list[RenderableType]:
    """Lay out all that is known of a cluster.

    Parameters
    ----------
    cluster : explain.stage.Cluster
    notes : sequence of mapping
        Rows of the notes table, the newest first.
    """
    node = cluster.node
    title = f"{node['path']}  {cluster.label or ''}".rstrip()
    of_parent = (
        "" if node["parent_share"] is None else f", {node['parent_share']:.1%} of its parent"
    )
    parts: list[RenderableType] = [
        title,
        f"{node['n_rows']:,} people, {node['share']:.1%} of everyone{of_parent}; {_inside(node)}",
    ]
    if cluster.explanations:
        parts += ["", _answers(cluster.explanations)]
    if cluster.confusion:
        parts += ["", _siblings(cluster.confusion, node["parent_path"])]
    if cluster.model:
        parts += ["", _certainty(cluster.model)]
    if cluster.split:
        parts += ["", _agreement(cluster.split)]
    if notes:
        parts += ["", *(_note(row) for row in notes)]
    return parts


def recruit_parts(recruits: Any) -> list[RenderableType]:
    """Lay out whom to interview.

    Parameters
    ----------
    recruits : research.stage.Recruits
    """
    parts: list[RenderableType] = [
        f"{recruits.path}  {recruits.label or ''}".rstrip(),
        *recruits.remarks,
    ]
    table = _table("person")
    for name in ("", "place"):
        table.add_column(name, no_wrap=True)
    for name in ("strength", "from the medoid", "probability"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("the other side", no_wrap=True)
    for person in recruits.people:
        border = between(person, recruits.path, recruits.parent_path)
        table.add_row(
            person.row_id,
            person.kind,
            person.path,
            *(
                "" if figure is None else f"{figure:.2f}"
                for figure in (person.strength, person.distance, person.probability)
            ),
            border and f"{border} ({person.other_probability:.2f})",
        )
    return [*parts, "", table] if recruits.people else parts


def answer_table(answer: Any) -> Table:
    """Lay out what a query found.

    Parameters
    ----------
    answer : views.stage.Answer
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_number in zip(answer.names, answer.is_number, strict=True):
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in answer.rows:
        table.add_row(*row)
    return table


def direction_words(direction: str | None) -> str:
    """Return a direction as people read it."""
    if direction is None:
        return ""
    return "most of all" if direction.startswith(LEVEL) else direction


def _table(first: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    return table


def _inside(node: Mapping[str, Any]) -> str:
    if node["n_children"]:
        return f"split into {node['n_children']} clusters, {node['n_noise']:,} people fit none"
    return f"not split further ({node['stop_reason']})"


def _answers(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("leading answers", overflow="fold", max_width=70)
    for name in ("direction", "here", "parent", "everyone"):
        table.add_column(name, overflow="fold", max_width=30)
    for name in ("lift", "mean |SHAP|"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        lift = row["lift"]
        table.add_row(
            row["question"],
            row["direction"] or "",
            row["cluster_value"] or "",
            row["parent_value"] or "",
            row["population_value"] or "",
            "" if lift is None else f"× {lift:.1f}",
            f"{row['mean_abs_shap']:.2f}",
        )
    return table


def _siblings(rows: Sequence[Mapping[str, Any]], parent: str) -> Table:
    table = _table("of its people, the models place")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("name", overflow="fold")
    for row in rows:
        other = row["other_path"]
        itself = other == row["path"]
        if not itself and row["share"] < SEEN:
            continue
        where = "here" if itself else ("in none" if other == parent else f"in {other}")
        name = "" if itself or other == parent else row["other_label"] or ""
        table.add_row(where, f"{row['share']:.0%}", name)
    return table


def _certainty(model: Mapping[str, Any]) -> str:
    auc = "unknown" if model["auc"] is None else f"{model['auc']:.3f}"
    return (
        f"Its model: AUC {auc}, F1 {model['f1']:.2f}, calibration error "
        f"{model['calibration_error']:.3f}, on {model['n_test']:,} people it had not seen; "
        f"it takes a person from {model['threshold']:.0%} on. A high AUC says that the group can "
        "be described, not that it exists."
    )


def _note(row: Mapping[str, Any]) -> str:
    return f"{row['at']:%Y-%m-%d}, {row['author'] or 'unknown'}: {row['note']}"


def _agreement(figures: Mapping[str, float]) -> str:
    by_depth = [
        f"{figures[name]:.0%} at depth {name.rpartition('_')[2]}"
        for name in sorted(figures)
        if name.startswith("agreement_depth_")
    ]
    whole = f"; walking the tree: {', '.join(by_depth)}" if by_depth else ""
    return f"Its own split: models and fit agree for {figures['agreement']:.0%}{whole}."
