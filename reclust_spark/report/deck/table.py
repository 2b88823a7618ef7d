"""Native tables whose rows are as high as they were measured to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls, qn
from pptx.util import Inches

from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.fit import (
    POINTS,
    SLACK,
    TABLE,
    Faces,
    Fitted,
    Measured,
    Paragraph,
    Run,
    line_height,
    lines_in,
    sizes_between,
)
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.put import ANCHORS, describe, emus, write

PAD_X, PAD_Y = 0.06, 0.025
_MOST_LINES = 8
_PLAIN = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"
"""PowerPoint's table style without lines and fills."""


class Cell(NamedTuple):
    """What stands in a cell.

    Attributes
    ----------
    runs : tuple of Run
    align : str
        left, right or center.
    indent : float
        Of the words, inches.
    span : int
        How many columns it takes; the cells that it covers are there, empty.
    """

    runs: tuple[Run, ...] = ()
    align: str = "left"
    indent: float = 0.0
    span: int = 1


class FittedTable(NamedTuple):
    """Rows that fit.

    Attributes
    ----------
    cells : tuple of tuples of Cell
        The header first; its words cut where they had to be.
    widths, heights : tuple of float
        Of columns and rows, inches.
    size : float
        Points.
    is_cut : bool
        Words of a cell are gone.
    """

    cells: tuple[tuple[Cell, ...], ...]
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    size: float
    is_cut: bool


def cell(*parts: str | Run, align: str = "left", indent: float = 0.0, span: int = 1) -> Cell:
    """Make a cell of words."""
    return Cell(tuple(p if isinstance(p, Run) else Run(p) for p in parts), align, indent, span)


def header(*titles: str, right: Sequence[int] = ()) -> tuple[Cell, ...]:
    """Make a header of column titles, some of them to the right."""
    return tuple(
        cell(Run(title, bold=True, muted=True), align="right" if at in right else "left")
        for at, title in enumerate(titles)
    )


def fit_table(
    rows: Sequence[Sequence[Cell]],
    widths: Sequence[float],
    height: float,
    faces: Faces,
    size: float = 11.0,
    least: float = TABLE,
    row_heights: tuple[float, float] = (0.0, 0.0),
    equal: bool = False,
) -> FittedTable:
    """Fit a table into a height: smaller, then cells cut, then rows left out at its end.

    Parameters
    ----------
    rows : sequence of rows
        The header first.
    widths : sequence of float
        Inches.
    height : float
    faces : Faces
    size, least : float
        Points.
    row_heights : (float, float)
        The least height of a row below the header; up to which one rows grow where there is room.
    equal : bool
        All rows below the header are as high as the highest.
    """
    grid = [_Line.of(row, widths, faces) for row in rows]
    lowest, highest = row_heights

    def heights_of(points: float, most: int) -> list[float]:
        head, *found = (line.height(points, most) for line in grid)
        found = [max(lowest, one) for one in found]
        return [head, *([max(found)] * len(found) if equal and found else found)]

    most, points = _MOST_LINES**2, least
    for points in sizes_between(size, least):
        heights = heights_of(points, most)
        if sum(heights) <= height:
            break
    else:
        for most in range(_MOST_LINES, 0, -1):
            heights = heights_of(points, most)
            if sum(heights) <= height:
                break
        while sum(heights) > height and len(heights) > 1:
            heights.pop()
    grid = grid[: len(heights)]
    if len(heights) > 1:
        spare = (height - sum(heights)) / (len(heights) - 1)
        heights = [heights[0], *(max(h, min(h + spare, highest)) for h in heights[1:])]
    return FittedTable(
        tuple(line.shown(points, most) for line in grid),
        tuple(widths),
        tuple(heights),
        float(points),
        any(line.lines(points) > most for line in grid),
    )


