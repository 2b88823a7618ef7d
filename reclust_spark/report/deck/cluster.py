"""A cluster's page: who they are, their answers, what sets them apart, how sure that is."""

from __future__ import annotations

from reclust_spark.paths import ROOT, parent
from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import Cluster, Note, name_of
from reclust_spark.report.deck.answers import answers_and_swarms
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.deck import GUTTER, Deck
from reclust_spark.report.deck.design import Design
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
from reclust_spark.report.deck.sketch import grey
from reclust_spark.report.deck.table import cell, draw_table, fit_table
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

_RULE, _TRAIL, _HEAD, _WHO, _WHO_AND_PICTURES, _CARDS = 0.05, 0.2, 0.39, 0.9, 1.45, 1.55
_TABLE = 1.4
"""The least height of the answers: three of them."""
_GAP = 0.13
NOTES = "The analyst's notes"
_CAPTION = 0.17
_IN_FULL = "in full in the speaker notes"


def pages_each(design: Design) -> int:
    """Return how many pages a cluster takes: two where slides are low."""
    return 1 if design.area.height >= _HEAD + _WHO + _TABLE + _CARDS + 2 * _GAP else 2


def cluster_page(deck: Deck, cluster: Cluster) -> None:
    """Make a cluster's page, or its two pages where slides are low.

    Parameters
    ----------
    deck : Deck
    cluster : Cluster
        Not the root.
    """
    page, rest = _begin(deck, cluster, "")
    is_one = pages_each(deck.design) == 1
    below = _CARDS + _GAP if is_one else 0.0
    tall = _WHO
    if cluster.picture is not None:
        tall = min(_WHO_AND_PICTURES, max(_WHO, rest.height - below - _TABLE - _GAP))
    top, rest = rest.off_top(tall, _GAP)
    _who(page, cluster, top)
    if is_one:
        rest, cards = rest.off_bottom(_CARDS, _GAP)
        answers_and_swarms(deck, page, cluster, rest)
    else:
        answers_and_swarms(deck, page, cluster, rest)
        page, rest = _begin(deck, cluster, " (continued)")
        cards, _ = rest.off_top(min(rest.height, 2 * _CARDS))
    _cards(deck, page, cluster, cards)


def _begin(deck: Deck, cluster: Cluster, more: str) -> tuple[Page, Box]:
    """Begin a page with a cluster's name, its colour and the way to it; return what is below."""
    page = deck.page(title_of(cluster), more)
    rule, rest = page.area.off_top(_RULE, 0.06)
    page.card(rule, colour_of(cluster.path), "the cluster's colour")
    line, rest = rest.off_top(_TRAIL, _HEAD - _RULE - _TRAIL - 0.06)
    inside = trail(deck.report, cluster.path)
    name = ", named by an analyst" if cluster.by_analyst else ""
    page.text(
        line, (say(muted(f"inside {inside} · path {cluster.path}{name}")),), 10, anchor="middle"
    )
    return page, rest


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


def _cards(deck: Deck, page: Page, cluster: Cluster, box: Box) -> None:
    """Write what sets it apart, how sure it is, and what analysts have noted."""
    parts = (1.25, 1.0, 1.25) if cluster.notes else (1.4, 1.0)
    left, middle, *rest = box.columns(*parts, gap=GUTTER)
    for place in (left, *rest):
        page.card(place)
    inside = _sibling_pictures(deck, page, cluster, left.inset(0.15, 0.12))
    texts = [(inside, "Apart from its siblings", apart(deck.report, cluster))]
    if rest:
        notes = tuple(_note(note) for note in cluster.notes)
        texts.append((rest[0].inset(0.15, 0.12), NOTES, notes))
    fitted = [
        fit((say(bold(heading), after=0.3), *lines), at.width, at.height, deck.design.faces, 11)
        for at, heading, lines in texts
    ]
    size = min(one.size for one in fitted)
    for (at, heading, lines), one in zip(texts, fitted, strict=True):
        if heading == NOTES and one.is_cut:
            heading = f"{NOTES} ({_IN_FULL})"
            page.notes([f"{NOTES}:", *(f"– {_told(note)}" for note in cluster.notes)])
        page.text(at, (say(bold(heading), after=0.3), *lines), size)
    _sure(deck, page, cluster, middle, size)


def _sibling_pictures(deck: Deck, page: Page, cluster: Cluster, box: Box) -> Box:
    """Put the mean images of siblings at a card's right; return what remains for words."""
    others = [
        c for c in deck.report.children(parent(cluster.path) or ROOT)
        if c.picture is not None and c.path != cluster.path
    ]  # fmt: skip
    if cluster.picture is None or not others:
        return box
    side = (box.height - 2 * _CAPTION) / 2
    across = min(-(-len(others) // 2), int(box.width * 0.6 / (side + 0.08)))
    words, strip = box.off_left(box.width - across * (side + 0.08), 0.08)
    for at, other in enumerate(others[: 2 * across]):
        down, column = divmod(at, across)
        left = strip.left + column * (side + 0.08)
        place = Box(left, strip.top + down * (side + _CAPTION), side, side + _CAPTION)
        image, caption = place.off_bottom(_CAPTION)
        name = name_of(other.path)
        if other.picture is not None:
            page.picture(image, grey(other.picture.mean), f"The mean image of its sibling {name}")
        page.text(caption, (say(muted(name)),), 9, 9, align="center")
    return words


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
