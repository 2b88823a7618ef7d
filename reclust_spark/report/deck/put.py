"""Texts, colours and descriptions as python-pptx takes them."""

from __future__ import annotations

import unicodedata
from typing import Any

from pptx.dml.color import RGBColor
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
from pptx.util import Emu, Inches, Pt

from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.clean import one_line
from reclust_spark.report.deck.fit import Fitted, Run

MUTED, HAIR = 0.3, 0.8
"""How much lighter than ink a text that matters less and a line are."""
ANCHORS = {"top": MSO_ANCHOR.TOP, "middle": MSO_ANCHOR.MIDDLE, "bottom": MSO_ANCHOR.BOTTOM}
ALIGN = {"left": PP_ALIGN.LEFT, "right": PP_ALIGN.RIGHT, "center": PP_ALIGN.CENTER}
_LONGEST_ALT = 900


def emus(box: Box) -> tuple[Emu, Emu, Emu, Emu]:
    """Return a box as python-pptx takes it."""
    return Inches(box.left), Inches(box.top), Inches(box.width), Inches(box.height)


def rgb(colour: str) -> Any:
    """Return ``#RRGGBB`` as python-pptx takes it."""
    return RGBColor.from_string(colour[1:])


def ink(colour: Any, brightness: float = 0.0) -> None:
    """Make a colour the design's own for text, or a lighter one."""
    colour.theme_color = MSO_THEME_COLOR.TEXT_1
    if brightness:
        colour.brightness = brightness


def describe(properties: Any, alt: str) -> None:
    """Give a shape the text that is read out in its place."""
    alt = one_line(alt)
    properties.set("descr", alt if len(alt) <= _LONGEST_ALT else alt[: _LONGEST_ALT - 1] + "…")


def frame_of(shape: Any, anchor: str) -> None:
    """Make a shape's frame one that keeps its size and has no insets."""
    frame = shape.text_frame
    frame.word_wrap = True
    frame.auto_size = MSO_AUTO_SIZE.NONE
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    frame.vertical_anchor = ANCHORS[anchor]


def write(frame: Any, fitted: Fitted, align: str | None, fade: float = 1.0) -> None:
    """Write fitted paragraphs into a frame.

    Parameters
    ----------
    frame : pptx.text.text.TextFrame
    fitted : Fitted
    align : str or None
        left, right or center; None leaves it to the design.
    fade : float
        `Design.fade`.
    """
    for at, paragraph in enumerate(fitted.paragraphs):
        made = frame.paragraphs[0] if at == 0 else frame.add_paragraph()
        if align is None:  # a placeholder: its design may say otherwise
            made.line_spacing, made.space_before = 1.0, Pt(0)
        if paragraph.after and at < len(fitted.paragraphs) - 1:
            made.space_after = Pt(round(paragraph.after * fitted.size, 1))
        elif align is None:
            made.space_after = Pt(0)
        if is_right_to_left(paragraph.text):
            made._p.get_or_add_pPr().set("rtl", "1")
            made.alignment = ALIGN["right" if align in (None, "left") else align]
        elif align is not None:
            made.alignment = ALIGN[align]
        for run in paragraph.runs:
            _run(made.add_run(), run, fitted.size, fade)
        if not paragraph.runs:  # an empty line is as high as this says, else of 18 points
            made._p.get_or_add_endParaRPr().set("sz", f"{fitted.size * 100:.0f}")


def is_right_to_left(text: str) -> bool:
    """Tell whether the first letter that has a direction is read from right to left (UAX 9)."""
    for letter in text:
        direction = unicodedata.bidirectional(letter)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def _run(made: Any, run: Run, size: float, fade: float) -> None:
    made.text = run.text
    made.font.size = Pt(size)
    if run.bold:
        made.font.bold = True
    if run.muted:
        ink(made.font.color, MUTED * fade)
