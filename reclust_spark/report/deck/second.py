"""An outside question by a second one, as native bars: a panel a level, a row a second answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reclust_spark.paths import ROOT
from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import Cell, CellKey, Cluster, Outside, name_of
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.charts import FOOT, Bars, Series, bars, number_format
from reclust_spark.report.deck.deck import GUTTER, Deck, legend
from reclust_spark.report.deck.fit import Run, bold, muted, say
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.table import cell, draw_table, fit_table
from reclust_spark.report.deck.words import FEW, number, percent
from reclust_spark.warehouse.names import SHARE

MOST_ROWS, MOST_PANELS = 12, 3
"""More second answers are a heat map; more levels are left to the workbook."""
_THICK = 0.07
"""The least thickness of a bar, inches."""
_NAMES, _LEGEND, _HEAD, _NOTE, _GAP = 0.17, 0.34, 0.42, 0.42, 40
_LISTED = 8


class Panel(NamedTuple):
    """A level of the question, or the mean or median: a title and what its cells are keyed by."""

    title: str
    level: str
    statistic: str


def can_be_bars(area: Box, outside: Outside, n_rows: int) -> bool:
    """Tell whether bars of every cluster and second answer would be thick enough to be told."""
    room = area.height - _LEGEND - _HEAD - _NOTE - FOOT - 0.3
    thick = room / max(1, len(outside.by_levels)) / (n_rows + _GAP / 100)
    return len(outside.by_levels) <= MOST_ROWS and thick >= _THICK and n_rows <= MOST_ROWS


def panels_of(outside: Outside, most: int) -> list[Panel]:
    """Return what is shown side by side: the levels most people gave, in their own order."""
    if SHARE not in outside.statistics:
        return [Panel(name, "", name) for name in outside.statistics][:most]
    largest = sorted(outside.levels, key=lambda level: -_everyone(outside, level))[:most]
    return [Panel(level, level, SHARE) for level in outside.levels if level in largest]


def ceiling(share: float) -> float:
    """Return where an axis of shares ends."""
    return next((end for end in (0.1, 0.2, 0.4, 0.6, 0.8) if end >= share), 1.0)


def _everyone(outside: Outside, level: str) -> float:
    """Return about how many of everyone gave a level: over all second answers."""
    cells = [
        outside.cells.get(CellKey(ROOT, by, level, SHARE)) for by in outside.by_levels or ("",)
    ]
    known = [(c.value, c.n) for c in cells if c is not None and c.value is not None and c.n]
    total = sum(n for _, n in known)
    return sum(value * n for value, n in known) / total if total else 0.0


def second_page(deck: Deck, page: Page, outside: Outside, rows: Sequence[Cluster]) -> None:
    """Draw a panel a level: second answers in rows, a bar a cluster."""
    head, body = page.area.off_top(_LEGEND, 0.1)
    body, note = body.off_bottom(_NOTE, 0.1)
    legend(page, head, rows)
    panels = panels_of(outside, MOST_PANELS)
    names = body.width * _NAMES
    wide = min((body.width - names) / len(panels), 5.0)
    by = outside.by_text or outside.by_question
    lines = [[cell(Run(by, muted=True)), *(cell(bold(panel.title)) for panel in panels)]]
    lines += [[cell(bold(level)), *[cell()] * len(panels)] for level in outside.by_levels]
    table = fit_table(
        lines, [names, *[wide] * len(panels)], body.height - FOOT, deck.design.faces, 11,
        row_heights=(0.2, 1.6), equal=True,
    )  # fmt: skip
    boxes = draw_table(page, body.left, body.top, table, f"{outside.text}: panels; {by}: rows")[1:]
    hidden: list[str] = []
    for at, panel in enumerate(panels):
        plot = Box(
            body.left + names + at * wide, boxes[0].top, wide - GUTTER,
            sum(box.height for box in boxes) + FOOT,
        )  # fmt: skip
        hidden += _panel(deck, page, plot, outside, panel, rows, [b.height for b in boxes])
    _note(page, note, outside, panels, hidden)


def _panel(
    deck: Deck, page: Page, box: Box, outside: Outside, panel: Panel, rows: Sequence[Cluster],
    heights: Sequence[float],
) -> list[str]:  # fmt: skip
    """Draw a panel; return in words what is hidden in it."""
    cells = {
        (row.path, by): outside.cells.get(CellKey(row.path, by, panel.level, panel.statistic))
        for row in rows for by in outside.by_levels
    }  # fmt: skip
    values = [c.value for c in cells.values() if c is not None and c.value is not None]
    hidden = [
        f"{name_of(path)} in {by}" for (path, by), c in cells.items()
        if c is not None and c.suppressed
    ]  # fmt: skip
    if not values:
        return hidden
    series = [
        Series(
            name_of(row.path),
            [_value(cells[row.path, by]) for by in outside.by_levels],
            [colour_of(row.path)],
        )
        for row in rows
    ]
    is_share = panel.statistic == SHARE
    largest = ceiling(max(values)) if is_share else None
    form = "0%" if is_share else number_format(values)
    how = Bars(form, 0.0 if min(values) >= 0 else None, largest, gap=_GAP)
    write = percent if is_share else number
    alt = f"{outside.text}: {panel.title}. " + "; ".join(
        f"{name_of(path)} in {by} {FEW if c is None or c.value is None else write(c.value)}"
        for (path, by), c in cells.items()
    )
    bars(page, box, outside.by_levels, series, how, alt, deck.report.made_at)
    _cross(page, box, outside, rows, cells, heights)
    return hidden


def _cross(
    page: Page, box: Box, outside: Outside, rows: Sequence[Cluster],
    cells: dict[tuple[str, str], Cell | None], heights: Sequence[float],
) -> None:  # fmt: skip
    """Mark the places of the bars that are not shown."""
    top = box.top
    for by, tall in zip(outside.by_levels, heights, strict=True):
        thick = tall / (len(rows) + _GAP / 100)
        for at, row in enumerate(rows):
            one = cells[row.path, by]
            if one is not None and one.suppressed:
                side = min(0.16, thick)
                middle = top + thick * (_GAP / 200 + at + 0.5)
                place = Box(box.left + 0.04, middle - side / 2, side, side)
                page.cross(place, f"{name_of(row.path)} in {by}: {FEW}, not shown")
        top += tall


def _value(one: Cell | None) -> float | None:
    return None if one is None else one.value


def _note(
    page: Page, box: Box, outside: Outside, panels: Sequence[Panel], hidden: Sequence[str]
) -> None:
    words = "Intervals are in the workbook. "
    if unique := list(dict.fromkeys(hidden)):
        more = f" and {len(unique) - _LISTED} more" if len(unique) > _LISTED else ""
        words += f"×: not shown, {FEW}: {'; '.join(unique[:_LISTED])}{more}. "
    if outside.levels and len(panels) < len(outside.levels):
        words += f"{len(outside.levels) - len(panels)} rarer answers are in the workbook. "
    source = f"Source: {outside.input_table}." if outside.input_table else ""
    page.text(box, (say(muted((words + source).strip())),), 10, anchor="bottom")
