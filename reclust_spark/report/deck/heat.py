"""An outside question with many answers, or many second ones: colours instead of bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reclust_spark.paths import ROOT
from reclust_spark.report.content import Cell, CellKey, Cluster, Outside
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.deck import GUTTER, Deck, name_of_cluster, name_rows
from reclust_spark.report.deck.fit import bold, muted, say
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.second import panels_of
from reclust_spark.report.deck.sketch import Heat, scale
from reclust_spark.report.deck.words import FEW, number, percent
from reclust_spark.warehouse.names import SHARE

_ROW, _FULL_ROW, _COLUMN = 0.17, 0.5, 0.165
"""Of a cluster's row, least and greatest, and the least width of a column, inches."""
_NAMES, _TURNED, _BLOCK, _NOTE = 0.2, 1.05, 0.26, 0.45
_BESIDE, _WIDEST = 0.5, 1.6
"""The least width of a column where blocks stand beside each other, and the greatest."""
_WIDE = 0.9
"""A column as wide as this has its name written across."""


class _Block(NamedTuple):
    """Clusters in rows × columns of one level: a key a column."""

    title: str
    keys: tuple[tuple[str, str, str], ...]


def heat_page(deck: Deck, page: Page, outside: Outside, rows: Sequence[Cluster]) -> None:
    """Draw an outside question as a heat map.

    Parameters
    ----------
    deck : Deck
    page : Page
    outside : Outside
        With a second question, whose answers are the columns; else its own levels are.
    rows : sequence of Cluster
        The root, and the clusters of depth 1.
    """
    body, note = page.area.off_bottom(_NOTE, 0.1)
    grid = _grid(outside, body, rows)
    heats = [_heat(outside, block, grid.rows) for block in grid.blocks]
    low, high = min(heat.low for heat in heats), max(heat.high for heat in heats)
    for at, (block, heat) in enumerate(zip(grid.blocks, heats, strict=True)):
        down, across = divmod(at, grid.across)
        left = body.left + grid.names + across * (grid.width + GUTTER)
        top = body.top + down * (_BLOCK + grid.tall * len(grid.rows)) + (grid.head if down else 0)
        place = Box(left, top, grid.width, _BLOCK)
        page.text(place, (say(bold(block.title)),), 11, anchor="middle")
        top += _BLOCK
        if not down:
            _column_names(page, Box(left, top, grid.width, grid.head), grid.columns)
            top += grid.head
        cells = Box(left, top, grid.width, grid.tall * len(grid.rows))
        if not across:
            names = Box(body.left, top, grid.names - 0.1, cells.height)
            places = names.rows(*[1.0] * len(grid.rows), gap=0.0)
            name_rows(page, places, [name_of_cluster(row) for row in grid.rows], 11)
        page.picture(
            cells,
            deck.sketch.heat_of(
                heat._replace(low=low, high=high), [grid.tall] * len(grid.rows), cells.width
            ),
            f"Heat map of {outside.text} {block.title}: clusters in rows, "
            f"{outside.by_text or 'its answers'} in columns. All figures are in the workbook.",
        )
    _note(
        page, note, outside, heats[0]._replace(low=low, high=high),
        len(rows) - len(grid.rows), _left(outside, grid),
    )  # fmt: skip


class _Grid(NamedTuple):
    """Blocks beside and below each other, lengths in inches.

    The names of the columns stand above the first ones, those of rows before them.
    """

    columns: Sequence[str]
    blocks: Sequence[_Block]
    rows: Sequence[Cluster]
    across: int
    names: float
    width: float
    head: float
    tall: float


