"""What all slides share: a presentation, its layouts, where things go, its fonts and ink."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.opc.constants import RELATIONSHIP_TYPE as RT
from pptx.oxml import parse_xml
from pptx.oxml.ns import namespaces, qn
from pptx.util import Emu

from reclust_spark.report.colours import text_on
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.fit import Faces
from reclust_spark.report.deck.fonts import face_of

FONT = "Arial"
"""Where a design names no font; Liberation Sans has its metrics."""
TITLES = (PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE)
FOOTERS = (PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER)

_TITLE_SIZE = 44.0
"""PowerPoint's own, where no style says otherwise."""
_MARGIN, _GAP = 0.04, 0.15
_ENOUGH = 0.4
"""The part of a slide that a master's body must take to be where content goes."""


@dataclass(frozen=True)
class Place:
    """A title's place on a layout.

    Attributes
    ----------
    box : Box
        Within its insets.
    size : float
        The design's size, points.
    faces : Faces
    """

    box: Box
    size: float
    faces: Faces


@dataclass(frozen=True)
class Design:
    """A presentation without slides, and how its slides are laid out.

    Attributes
    ----------
    presentation : pptx.presentation.Presentation
    cover, page : pptx.slide.SlideLayout
        Of the first slide, and of all others.
    cover_title, title : Place
    area : Box
        Where content goes on a page.
    faces : Faces
        Of all but titles.
    ink, paper : str
        The colours of text and of what it stands on, ``#RRGGBB``.
    """

    presentation: Any
    cover: Any
    page: Any
    cover_title: Place
    title: Place
    area: Box
    faces: Faces
    ink: str
    paper: str

    @property
    def fade(self) -> float:
        """What makes ink nearer to paper: 1, lighter; −1, darker, where ink is light."""
        return 1.0 if text_on(self.ink) == "#FFFFFF" else -1.0

    @property
    def width(self) -> float:
        """A slide's width, inches."""
        return inches(self.presentation.slide_width)

    @property
    def height(self) -> float:
        """A slide's height, inches."""
        return inches(self.presentation.slide_height)


def design_of(presentation: Any, cover: Any, page: Any) -> Design:
    """Read a presentation's design.

    Parameters
    ----------
    presentation : pptx.presentation.Presentation
    cover, page : pptx.slide.SlideLayout
        Each with a title.

    Returns
    -------
    Design
    """
    theme = _theme_of(page)
    body = _theme_font(theme, "minorFont")
    return Design(
        presentation,
        cover,
        page,
        _place(cover),
        _place(page),
        _area(presentation, page),
        Faces(face_of(body), face_of(body, bold=True)),
        _colour(page, theme, "tx1", "#000000"),
        _colour(page, theme, "bg1", "#FFFFFF"),
    )


def inches(emus: int) -> float:
    """Return a length in inches."""
    return float(Emu(emus).inches)


def box_of(shape: Any) -> Box | None:
    """Return where a shape lies, None where nothing says so."""
    if None in (shape.left, shape.top, shape.width, shape.height):
        return None
    return Box(inches(shape.left), inches(shape.top), inches(shape.width), inches(shape.height))


def title_of(layout: Any) -> Any | None:
    """Return a layout's title placeholder, None where it has none that lies across the slide."""
    for shape in layout.placeholders:
        if shape.placeholder_format.type in TITLES and box_of(shape) is not None:
            turned = next(_said(shape, "a:bodyPr", "vert"), "horz")
            return shape if turned == "horz" else None
    return None


def _place(layout: Any) -> Place:
    title = title_of(layout)
    box = box_of(title)
    if title is None or box is None:
        raise ValueError("a layout without a title")
    left, top, right, bottom = (
        inches(int(next(_said(title, "a:bodyPr", name), usual)))
        for name, usual in (
            ("lIns", "91440"), ("tIns", "45720"), ("rIns", "91440"), ("bIns", "45720"),
        )
    )  # fmt: skip
    inner = Box(box.left + left, box.top + top, box.width - left - right, box.height - top - bottom)
    size = next(_said(title, ".//a:lvl1pPr/a:defRPr", "sz"), None)
    font = next(_said(title, ".//a:lvl1pPr/a:defRPr/a:latin", "typeface"), "+mj-lt")
    if font.startswith("+"):
        kind = "minorFont" if font.startswith("+mn") else "majorFont"
        font = _theme_font(_theme_of(layout), kind)
    # measured as if bold: whether it is may be said in many places
    wide = face_of(font, bold=True)
    return Place(inner, int(size) / 100 if size else _TITLE_SIZE, Faces(wide, wide))


