"""A deck being made: a report, a design, and pages one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import Cluster, Report, name_of
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.design import Design
from reclust_spark.report.deck.fit import (
    BODY,
    TABLE,
    Faces,
    Paragraph,
    bold,
    fit,
    height_of,
    say,
    sizes_between,
)
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.sketch import Sketcher

GUTTER = 0.2
"""Between what stands beside each other, inches."""
WIDE = 9.5
"""From this width on, three columns stand beside each other; inches."""
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

    def page(self, title: str, more: str = "") -> Page:
        """Begin a page; `more` follows the title, and is there however much of that is cut."""
        return Page(self.design, title, self._foot, more)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return len(self.design.presentation.slides)


Card = tuple[Paragraph, ...]


def card_pages(
    deck: Deck, title: str, items: Sequence[tuple[str, Sequence[Paragraph]]], more: str = ""
) -> None:
    """Make a page of headings with texts in a grid of cards, or several where one has no room.

    Two or three stand beside each other, whichever leaves letters larger, all of one size. A row is
    as high as its longest text asks for, what remains is shared out; the last row's cards are wider
    where it has fewer.
    """
    area, faces = deck.design.area, deck.design.faces
    texts: list[Card] = [(say(bold(head), after=0.3), *paragraphs) for head, paragraphs in items]
    options = (3, 2) if area.width > WIDE and len(items) != 4 else (2, 3)
    grid = max((_grid(area, faces, texts, n) for n in options), key=lambda grid: grid.size)
    if not grid.size and len(items) > 1:
        half = (len(items) + 1) // 2
        card_pages(deck, title, items[:half], more)
        card_pages(deck, title, items[half:], " (continued)")
        return
    page = deck.page(title, more)
    for strip, line in zip(area.rows(*grid.heights, gap=GUTTER), grid.lines, strict=True):
        for place, text in zip(strip.columns(*[1.0] * len(line), gap=GUTTER), line, strict=True):
            page.card(place)
            page.text(place.inset(_PAD_X, _PAD_Y), text, grid.size)


class _Grid(NamedTuple):
    """Cards in lines, the lines' heights in inches, and the size of letters, points."""

    lines: list[list[Card]]
    heights: list[float]
    size: float


def _grid(box: Box, faces: Faces, texts: list[Card], columns: int) -> _Grid:
    """Choose the largest size at which cards fit; 0 where they do not, and have to be cut."""
    lines = [texts[at : at + columns] for at in range(0, len(texts), columns)]
    room = box.height - GUTTER * (len(lines) - 1)

    def need_of(line: Sequence[Card], points: float) -> float:
        width = (box.width - GUTTER * (len(line) - 1)) / len(line) - 2 * _PAD_X
        tallest = max(height_of(text, width, faces, points) for text in line)
        return tallest + 2 * _PAD_Y

    for points in sizes_between(CARD_SIZE, BODY):
        needs = [need_of(line, points) for line in lines]
        if sum(needs) <= room:
            spare = (room - sum(needs)) / len(needs)
            return _Grid(lines, [need + spare for need in needs], float(points))
    return _Grid(lines, needs, 0.0)


class Name(NamedTuple):
    """What stands for a cluster in a picture: its colour, its number and its name, if any."""

    colour: str
    number: str
    label: str


def name_of_cluster(cluster: Cluster) -> Name:
    """Return what stands for a cluster."""
    number = name_of(cluster.path)
    label = "" if cluster.label in ("", cluster.path, number) else cluster.label
    return Name(colour_of(cluster.path), number, label)


def legend(page: Page, box: Box, clusters: Sequence[Cluster]) -> None:
    """Name colours on one line: numbers, as much of the names as there is room for."""
    places = box.columns(*[1.0] * len(clusters), gap=0.1)
    name_rows(page, places, [name_of_cluster(cluster) for cluster in clusters], 10)


def chip(page: Page, place: Box, colour: str) -> None:
    """Draw a colour at the left of a row."""
    side = min(_CHIP, place.height * 0.8)
    page.card(Box(place.left, place.top + (place.height - side) / 2, side, side), colour)


def name_rows(page: Page, places: Sequence[Box], names: Sequence[Name], size: float) -> None:
    """Write names behind their colours, all in the size at which the longest has room."""
    words = [
        say(bold(name.number), f" {name.label}") if name.number else say(name.label)
        for name in names
    ]
    texts = [place.off_left(CHIP)[1] for place in places]
    faces = page.design.faces
    common = min(
        fit((text,), at.width, at.height, faces, size, TABLE).size
        for text, at in zip(words, texts, strict=True)
    )
    for name, text, place, at in zip(names, words, places, texts, strict=True):
        chip(page, place, name.colour)
        page.text(at, (text,), common, least=TABLE, anchor="middle")


def rows_in(height: float, least: float) -> int:
    """Return how many rows of a least height a box has room for."""
    return max(1, int(height / least + 1e-6))