def _grid(outside: Outside, body: Box, rows: Sequence[Cluster]) -> _Grid:
    """Lay out as many blocks and clusters as there is room for."""
    names = body.width * _NAMES
    room = body.width - names
    columns = _columns(outside, int(room / _COLUMN))
    blocks = _blocks(outside, columns)
    least = len(columns) * _BESIDE
    across = max(1, min(len(blocks), int((room + GUTTER) / (least + GUTTER))))
    width = min((room - GUTTER * (across - 1)) / across, len(columns) * _WIDEST)
    head = 0.42 if width / len(columns) >= _WIDE else _TURNED
    tall = body.height - head
    down = max(1, min(-(-len(blocks) // across), int(tall / (_BLOCK + len(rows) * _ROW))))
    largest = sorted(rows, key=lambda c: (-c.share, c.path))[: int((tall / down - _BLOCK) / _ROW)]
    if len(blocks) > across * down:
        blocks = _blocks(outside, columns, across * down)
    return _Grid(
        columns, blocks, [row for row in rows if row in largest], across, names, width, head,
        min(_FULL_ROW, (tall / down - _BLOCK) / len(largest)),
    )  # fmt: skip


def _columns(outside: Outside, most: int) -> list[str]:
    """Return the columns that there is room for: those of most people, in their own order."""
    names = list(outside.by_levels if outside.by_question else outside.levels)
    if len(names) <= most:
        return names

    def people(name: str) -> float:
        keys = [k for k in outside.cells if k.path == ROOT and name in (k.by_level, k.level)]
        found = [outside.cells[k] for k in keys]
        return max((one.n or 0) * (one.value or 0.0) ** (not outside.by_question) for one in found)

    largest = sorted(names, key=people, reverse=True)[:most]
    return [name for name in names if name in largest]


def _blocks(outside: Outside, columns: Sequence[str], most: int | None = None) -> list[_Block]:
    if not outside.by_question:
        keys = tuple(("", name, SHARE) for name in columns)
        return [_Block("", keys)]
    return [
        _Block(panel.title, tuple((name, panel.level, panel.statistic) for name in columns))
        for panel in panels_of(outside, most or len(outside.levels or outside.statistics))
    ]


def _heat(outside: Outside, block: _Block, rows: Sequence[Cluster]) -> Heat:
    """Return a block's cells: shares or means; without a second question, against everyone."""
    cells = [[outside.cells.get(CellKey(row.path, *key)) for key in block.keys] for row in rows]
    balanced = not outside.by_question
    values = np.array([[_value(one, balanced) for one in line] for line in cells], float)
    values = values.reshape(len(rows), len(block.keys))
    hidden = np.array([[one is not None and one.suppressed for one in line] for line in cells])
    texts = [[_text(one, outside) for one in line] for line in cells]
    shown = values[~np.isnan(values)]
    low, high = (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 1.0)
    if balanced:
        low, high = -1.0, 1.0
    return Heat(values, texts, hidden.reshape(values.shape), low, high, balanced)


def _value(one: Cell | None, balanced: bool) -> float:
    """Return what a cell's colour says: its value, or the logarithm of its index, base 2."""
    if one is None or one.value is None:
        return np.nan
    if not balanced:
        return one.value
    if not one.population_value:
        return np.nan
    return float(np.log2(max(one.value / one.population_value, 1e-3)))


def _text(one: Cell | None, outside: Outside) -> str:
    if one is None or one.value is None:
        return ""
    return f"{100 * one.value:.0f}" if SHARE in outside.statistics else number(one.value)


def _column_names(page: Page, box: Box, columns: Sequence[str]) -> None:
    for name, place in zip(columns, box.columns(*[1.0] * len(columns), gap=0.0), strict=True):
        if place.width >= _WIDE:
            page.text(place.inset(0.04, 0.04), (say(bold(name)),), 10, 9, "bottom", "center")
        else:
            side = 0.16
            middle = place.left + (place.width - side) / 2
            page.turned_text(Box(middle, place.top, side, place.height - 0.05), name, 9, 9)


def _left(outside: Outside, grid: _Grid) -> str:
    """Return in words which answers have no room."""
    all_ = outside.by_levels if outside.by_question else outside.levels
    parts = []
    if len(all_) > len(grid.columns):
        parts.append(f"{len(all_) - len(grid.columns)} columns")
    if outside.by_question and len(outside.levels) > len(grid.blocks):
        parts.append(f"{len(outside.levels) - len(grid.blocks)} rarer answers")
    return " and ".join(parts)


def _note(page: Page, box: Box, outside: Outside, heat: Heat, rows: int, left: str) -> None:
    """Draw the scale, and say what is not shown."""
    key, text = box.off_left(2.9, GUTTER)
    low, colours, high = key.off_bottom(0.2)[1].columns(1.0, 1.2, 1.0, gap=0.08)
    is_share = SHARE in outside.statistics
    write = percent if is_share else number
    ends = ("half as many", "twice") if heat.balanced else (write(heat.low), write(heat.high))
    page.text(low, (say(muted(ends[0])),), 9, 9, "middle", "right")
    page.picture(
        colours, scale("index" if heat.balanced else "share"),
        "Colours from the lowest to the highest value", is_stretched=True,
    )  # fmt: skip
    page.text(high, (say(muted(ends[1])),), 9, 9, "middle")
    words = "Numbers in percent. " if is_share else ""
    words += "Colours: against everyone. " if heat.balanced else ""
    words += f"Hatched: not shown, {FEW}. Intervals are in the workbook"
    extra = [f"the {rows} smallest clusters"] if rows else []
    extra += [left] if left else []
    words += (", as are " + " and ".join(extra) if extra else "") + "."
    source = f" Source: {outside.input_table}." if outside.input_table else ""
    page.text(text, (say(muted(words + source)),), 10, anchor="bottom")