def _said(title: Any, path: str, name: str) -> Iterator[str]:
    """Yield an attribute where it is set for a title, the nearest first: layout, master, style."""
    layout = title.part.slide_layout
    masters = [
        shape for shape in layout.slide_master.placeholders
        if shape.placeholder_format.type in TITLES
    ]  # fmt: skip
    bodies = [shape._element.find(qn("p:txBody")) for shape in (title, *masters)]
    styles = layout.slide_master._element.find(f"{qn('p:txStyles')}/{qn('p:titleStyle')}")
    for element in (*bodies, styles):
        if element is not None:
            for found in element.iterfind(path, {"a": namespaces("a")["a"]}):
                if found.get(name) is not None:
                    yield str(found.get(name))


def _area(presentation: Any, layout: Any) -> Box:
    """Return where content goes: the master's body, or the largest place beside the title."""
    slide = Box(0, 0, inches(presentation.slide_width), inches(presentation.slide_height))
    title = box_of(title_of(layout))
    if title is None:
        raise ValueError("a layout without a title")
    for shape in layout.slide_master.placeholders:
        body = box_of(shape)
        if shape.placeholder_format.type == PP_PLACEHOLDER.BODY and body is not None:
            large = body.width * body.height >= _ENOUGH * slide.width * slide.height
            inside = body.right <= slide.width and body.bottom <= slide.height
            if large and inside and not _overlap(body, title):
                return body
    footers = [
        box for shape in layout.placeholders
        if shape.placeholder_format.type in FOOTERS and (box := box_of(shape)) is not None
    ]  # fmt: skip
    margin = _MARGIN * slide.width
    low = min([f.top for f in footers if f.top > slide.height / 2] + [slide.height - margin])
    high = max([f.bottom for f in footers if f.bottom < slide.height / 2] + [margin])
    right = slide.width - margin
    return max(
        (
            _between(margin, max(high, title.bottom + _GAP), right, low),
            _between(margin, high, right, min(low, title.top - _GAP)),
            _between(max(margin, title.right + _GAP), high, right, low),
            _between(margin, high, min(right, title.left - _GAP), low),
        ),
        key=lambda box: max(0.0, box.width) * max(0.0, box.height),
    )


def _between(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(left, top, right - left, bottom - top)


def _overlap(one: Box, other: Box) -> bool:
    beside = one.right <= other.left + 0.01 or other.right <= one.left + 0.01
    above = one.bottom <= other.top + 0.01 or other.bottom <= one.top + 0.01
    return not (beside or above)


def _theme_of(layout: Any) -> Any:
    return parse_xml(layout.slide_master.part.part_related_by(RT.THEME).blob)


def _theme_font(theme: Any, kind: str) -> str:
    found = theme.find(f".//{qn('a:fontScheme')}/{qn(f'a:{kind}')}/{qn('a:latin')}")
    return (found.get("typeface") if found is not None else None) or FONT


def _colour(layout: Any, theme: Any, name: str, usual: str) -> str:
    """Return a colour of the theme as the layout, else its master, maps it."""
    own = layout._element.find(f"{qn('p:clrMapOvr')}/{qn('a:overrideClrMapping')}")
    map_ = own if own is not None else layout.slide_master._element.find(qn("p:clrMap"))
    scheme = theme.find(f".//{qn('a:clrScheme')}/{qn('a:' + map_.get(name))}")
    if scheme is None or not len(scheme):
        return usual
    value = scheme[0].get("lastClr") or scheme[0].get("val")
    return f"#{value}" if value and len(value) == 6 else usual
