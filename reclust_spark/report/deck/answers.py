"""A cluster's top answers as a table, each with the SHAP values of its people beside it."""

from __future__ import annotations

from reclust_spark.paths import ROOT, parent
from reclust_spark.report.content import Cluster, name_of
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.deck import Deck
from reclust_spark.report.deck.fit import bold, first_that_fits, muted, say
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.sketch import AXIS, scale
from reclust_spark.report.deck.table import FittedTable, cell, draw_table, fit_table, header

MOST_ANSWERS, FEWEST_ANSWERS = 7, 5
"""Questions on a page: the fewest where they are long."""
ROW_HEIGHTS = 0.25, 0.46
"""Of an answer's row, inches: fewer leave no room for its swarm."""
_SHARES = (2.9, 1.3, 1.3, 1.3, 0.62, 3.6)
"""The columns' parts of the width: question, here, parent, everyone, lift, swarm."""


def answers_and_swarms(deck: Deck, page: Page, cluster: Cluster, box: Box) -> None:
    """Write the top answers, each with the swarm of its people beside it."""
    if not cluster.answers:
        page.card(box)
        page.text(
            box.inset(0.3, 0.2),
            (say(bold("Its answers are unknown."), after=0.4),
             say(muted("This cluster has not been explained: `reclust explain` does it."))),
            14, anchor="middle", align="center",
        )  # fmt: skip
        return
    table = _fitted(deck, cluster, box)
    rows = draw_table(
        page, box.left, box.top, table,
        "Top answers: question, typical answer here, in the group it was found in and of everyone, "
        "and lift",
    )[1:]  # fmt: skip
    shown = cluster.answers[: len(rows)]
    if table.is_cut:
        page.notes(["The questions in full:", *(f"– {a.question}" for a in shown)])
    left = box.left + sum(table.widths[:-1])
    head = Box(left, box.top, table.widths[-1], table.heights[0])
    swarms = {swarm.source_column: swarm for swarm in cluster.swarms}
    if not rows or not any(a.source_column in swarms for a in shown):
        page.text(head.inset(0.06, 0.03), (say(muted("no SHAP values")),), 9, 9, "bottom")
        return
    _key(page, head)
    heights = [row.height for row in rows]
    page.picture(
        Box(left, rows[0].top, table.widths[-1], sum(heights) + AXIS),
        deck.sketch.swarms_of(
            [swarms.get(a.source_column) for a in shown], heights, table.widths[-1]
        ),
        "SHAP values of the questions at the left, a dot a person: to the right where the answer "
        "speaks for the cluster; blue for the lowest answer to yellow for the highest.",
    )


def _fitted(deck: Deck, cluster: Cluster, box: Box) -> FittedTable:
    up = parent(cluster.path)
    rows = [
        header("Top answers", "Here", f"In {name_of(up)}" if up and up != ROOT else "",
               "Everyone", "Lift", "", right=(4,))
    ]  # fmt: skip
    shares = list(_SHARES)
    if up == ROOT:  # its parent is everyone: one column says it
        shares[0], shares[2] = shares[0] + shares[2], 0.0
    for answer in cluster.answers[:MOST_ANSWERS]:
        lift = "" if answer.lift is None else f"× {answer.lift:.1f}"
        rows.append(
            (
                cell(answer.question), cell(bold(answer.here or answer.direction)),
                cell(answer.parent), cell(answer.everyone or (answer.parent if up == ROOT else "")),
                cell(lift, align="right"), cell(),
            )
        )  # fmt: skip
    keep = [at for at, share in enumerate(shares) if share]
    rows = [tuple(row[at] for at in keep) for row in rows]
    scale_ = box.width / sum(shares)
    widths = [shares[at] * scale_ for at in keep]
    for most in range(len(rows), 1 + FEWEST_ANSWERS, -1):  # rather fewer questions than half ones
        table = fit_table(
            rows[:most], widths, box.height - AXIS, deck.design.faces, 11, row_heights=ROW_HEIGHTS
        )
        if not table.is_cut and len(table.heights) == most:
            return table
    return fit_table(
        rows[: 1 + FEWEST_ANSWERS], widths, box.height - AXIS, deck.design.faces, 11,
        row_heights=ROW_HEIGHTS,
    )  # fmt: skip


def _key(page: Page, box: Box) -> None:
    """Say what the swarms' colours are."""
    line = box.inset(0.06, 0.03).off_bottom(0.17)[1]
    low, colours, high, none = line.columns(1.25, 1.0, 1.7, 1.4, gap=0.06)
    faces = page.design.faces
    for place, texts, align in (
        (low, ("lowest answer", "lowest", "low"), "right"),
        (high, ("highest or leading", "highest", "high"), "left"),
        (none, ("grey: no answer", "grey: none", ""), "right"),
    ):
        text = first_that_fits(texts, place.width, faces, 9)
        if text:
            page.text(place, (say(muted(text)),), 9, 9, "middle", align)
    bar = colours.inset(0, 0.045)
    page.picture(bar, scale("answers"), "blue to yellow", is_stretched=True)
