"""Whose design the deck takes: a user's template, or its own."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pptx
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.exc import PythonPptxError
from pptx.opc.constants import CONTENT_TYPE as CT
from pptx.opc.constants import RELATIONSHIP_TYPE as RT
from pptx.oxml.ns import qn

from reclust_spark.errors import ConfigError
from reclust_spark.report.deck.design import FOOTERS, TITLES, Design, design_of, title_of

_WIDTH, _HEIGHT = 6.0, 3.2
"""The least sides of what remains of a slide, inches: below, no page can be laid out."""


def check_template(file: Path) -> None:
    """Check that a template can be used.

    Parameters
    ----------
    file : Path

    Raises
    ------
    ConfigError
        If it is not there, no .pptx, or none of its layouts has a title.
    """
    open_template(file)


def open_template(file: Path) -> Design:
    """Open a template: its slides are left out, its master, layouts and theme are kept.

    Parameters
    ----------
    file : Path

    Returns
    -------
    Design

    Raises
    ------
    ConfigError
        As `check_template`.
    """
    presentation = _opened(file)
    _drop_slides(presentation)
    layouts = [
        layout
        for master in presentation.slide_masters
        for layout in master.slide_layouts
        if title_of(layout) is not None
    ]
    if not layouts:
        raise _refused(
            file, "none of its layouts has a title across the slide",
            "a .pptx with a layout that has a title placeholder",
            "add the layout 'Title Only' to its slide master",
        )  # fmt: skip
    page = min(layouts, key=_others)
    cover = next((layout for layout in layouts if _is_cover(layout)), page)
    design = design_of(presentation, cover, page)
    if design.area.width < _WIDTH or design.area.height < _HEIGHT:
        raise _refused(
            file,
            f"beside the title of its layout {page.name!r} {design.area.width:.1f} × "
            f"{design.area.height:.1f} inches remain",
            f"at least {_WIDTH} × {_HEIGHT} inches for what is on a slide",
            "make the slides larger or the title smaller",
        )
    return design


def _opened(file: Path) -> Any:
    allowed = "a PowerPoint file (.pptx)"
    remedy = "name another one in report.template, or leave it out: the deck has its own design"
    if not file.is_file():
        raise _refused(file, "there is no such file", allowed, remedy)
    try:
        presentation = pptx.Presentation(str(file))
        kind = presentation.part.content_type
        # all that is read of it, so that a broken one is known here
        [list(m.slide_layouts) for m in presentation.slide_masters]
        sides = (presentation.slide_width, presentation.slide_height)
    except (
        PythonPptxError, zipfile.BadZipFile, SyntaxError, OSError, KeyError, ValueError,
        AttributeError, NotImplementedError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refused(file, f"cannot be opened: {reason}", allowed, remedy) from error
    if kind != CT.PML_PRESENTATION_MAIN:
        raise _refused(
            file, f"is of another kind ({kind.rpartition('.')[2]})", allowed,
            "save it as .pptx, without macros and not as a template, from PowerPoint",
        )  # fmt: skip
    if None in sides:
        raise _refused(file, "does not say how large its slides are", allowed, remedy)
    return presentation


def _refused(file: Path, found: str, allowed: str, remedy: str) -> ConfigError:
    return ConfigError(f"template {file}", found, allowed, remedy)


def _drop_slides(presentation: Any) -> None:
    """Remove the slides, and what else of the presentation speaks of them."""
    element, part = presentation.part._element, presentation.part
    for listed in element.findall(qn("p:custShowLst")):
        element.remove(listed)
    extensions = element.find(qn("p:extLst"))
    if extensions is not None:  # the sections that slides are sorted into
        element.remove(extensions)
    for slide in list(presentation.slides._sldIdLst):
        part.drop_rel(slide.rId)
        presentation.slides._sldIdLst.remove(slide)
    # the view may list slides, and the picture shows the first one
    for rels, kind in ((part.rels, RT.VIEW_PROPS), (part.package._rels, RT.THUMBNAIL)):
        for found in [rid for rid, rel in rels.items() if rel.reltype == kind]:
            rels.pop(found)


def _others(layout: Any) -> int:
    """Return how many places of a layout the deck would leave empty."""
    return sum(1 for _ in _places(layout))


def _places(layout: Any) -> Iterator[Any]:
    for shape in layout.placeholders:
        if shape.placeholder_format.type not in (*TITLES, *FOOTERS):
            yield shape.placeholder_format.type


def _is_cover(layout: Any) -> bool:
    titles = [s.placeholder_format.type for s in layout.placeholders]
    return PP_PLACEHOLDER.CENTER_TITLE in titles or PP_PLACEHOLDER.SUBTITLE in titles
