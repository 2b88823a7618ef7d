"""A cluster's page: who they are, their answers, what sets them apart, how sure that is."""

from __future__ import annotations

from reclust_spark.paths import ROOT, parent
from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import Cluster, Note, name_of
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.deck import GUTTER, Deck
from reclust_spark.report.deck.fit import (
    Paragraph,
    bold,
    first_that_fits,
    fit,
    muted,
    say,
    width_of,
)
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.sketch import AXIS, grey, scale
from reclust_spark.report.deck.table import FittedTable, cell, draw_table, fit_table, header
from reclust_spark.report.deck.words import (
    UNKNOWN,
    apart,
    end_of,
    percent,
    sureness,
    title_of,
    trail,
    who,
)

MOST_ANSWERS, FEWEST_ANSWERS = 7, 5
"""Questions on a page: the fewest where they are long."""
ROW_HEIGHTS = 0.25, 0.46
"""Of an answer's row, inches: fewer leave no room for its swarm."""
_RULE, _TRAIL, _WHO, _WHO_AND_PICTURES, _CARDS = 0.05, 0.2, 0.9, 1.45, 1.55
_SHARES = (2.9, 1.3, 1.3, 1.3, 0.62, 3.6)
"""The columns' parts of the width: question, here, parent, everyone, lift, swarm."""
NOTES = "The analyst's notes"
_IN_FULL = "in full in the speaker notes"


def cluster_page(deck: Deck, cluster: Cluster) -> None:
    """Make a cluster's page.

    Parameters
    ----------
    deck : Deck
    cluster : Cluster
        Not the root.
    """
    page = deck.page(title_of(cluster))
    rule, rest = page.area.off_top(_RULE, 0.06)
    page.card(rule, colour_of(cluster.path), "the cluster's colour")
    line, rest = rest.off_top(_TRAIL, 0.08)
    inside = trail(deck.report, cluster.path)
    name = ", named by an analyst" if cluster.by_analyst else ""
    page.text(
        line, (say(muted(f"inside {inside} · path {cluster.path}{name}")),), 10, anchor="middle"
    )
    top, rest = rest.off_top(_WHO if cluster.picture is None else _WHO_AND_PICTURES, 0.12)
    _who(page, cluster, top)
    middle, below = rest.off_bottom(_CARDS, 0.15)
    _answers(deck, page, cluster, middle)
    _cards(deck, page, cluster, below)


def _who(page: Page, cluster: Cluster, box: Box) -> None:
    """Write who they are, with pictures before and sizes behind."""
    if cluster.picture is not None:
        box = _pictures(page, cluster, box)
    left, right = box.columns(1.45, 1, gap=2 * GUTTER)
    page.text(left, who(cluster), 15, anchor="middle")
    sizes = [
        (f"{cluster.n:,}", "people"),
        (percent(cluster.share), "of everyone"),
    ]
    if cluster.parent_share is not None and parent(cluster.path) != ROOT:
        sizes.append((percent(cluster.parent_share), f"of {name_of(parent(cluster.path) or ROOT)}"))
    figures, end = right.off_bottom(0.3)
    for (figure, unit), place in zip(
        sizes, figures.columns(*[1.0] * len(sizes), gap=GUTTER / 2), strict=True
    ):
        high, low = place.rows(1.5, 1, gap=0.0)
        page.text(high, (say(bold(figure)),), 24, anchor="bottom")
        page.text(low, (say(muted(unit)),), 11)
    page.text(end, (say(muted(end_of(cluster))),), 10, anchor="bottom")


def _pictures(page: Page, cluster: Cluster, box: Box) -> Box:
    """Put the mean image and that of the most typical one before the text; return the rest."""
    if cluster.picture is None:
        return box
    images = [("mean", cluster.picture.mean)]
    if cluster.picture.medoid is not None:
        images.append(("typical", cluster.picture.medoid))
    for what, pixels in images:
        place, box = box.off_left(box.height - 0.2, 0.12)
        image, caption = place.off_bottom(0.18, 0.02)
        page.picture(image, grey(pixels), f"The {what} image of this cluster")
        page.text(caption, (say(muted(what)),), 10, align="center")
    return box.off_left(0.0, GUTTER / 2)[1]


def _answers(deck: Deck, page: Page, cluster: Cluster, box: Box) -> None:
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


def _cards(deck: Deck, page: Page, cluster: Cluster, box: Box) -> None:
    """Write what sets it apart, how sure it is, and what analysts have noted."""
    parts = (1.25, 1.0, 1.25) if cluster.notes else (1.4, 1.0)
    left, middle, *rest = box.columns(*parts, gap=GUTTER)
    texts = [(left, "Apart from its siblings", apart(deck.report, cluster))]
    if rest:
        texts.append((rest[0], NOTES, tuple(_note(note) for note in cluster.notes)))
    fitted = [
        fit((say(bold(heading), after=0.3), *paragraphs), place.width - 0.3, place.height - 0.24,
            deck.design.faces, 11)
        for place, heading, paragraphs in texts
    ]  # fmt: skip
    size = min(one.size for one in fitted)
    for (place, heading, paragraphs), one in zip(texts, fitted, strict=True):
        if heading == NOTES and one.is_cut:
            heading = f"{NOTES} ({_IN_FULL})"
            page.notes([f"{NOTES}:", *(f"– {_told(note)}" for note in cluster.notes)])
        page.card(place)
        page.text(place.inset(0.15, 0.12), (say(bold(heading), after=0.3), *paragraphs), size)
    _sure(deck, page, cluster, middle, size)


def _sure(deck: Deck, page: Page, cluster: Cluster, box: Box, size: float) -> None:
    page.card(box)
    inner = box.inset(0.15, 0.08)
    n = cluster.certainty.n_test if cluster.certainty else None
    head, rest = inner.off_top(0.22, 0.02)
    room = head.width - width_of(say(bold("How sure we are")), deck.design.faces, size)
    options = [] if n is None else [f"  on {n:,} people held out", f"  on {n:,} people"]
    tested = first_that_fits([*options, ""], room, deck.design.faces, size)
    page.text(head, (say(bold("How sure we are"), muted(tested)),), size)
    rows = [
        (cell(name), cell(muted(value) if value in (UNKNOWN, "not split") else bold(value),
                          align="right"))
        for name, value in sureness(cluster)
    ]  # fmt: skip
    widths = (rest.width * 0.62, rest.width * 0.38)
    table = fit_table(rows, widths, rest.height, deck.design.faces, 10.5)
    draw_table(page, rest.left, rest.top, table, "How sure we are of this cluster", False)


def _note(note: Note) -> Paragraph:
    return say(note.text, muted(f" {_by(note)}"))


def _told(note: Note) -> str:
    return f"{note.text} {_by(note)}"


def _by(note: Note) -> str:
    author = f"{note.author}, " if note.author else ""
    return f"({author}{note.at:%d %b %Y})"
