"""A slide being made: a title, and texts, pictures and shapes in boxes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from pptx.enum.dml import MSO_THEME_COLOR
from pptx.enum.shapes import MSO_SHAPE, PP_PLACEHOLDER
from pptx.enum.text import MSO_AUTO_SIZE
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls, qn
from pptx.util import Emu, Inches

from reclust_spark.explain.label import shortened
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.clean import clean
from reclust_spark.report.deck.design import TITLES, Design, Place, box_of
from reclust_spark.report.deck.fit import BODY, Fitted, Paragraph, fit, say
from reclust_spark.report.deck.put import (
    ANCHORS,
    MUTED,
    describe,
    emus,
    frame_of,
    ink,
    rgb,
    write,
)

TITLE, LEAST_TITLE = 26.0, 14.0
"""The largest and the least size of a page's title, points."""
FOOT = 9.0
CARD = -0.05
"""How much nearer to ink than the slide a card is."""


class Page:
    """A slide.

    Parameters
    ----------
    design : Design
    title : str
    foot : str
        What its footer says; empty for the cover, which has none.
    more : str
        What follows the title, and is there however much of that has to be cut.
    """

    def __init__(self, design: Design, title: str, foot: str = "", more: str = "") -> None:
        self.design = design
        self.area = design.area
        layout = design.page if foot else design.cover
        place = design.title if foot else design.cover_title
        self.slide = design.presentation.slides.add_slide(layout)
        size = min(place.size, TITLE) if foot else place.size
        self._title(self._titles(title, more, place, size), is_cover=not foot)
        if foot:
            self._foot(layout, foot)

    def text(
        self,
        box: Box,
        paragraphs: Sequence[Paragraph] | str,
        size: float = 12.0,
        least: float = BODY,
        anchor: str = "top",
        align: str = "left",
        name: str = "",
    ) -> Fitted:
        """Write paragraphs into a box: smaller, then cut, where it has no room.

        Returns
        -------
        Fitted
            What has been written.
        """
        if isinstance(paragraphs, str):
            paragraphs = (say(paragraphs),)
        fitted = fit(paragraphs, box.width, box.height, self.design.faces, size, least)
        shape = self.slide.shapes.add_textbox(*emus(box))
        if name:
            shape.name = name
        frame_of(shape, anchor)
        write(shape.text_frame, fitted, align, self.design.fade)
        return fitted

    def card(self, box: Box, colour: str | None = None, alt: str = "") -> None:
        """Draw a rectangle: a card behind texts, or of a colour."""
        shape = self._shape(MSO_SHAPE.RECTANGLE, box, alt)
        shape.fill.solid()
        if colour is None:
            shape.fill.fore_color.theme_color = MSO_THEME_COLOR.BACKGROUND_1
            shape.fill.fore_color.brightness = CARD * self.design.fade
        else:
            shape.fill.fore_color.rgb = rgb(colour)

    def cross(self, box: Box, alt: str) -> None:
        """Mark a place where nothing is shown."""
        shape = self._shape(MSO_SHAPE.MATH_MULTIPLY, box, alt)
        shape.fill.solid()
        ink(shape.fill.fore_color, MUTED * self.design.fade)

    def picture(self, box: Box, png: bytes, alt: str, is_stretched: bool = False) -> None:
        """Put a picture into a box: whole and in the middle, or over all of it."""
        if is_stretched:
            shape = self.slide.shapes.add_picture(BytesIO(png), *emus(box))
            describe(shape._element.nvPicPr.cNvPr, alt)
            return
        shape = self.slide.shapes.add_picture(BytesIO(png), 0, 0)
        scale = min(Inches(box.width) / shape.width, Inches(box.height) / shape.height)
        shape.width, shape.height = (
            Emu(round(shape.width * scale)),
            Emu(round(shape.height * scale)),
        )
        shape.left = Emu(Inches(box.left) + (Inches(box.width) - shape.width) // 2)
        shape.top = Emu(Inches(box.top) + (Inches(box.height) - shape.height) // 2)
        describe(shape._element.nvPicPr.cNvPr, alt)

    def turned_text(self, box: Box, text: str, size: float, least: float) -> None:
        """Write one line upwards, from a box's lower end."""
        fitted = fit((say(text),), box.height, box.width, self.design.faces, size, least)
        shape = self.slide.shapes.add_textbox(*emus(box))
        frame_of(shape, "middle")
        shape.text_frame._txBody.find(qn("a:bodyPr")).set("vert", "vert270")
        write(shape.text_frame, fitted, "left", self.design.fade)

    def subtitle(self, paragraphs: Sequence[Paragraph], size: float) -> tuple[Box, float]:
        """Write below the cover's title, in the design's own place where there is one.

        Returns
        -------
        (Box, float)
            The place, and the height that the words take, inches.
        """
        faces, title = self.design.faces, self.design.cover_title.box
        for shape in self.slide.placeholders:
            place = box_of(shape)
            if shape.placeholder_format.type == PP_PLACEHOLDER.SUBTITLE and place is not None:
                inner = place.inset(0.1, 0.05)
                fitted = fit(paragraphs, inner.width, inner.height, faces, size)
                shape.text_frame.auto_size = MSO_AUTO_SIZE.NONE
                shape.text_frame.vertical_anchor = ANCHORS["top"]
                write(shape.text_frame, fitted, None, self.design.fade)
                return place, fitted.height
        top = title.bottom + 0.2
        if top + 1.2 > self.design.height:
            top = max(0.2, title.top - 1.4)
        place = Box(title.left, top, title.width, 1.0)
        return place, self.text(place, paragraphs, size).height

    def notes(self, paragraphs: Sequence[str]) -> None:
        """Add to what the speaker sees; nothing is cut here."""
        frame = self.slide.notes_slide.notes_text_frame
        before = [frame.text] if frame.text else []
        frame.text = "\n".join(before + [clean(p).replace("\r", "\n") for p in paragraphs])

    def _shape(self, kind: Any, box: Box, alt: str) -> Any:
        shape = self.slide.shapes.add_shape(kind, *emus(box))
        shape.line.fill.background()
        style = shape._element.find(qn("p:style"))  # a theme's shadows and outlines
        shape._element.remove(style)
        describe(shape._element.nvSpPr.cNvPr, alt)
        return shape

    def _titles(self, title: str, more: str, place: Place, size: float) -> Fitted:
        """Fit a title, less of it where something has to follow."""
        box, least = place.box, min(LEAST_TITLE, size)
        for longest in (len(title), 120, 80, 40) if more else (len(title),):
            text = say(shortened(title, longest) + more)
            fitted = fit((text,), box.width, box.height, place.faces, size, least)
            if not fitted.is_cut:
                break
        return fitted

    def _title(self, fitted: Fitted, is_cover: bool) -> None:
        for shape in list(self.slide.placeholders):
            if shape.placeholder_format.type in TITLES:
                shape.text_frame.auto_size = MSO_AUTO_SIZE.NONE
                shape.text_frame.word_wrap = True
                write(shape.text_frame, fitted, None, self.design.fade)
                for run in shape._element.iter(qn("a:rPr")):
                    run.set("cap", "none")
                    run.set("spc", "0")
            elif not (is_cover and shape.placeholder_format.type == PP_PLACEHOLDER.SUBTITLE):
                shape._element.getparent().remove(shape._element)

    def _foot(self, layout: Any, text: str) -> None:
        """Put footer and page number where the layout has places for them."""
        for shape in layout.placeholders:
            kind = shape.placeholder_format.type
            place = box_of(shape)
            is_there = place is not None and place.bottom <= self.design.height
            if kind not in (PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER) or not is_there:
                continue
            element = copy.deepcopy(shape._element)
            element.nvSpPr.cNvPr.set("id", str(self.slide.shapes._next_shape_id))
            self.slide.shapes._spTree.append(element)
            own = self.slide.shapes[-1]
            if kind == PP_PLACEHOLDER.FOOTER:
                width = Emu(shape.width).inches - 0.2
                line = fit((say(text),), width, 0.2, self.design.faces, FOOT, FOOT)
                write(own.text_frame, line, None)
            else:
                _number(own, len(self.design.presentation.slides))


def _number(shape: Any, page: int) -> None:
    """Make a place's text the page's number, which follows when pages are moved."""
    paragraph = shape.text_frame.paragraphs[0]._p
    for old in list(paragraph):
        if old.tag != qn("a:pPr"):
            paragraph.remove(old)
    paragraph.append(
        parse_xml(
            f'<a:fld {nsdecls("a")} id="{{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}}" '
            f'type="slidenum"><a:rPr lang="en-GB" sz="{FOOT * 100:.0f}"/><a:t>{page}</a:t></a:fld>'
        )
    )
