"""Outside questions, a page each: clusters of depth 1 beside each other, with everyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reclust_spark.crosstab.discovery import DISCOVERED
from reclust_spark.paths import ROOT
from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import Cell, CellKey, Cluster, Outside, name_of
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.charts import FOOT, Bars, Series, bars
from reclust_spark.report.deck.deck import CHIP, GUTTER, Deck, chip, name_of_cluster, rows_in
from reclust_spark.report.deck.dots import dots
from reclust_spark.report.deck.fit import (
    TABLE,
    Paragraph,
    bold,
    muted,
    say,
    sizes_between,
    width_of,
)
from reclust_spark.report.deck.heat import heat_page
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.second import can_be_bars, ceiling, second_page
from reclust_spark.report.deck.table import PAD_X, cell, draw_table, fit_table
from reclust_spark.report.deck.table import Cell as Place
from reclust_spark.report.deck.words import FEW, called, differs, number, percent
from reclust_spark.warehouse.names import SHARE

ROW, FULL_ROW = 0.215, 0.95
"""The least and the greatest height of a cluster's row, inches."""
_NOTE, _HEAD = 0.42, 0.42
_NAMES, _PANEL = 0.25, 2.1
"""The part of the width that names have, and the least width of a panel, inches."""
_FIGURES = 0.6
"""The part of a panel that its figures have at most."""


class Panel(NamedTuple):
    """A level, or the mean or median: its title and a cell a row."""

    title: str
    cells: Sequence[Cell | None]


def outside_page(deck: Deck, outside: Outside) -> None:
    """Make the page of an outside question.

    Parameters
    ----------
    deck : Deck
    outside : Outside
    """
    by = f" · by {outside.by_text or outside.by_question}" if outside.by_question else ""
    page = deck.page(f"{outside.text or outside.question}{by}")
    clusters = deck.report.children(ROOT)
    if _is_empty(outside):
        page.text(page.area, (say(muted("Nobody has answered this question.")),), 18)
    elif outside.by_question:
        shown = [deck.report.root, *clusters]
        if can_be_bars(page.area, outside, len(shown)):
            second_page(deck, page, outside, shown)
        else:
            heat_page(deck, page, outside, shown)
    elif len(_panels_of(outside, [])) <= _most_panels(page.area):
        _panels_page(deck, page, outside, clusters)
    else:
        heat_page(deck, page, outside, [deck.report.root, *clusters])


def _is_empty(outside: Outside) -> bool:
    has_levels = bool(outside.levels) or SHARE not in outside.statistics
    return not has_levels or bool(outside.by_question) > bool(outside.by_levels)


def _most_panels(area: Box) -> int:
    return max(1, int(area.width * (1 - _NAMES) / _PANEL))


def _panels_of(outside: Outside, rows: Sequence[Cluster]) -> list[Panel]:
    """Return a panel a level; for a number, one for each statistic."""
    if SHARE in outside.statistics:
        keys = [(level, level, SHARE) for level in outside.levels]
    else:
        keys = [(name, "", name) for name in outside.statistics]
    return [
        Panel(
            title,
            [outside.cells.get(CellKey(c.path, "", level, statistic)) for c in rows],
        )
        for title, level, statistic in keys
    ]


def _panels_page(deck: Deck, page: Page, outside: Outside, clusters: Sequence[Cluster]) -> None:
    """Draw a panel a level: figures, and native bars or dots with their intervals."""
    body, note = page.area.off_bottom(_NOTE, 0.1)
    room = rows_in(body.height - FOOT - _HEAD, ROW) - 1
    largest = sorted(clusters, key=lambda c: (-c.share, c.path))[:room]
    rows = [deck.report.root, *(c for c in clusters if c in largest)]
    panels = _panels_of(outside, rows)
    frame = _frame(deck, outside, body, rows, panels)
    table = fit_table(
        _lines(outside, rows, panels, frame), frame.widths(len(panels)), body.height - FOOT,
        deck.design.faces, frame.size, row_heights=(ROW, FULL_ROW), equal=True,
    )  # fmt: skip
    boxes = draw_table(
        page, body.left, body.top, table,
        f"{outside.text}: everyone and clusters in rows; a value, its interval, and ▲ or ▼ where "
        "it differs from the rest",
    )[1:]  # fmt: skip
    rows = rows[: len(boxes)]
    for row, box in zip(rows, boxes, strict=True):
        chip(page, box, colour_of(row.path))
    height = sum(box.height for box in boxes) + FOOT
    for at, panel in enumerate(panels):
        left = body.left + frame.names + at * frame.wide + frame.figures
        place = Box(left, boxes[0].top, frame.chart, height)
        shown = panel._replace(cells=panel.cells[: len(rows)])
        _panel_chart(deck, page, place, outside, shown, rows)
    _note(page, note, outside, len(clusters) + 1 - len(rows))


