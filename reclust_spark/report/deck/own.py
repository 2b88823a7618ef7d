"""The deck's own design, where there is no template: wide, white, a title above a grid."""

from __future__ import annotations

from typing import Any

import pptx
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.opc.constants import RELATIONSHIP_TYPE as RT
from pptx.opc.oxml import serialize_part_xml
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls, qn
from pptx.util import Inches

from reclust_spark.report.colours import EVERYONE, HUES
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.design import FONT, Design, design_of

WIDTH, HEIGHT = 40 / 3, 7.5
INK, PAPER, SOFT = "222426", "FFFFFF", "F3F4F6"
_MARGIN = 0.6
_INNER = WIDTH - 2 * _MARGIN

_TITLE = Box(_MARGIN, 0.3, _INNER, 0.85)
_BODY = Box(_MARGIN, 1.3, _INNER, 5.55)
_FOOT = 7.02
_COVER = 4000
"""The size of the cover's title, hundredths of a point."""
_PLACES = {
    PP_PLACEHOLDER.TITLE: _TITLE,
    PP_PLACEHOLDER.BODY: _BODY,
    PP_PLACEHOLDER.DATE: Box(_MARGIN, _FOOT, 2.0, 0.25),
    PP_PLACEHOLDER.FOOTER: Box(_MARGIN, _FOOT, 9.0, 0.25),
    PP_PLACEHOLDER.SLIDE_NUMBER: Box(WIDTH - _MARGIN - 1.0, _FOOT, 1.0, 0.25),
    PP_PLACEHOLDER.CENTER_TITLE: Box(_MARGIN, 1.55, _INNER, 1.7),
    PP_PLACEHOLDER.SUBTITLE: Box(_MARGIN, 3.4, _INNER, 1.3),
}


def open_own() -> Design:
    """Make the deck's own design out of python-pptx's.

    Returns
    -------
    Design
    """
    presentation = pptx.Presentation()
    presentation.slide_width, presentation.slide_height = Inches(WIDTH), Inches(HEIGHT)
    rels = presentation.part.package._rels
    for found in [rid for rid, rel in rels.items() if rel.reltype == RT.THUMBNAIL]:
        rels.pop(found)
    master = presentation.slide_master
    cover, page = master.slide_layouts[0], master.slide_layouts[5]
    for layout in list(master.slide_layouts):
        if layout not in (cover, page):
            master.slide_layouts.remove(layout)
    for sheet in (master, cover, page):
        for shape in list(sheet.placeholders):
            _put(shape)
    _style(master)
    _paint(master)
    return design_of(presentation, cover, page)


def _put(shape: Any) -> None:
    """Put a placeholder where it belongs; the date's has none, the footer says it."""
    kind = shape.placeholder_format.type
    if kind == PP_PLACEHOLDER.DATE:
        shape._element.getparent().remove(shape._element)
        return
    box = _PLACES[kind]
    shape.left, shape.top = Inches(box.left), Inches(box.top)
    shape.width, shape.height = Inches(box.width), Inches(box.height)
    body = shape._element.txBody.find(qn("a:bodyPr"))
    for side in ("lIns", "tIns", "rIns", "bIns"):
        body.set(side, "0")
    body.set("anchor", "t" if kind == PP_PLACEHOLDER.SUBTITLE else "b")
    if kind == PP_PLACEHOLDER.CENTER_TITLE:
        styles = shape._element.txBody.find(qn("a:lstStyle"))
        styles.insert(
            0, parse_xml(f'<a:lvl1pPr {nsdecls("a")}><a:defRPr sz="{_COVER}"/></a:lvl1pPr>')
        )
    right = kind == PP_PLACEHOLDER.SLIDE_NUMBER
    for level in shape._element.iter(qn("a:lvl1pPr")):
        level.set("algn", "r" if right else "l")
        for character in level.iter(qn("a:defRPr")):
            if kind in (PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER):
                character.set("sz", "900")


def _style(master: Any) -> None:
    """Set titles to the left, bold and of a size that leaves room."""
    level = master._element.find(f"{qn('p:txStyles')}/{qn('p:titleStyle')}/{qn('a:lvl1pPr')}")
    level.set("algn", "l")
    character = level.find(qn("a:defRPr"))
    character.set("sz", "2600")
    character.set("b", "1")


def _paint(master: Any) -> None:
    """Give the theme its fonts and colours: charts that are made in it take the clusters' hues."""
    part = master.part.part_related_by(RT.THEME)
    theme = parse_xml(part.blob)
    for kind in ("majorFont", "minorFont"):
        theme.find(f".//{qn(f'a:{kind}')}/{qn('a:latin')}").set("typeface", FONT)
    colours = {
        "dk1": INK, "lt1": PAPER, "dk2": EVERYONE[1:], "lt2": SOFT,
        **{f"accent{at}": hue[1:] for at, hue in enumerate(HUES[:6], start=1)},
        "hlink": HUES[0][1:], "folHlink": HUES[3][1:],
    }  # fmt: skip
    scheme = theme.find(f".//{qn('a:clrScheme')}")
    for name, colour in colours.items():
        place = scheme.find(qn(f"a:{name}"))
        for old in list(place):
            place.remove(old)
        place.append(parse_xml(f'<a:srgbClr {nsdecls("a")} val="{colour}"/>'))
    for named in (theme, scheme, theme.find(f".//{qn('a:fontScheme')}")):
        named.set("name", "reclust")
    part._blob = serialize_part_xml(theme)
