"""A deck being made: a report, a design, and pages one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import Cluster, Report, name_of
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.design import Design
from reclust_spark.report.deck.fit import TABLE, Paragraph, bold, fit, say
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.sketch import Sketcher

GUTTER = 0.2
"""Between what stands beside each other, inches."""
CARD_SIZE = 16.0
_PAD_X, _PAD_Y = 0.15, 0.12
_CHIP = 0.14
CHIP = 0.22
"""What a colour and the gap behind it take, inches."""


class Deck:
    """Makes pages of a report in a design.

    Parameters
    ----------
    report : Report
    design : Design
    """

    def __init__(self, report: Report, design: Design) -> None:
        self.report, self.design = report, design
        self.sketch = Sketcher(design.ink, design.paper, design.faces.plain)
        self._foot = (
            f"{report.source} · tree {report.tree_version} · {report.made_at:%d %B %Y}".strip()
        )

    def page(self, title: str) -> Page:
        """Begin a page."""
        return Page(self.design, title, self._foot)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return len(self.design.presentation.slides)


def cards(
    page: Page, box: Box, items: Sequence[tuple[str, Sequence[Paragraph]]], columns: int
) -> None:
    """Write headings with texts into a grid of cards, all of one size of letters."""
    rows = -(-len(items) // columns)
    places = [
        place
        for strip in box.rows(*[1.0] * rows, gap=GUTTER)
        for place in strip.columns(*[1.0] * columns, gap=GUTTER)
    ]
    texts = [(say(bold(heading), after=0.3), *paragraphs) for heading, paragraphs in items]
    inner = [place.inset(_PAD_X, _PAD_Y) for place in places]
    size = min(
        fit(text, at.width, at.height, page.design.faces, CARD_SIZE).size
        for text, at in zip(texts, inner, strict=False)
    )
    for place, text, at in zip(places, texts, inner, strict=False):
        page.card(place)
        page.text(at, text, size)


def card(
    page: Page, box: Box, heading: str, paragraphs: Sequence[Paragraph], size: float = 11.0
) -> bool:
    """Write one card; tell whether its words had to be cut."""
    page.card(box)
    inner = box.inset(_PAD_X, _PAD_Y)
    return page.text(inner, (say(bold(heading), after=0.3), *paragraphs), size).is_cut


def legend(page: Page, box: Box, clusters: Sequence[Cluster]) -> None:
    """Name colours on one line: numbers, as much of the names as there is room for."""
    places = box.columns(*[1.0] * len(clusters), gap=0.1) if clusters else ()
    for cluster, place in zip(clusters, places, strict=True):
        name_row(page, place, colour_of(cluster.path), *name_and_label(cluster), size=10.0)


def name_and_label(cluster: Cluster) -> tuple[str, str]:
    """Return a cluster's number and its name, which is empty where it has none."""
    number = name_of(cluster.path)
    return number, "" if cluster.label in ("", cluster.path, number) else cluster.label


def chip(page: Page, place: Box, colour: str) -> None:
    """Draw a colour at the left of a row."""
    side = min(_CHIP, place.height * 0.8)
    page.card(Box(place.left, place.top + (place.height - side) / 2, side, side), colour)


def name_row(page: Page, place: Box, colour: str, number: str, label: str, size: float) -> None:
    """Write a number and a name behind their colour, on the lines that there is room for."""
    chip(page, place, colour)
    _, text = place.off_left(CHIP)
    words = (say(bold(number), f" {label}"),)
    page.text(text, words, size, least=TABLE, anchor="middle")


def rows_in(height: float, least: float) -> int:
    """Return how many rows of a least height a box has room for."""
    return max(1, int(height / least + 1e-6))
