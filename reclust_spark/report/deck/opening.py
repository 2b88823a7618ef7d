"""The first pages: the cover, everyone on one page, and how to read what follows."""

from __future__ import annotations

from reclust_spark.paths import ROOT
from reclust_spark.report.colours import NOISE, colour_of
from reclust_spark.report.content import CAUTION, STOP_WORDS, Report, name_of
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.deck import (
    GUTTER,
    Deck,
    Name,
    card_pages,
)
from reclust_spark.report.deck.fit import Run, bold, muted, say
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.shares import Share, share_bars, share_of
from reclust_spark.report.deck.words import SEEN, called, percent

_BAND = 0.3


def cover(deck: Deck) -> None:
    """Make the cover: title, source, and the clusters' shares as a band of their colours."""
    report = deck.report
    page = Page(deck.design, report.title)
    counted = "weighted" if report.weighted else "all counted alike"
    lines = (
        say(
            f"{report.n:,} people ({counted}) in {_groups(report)}, from {report.source}",
            after=0.5,
        ),
        say(muted(f"Tree {report.tree_version}, {report.made_at:%d %B %Y}")),
    )
    box, taken = page.subtitle(lines, 18)
    _band(page, report, Box(box.left, box.top + taken + 0.35, box.width, _BAND))


def _groups(report: Report) -> str:
    n = len(report.clusters) - 1
    first = len(report.children(ROOT))
    if not n:
        return "one group"
    return f"{first} clusters" if n == first else f"{first} clusters, {n} with those inside them"


def _band(page: Page, report: Report, box: Box) -> None:
    """Draw how everyone is divided."""
    clusters = report.children(ROOT)
    if not clusters or box.bottom > page.design.height - 0.2:
        return
    left = box.left
    for cluster in clusters:
        width = box.width * cluster.share
        page.card(
            Box(left, box.top, width, box.height),
            colour_of(cluster.path),
            f"{called(cluster)}: {percent(cluster.share)} of everyone",
        )
        left += width
    if box.right - left > 0.01:
        page.card(Box(left, box.top, box.right - left, box.height), NOISE, "in no cluster")


def population(deck: Deck) -> None:
    """Make the page of everyone: the map, and the share of each cluster."""
    report = deck.report
    root, clusters = report.root, report.children(ROOT)
    if not clusters:
        _undivided(deck)
        return
    outside = max(0.0, 1 - sum(c.share for c in clusters))
    page = deck.page(
        f"{len(clusters)} clusters hold {percent(1 - outside)} of everyone; "
        f"{percent(outside)} fit none"
        if outside >= SEEN
        else f"{len(clusters)} clusters hold everyone"
    )
    left, right = page.area.columns(1, 1, gap=2 * GUTTER)
    left, below = left.off_bottom(0.5, 0.1)
    colours = {int(name_of(c.path)): colour_of(c.path) for c in clusters}
    if root.map is not None and len(root.map.x):
        page.picture(
            left,
            deck.sketch.map_of(root.map, colours, left.width, left.height),
            f"Map of everyone: {len(root.map.x):,} people as points in the colours of "
            f"{len(clusters)} clusters, whose numbers stand on them.",
        )
        drawn = (
            "All people" if root.map.n_all <= len(root.map.x)
            else f"{len(root.map.x):,} of {root.map.n_all:,} people"
        )  # fmt: skip
        caption = (
            f"{drawn}; those near each other answer alike. Grey: in no cluster. "
            "How far groups are apart says little."
        )
        page.text(below, (say(muted(caption)),), 11)
    else:
        page.text(left, "There is no map of this tree.", 14, anchor="middle", align="center")
    share_bars(
        deck, page, right,
        [share_of(c) for c in clusters], Share(Name(NOISE, "", "in no cluster"), outside),
        "Share of everyone",
    )  # fmt: skip


def _undivided(deck: Deck) -> None:
    report = deck.report
    reason = STOP_WORDS.get(report.root.stop_reason or "", report.root.stop_reason)
    page = deck.page("Everyone is one group")
    lines = (
        say(bold(f"{report.n:,} people"), " were looked at, and no split of them was kept."),
        say("The reason: ", bold(reason) if reason else Run("unknown"), "."),
        say("There are no clusters to describe. What follows is how the search was made."),
    )
    page.text(page.area, lines, 18)


def reading(deck: Deck) -> None:
    """Make the page that says how to read the others."""
    items = (
        ("A cluster", (
            say("People who answer alike. Its number is its place: ", bold("3.1"),
                " is the first cluster found inside ", bold("3"),
                ". It keeps its colour on every page; those inside it have shades of it."),
        )),
        ("Size", (
            say("People are counted; shares are ",
                "weighted to stand for the population." if deck.report.weighted
                else "of those who answered, all counted alike."),
            say("Who fits no cluster stays with the group that was split."),
        )),
        ("Top answers", (
            say("The questions that set the cluster apart most, the leading one first. ",
                bold("Lift"), ": how many times as frequent its answers are as in the group it "
                "was found in."),
        )),
        ("Dots beside the answers", (
            say("A dot is a person. To the right: the answer speaks for the cluster; to the left: "
                "against it (SHAP values of its model)."),
            say("Blue: the lowest answer; yellow: the highest, or the one that leads; grey: none."),
        )),
        ("How sure", (
            say(bold("Stability"), ": found again in other samples, 0 to 1. ", bold("AUC"),
                ": how well a model tells its people from others, 0.5 to 1. ",
                bold("Calibration error"), ": how far its probabilities are off."),
            say(bold("Fidelity, agreement"), ": how well its own split is kept by the map and by "
                "the models."),
        )),
        ("What it does not say", (
            say(CAUTION),
            say("Clusters describe answers. They do not say why people answer so."),
        )),
    )  # fmt: skip
    card_pages(deck, "How to read it", items)