class _Frame(NamedTuple):
    """The widths of a page of panels, inches, and its size, points.

    A panel is `wide`: its figures, its chart, and a gap, which a panel alone does without.
    """

    names: float
    wide: float
    figures: float
    gap: float
    size: float
    has_limits: bool

    @property
    def chart(self) -> float:
        """The width of a panel's chart."""
        return self.wide - self.figures - self.gap

    @property
    def columns(self) -> tuple[float, ...]:
        """The widths of a panel's columns."""
        return tuple(w for w in (self.figures, self.chart, self.gap) if w)

    def widths(self, panels: int) -> list[float]:
        """Return the widths of the table's columns."""
        return [self.names, *self.columns * panels]


def _frame(
    deck: Deck, outside: Outside, body: Box, rows: Sequence[Cluster], panels: Sequence[Panel]
) -> _Frame:
    """Give figures the width that the widest asks for, at the size at which charts have theirs.

    Where even small figures have no room, the limits of intervals are left to the charts.
    """
    names = body.width * _NAMES
    wide = min((body.width - names) / len(panels), 4.5)
    gap = GUTTER if len(panels) > 1 else 0.0
    for has_limits in (True, False):
        texts = [
            Paragraph(_figure(one, row, SHARE in outside.statistics, has_limits).runs)
            for panel in panels
            for row, one in zip(rows, panel.cells, strict=True)
        ]
        for size in sizes_between(12.0, TABLE):
            widest = max(width_of(text, deck.design.faces, size) for text in texts) + 2 * PAD_X
            if widest <= _FIGURES * (wide - gap):
                return _Frame(names, wide, widest, gap, float(size), has_limits)
    return _Frame(names, wide, _FIGURES * (wide - gap), gap, TABLE, False)


def _lines(
    outside: Outside, rows: Sequence[Cluster], panels: Sequence[Panel], frame: _Frame
) -> list[list[Place]]:
    """Return the table's rows: figures, and cells that charts stand on."""
    blank = [cell()] * (len(frame.columns) - 1)
    head = [cell()]
    for panel in panels:
        head += [cell(bold(panel.title), span=2), *blank]
    lines = [head]
    for at, row in enumerate(rows):
        line = [_name(row)]
        for panel in panels:
            figure = _figure(panel.cells[at], row, SHARE in outside.statistics, frame.has_limits)
            line += [figure, *blank]
        lines.append(line)
    return lines


def _name(cluster: Cluster) -> Place:
    name = name_of_cluster(cluster)
    return cell(bold(name.number), f" {name.label}" if name.label else "", indent=CHIP)


def _figure(one: Cell | None, row: Cluster, is_share: bool, has_limits: bool) -> Place:
    """Return a value, with its interval or without, marked where it differs from the rest."""
    if one is None:
        return cell(muted("–"))
    if one.suppressed or one.value is None:
        return cell(muted(FEW))
    write = number
    if is_share:  # as many digits in the limits as in the value
        digits = 1 if one.value < 0.0995 else 0
        write = f"{{:.{digits}%}}".format
    mark = ""
    if row.path != ROOT and differs(one):
        mark = " ▲" if one.value > (one.population_value or 0.0) else " ▼"
    limits = ""
    if has_limits and one.low is not None and one.high is not None:
        low, high = write(one.low), write(one.high)
        limits = f"  {low.removesuffix('%') if is_share else low}–{high}"
    return cell(bold(f"{write(one.value)}{mark}"), muted(limits))


def _panel_chart(
    deck: Deck, page: Page, box: Box, outside: Outside, panel: Panel, rows: Sequence[Cluster]
) -> None:
    names = [called(row) for row in rows]
    values = [None if one is None else one.value for one in panel.cells]
    if all(value is None for value in values):
        return
    series = Series(
        panel.title,
        values,
        [colour_of(row.path) for row in rows],
        [None if one is None else one.low for one in panel.cells],
        [None if one is None else one.high for one in panel.cells],
        [row.path != ROOT and not differs(one) for row, one in zip(rows, panel.cells, strict=True)],
    )
    is_share = SHARE in outside.statistics
    alt = f"{outside.text}: {panel.title}. " + "; ".join(
        f"{name} {'not shown' if value is None else percent(value) if is_share else number(value)}"
        for name, value in zip(names, values, strict=True)
    )
    if is_share:
        ends = [
            end for one in panel.cells if one for end in (one.value, one.high) if end is not None
        ]
        how = Bars("0%", largest=ceiling(max(ends)))
        bars(page, box, names, [series], how, alt, deck.report.made_at)
    else:
        dots(page, box, names, series, values[0], alt, deck.report.made_at)


def _note(page: Page, box: Box, outside: Outside, left: int) -> None:
    """Say how to read the page, and what is not on it."""
    is_share = SHARE in outside.statistics
    shape = "bars" if is_share else "dots"
    words = (
        f"Lines: {100 * outside.confidence:.3g} % intervals. ▲ ▼ and full {shape}: differs from "
        f"the rest (false-discovery rate at most {100 * DISCOVERED:.0f} %); empty {shape}: may be "
        f"chance. “{FEW}”: not shown, so that nobody can be made out."
    )
    if left:
        words += f" The {left} smallest clusters are in the workbook."
    source = f" Source: {outside.input_table}." if outside.input_table else ""
    page.text(box, (say(muted(words + source)),), 10, anchor="bottom")


__all__ = ["name_of", "outside_page"]