def draw_table(
    page: Page, left: float, top: float, table: FittedTable, alt: str, has_head: bool = True
) -> list[Box]:
    """Draw a table.

    Returns
    -------
    list of Box
        Its rows, the header first.
    """
    width = sum(table.widths)
    box = Box(left, top, width, sum(table.heights))
    frame = page.slide.shapes.add_table(len(table.heights), len(table.widths), *emus(box))
    describe(frame._element.nvGraphicFramePr.cNvPr, alt)
    made = frame.table
    properties = made._tbl.tblPr
    properties.find(qn("a:tableStyleId")).text = _PLAIN
    properties.set("bandRow", "0")
    properties.set("firstRow", "1" if has_head else "0")
    for column, inch in zip(made.columns, table.widths, strict=True):
        column.width = Inches(inch)
    boxes = []
    for at, (row, inch) in enumerate(zip(made.rows, table.heights, strict=True)):
        row.height = Inches(inch)
        boxes.append(Box(left, top, width, inch))
        top += inch
        places = list(row.cells)
        for column_at, (place, content) in enumerate(zip(places, table.cells[at], strict=True)):
            if content.span > 1:
                place.merge(places[column_at + content.span - 1])
            pads = _pads(column_at, len(places), content.span)
            _write(page, place, content, pads, table.size, is_head=has_head and at == 0)
    return boxes


class _Line(NamedTuple):
    """A row, measured: its cells and the widths that their words have."""

    cells: tuple[Cell, ...]
    measured: tuple[Measured, ...]
    widths: tuple[float, ...]

    @classmethod
    def of(cls, row: Sequence[Cell], widths: Sequence[float], faces: Faces) -> _Line:
        """Measure a row."""
        return cls(
            tuple(row),
            tuple(Measured(Paragraph(content.runs, 0.0), faces) for content in row),
            tuple(
                sum(widths[at : at + content.span])
                - sum(_pads(at, len(row), content.span))
                - content.indent
                for at, content in enumerate(row)
            ),
        )

    def lines(self, points: float) -> int:
        """Return how many lines its longest cell takes."""
        return max(lines_in(m, w, points) for m, w in zip(self.measured, self.widths, strict=True))

    def height(self, points: float, most: int) -> float:
        """Return its height where no cell has more than `most` lines, inches."""
        tallest = max(
            min(most, lines_in(m, w, points)) * line_height(m, points)
            for m, w in zip(self.measured, self.widths, strict=True)
        )
        return tallest + 2 * PAD_Y

    def shown(self, points: float, most: int) -> tuple[Cell, ...]:
        """Return its cells, the words cut that take more lines."""
        return tuple(
            content._replace(
                runs=m.paragraph.runs if lines_in(m, w, points) <= most
                else m.cut(w * SLACK * POINTS / points, most).runs
            )
            for content, m, w in zip(self.cells, self.measured, self.widths, strict=True)
        )  # fmt: skip


def _pads(at: int, n: int, span: int) -> tuple[float, float]:
    """Return a cell's insets: a table's edges stand in line with what is above and below it."""
    return (PAD_X if at else 0.0), (PAD_X if at + span < n else 0.0)


def _write(
    page: Page, place: Any, content: Cell, pads: tuple[float, float], size: float, is_head: bool
) -> None:
    place.margin_left, place.margin_right = Inches(pads[0] + content.indent), Inches(pads[1])
    place.margin_top = place.margin_bottom = Inches(PAD_Y)
    place.vertical_anchor = ANCHORS["bottom" if is_head else "middle"]
    fitted = Fitted((Paragraph(content.runs, 0.0),), size, 0.0, False)
    write(place.text_frame, fitted, content.align, page.design.fade)
    properties = place._tc.get_or_add_tcPr()
    properties.append(_line(is_head, page.design.fade))
    place.fill.background()


def _line(is_head: bool, fade: float) -> Any:
    """Return a cell's lower edge: nearer to paper than ink, less so below the header."""
    width, part = (12700, 0.5) if is_head else (6350, 0.85)
    offset = f'<a:lumOff val="{part * 100_000:.0f}"/>' if fade > 0 else ""
    return parse_xml(
        f'<a:lnB {nsdecls("a")} w="{width}"><a:solidFill><a:schemeClr val="tx1">'
        f'<a:lumMod val="{(1 - part) * 100_000:.0f}"/>{offset}</a:schemeClr></a:solidFill></a:lnB>'
    )
