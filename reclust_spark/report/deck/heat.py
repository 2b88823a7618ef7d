"""An outside question with many answers, or many second ones: colours instead of bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reclust_spark.paths import ROOT
from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import Cell, CellKey, Cluster, Outside
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.deck import GUTTER, Deck, name_and_label, name_row
from reclust_spark.report.deck.fit import bold, muted, say
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.second import panels_of
from reclust_spark.report.deck.sketch import Heat, scale
from reclust_spark.report.deck.words import FEW, number, percent
from reclust_spark.warehouse.names import SHARE

_ROW, _FULL_ROW, _COLUMN = 0.17, 0.36, 0.165
"""Of a cluster's row, least and greatest, and the least width of a column, inches."""
_NAMES, _TURNED, _BLOCK, _NOTE = 0.2, 1.05, 0.26, 0.45
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
    names = body.width * _NAMES
    columns = _columns(outside, int((body.width - names) / _COLUMN))
    wide = min((body.width - names) / max(1, len(columns)), 1.6)
    top = 0.42 if wide >= _WIDE else _TURNED
    room = body.height - top
    blocks = _blocks(outside, columns, max(1, int(room / (_BLOCK + len(rows) * _ROW))))
    most = int((room / len(blocks) - _BLOCK) / _ROW)
    largest = sorted(rows, key=lambda c: (-c.share, c.path))[:most]
    shown = [row for row in rows if row in largest]
    tall = min(_FULL_ROW, (room / len(blocks) - _BLOCK) / len(shown))
    _column_names(page, Box(body.left + names, body.top, wide * len(columns), top), columns)
    heats = [_heat(outside, block, shown) for block in blocks]
    low = min((heat.low for heat in heats), default=0.0)
    high = max((heat.high for heat in heats), default=1.0)
    at = body.top + top
    for block, heat in zip(blocks, heats, strict=True):
        _, at = _draw(
            deck, page, Box(body.left, at, body.width, tall), names, wide, block,
            heat._replace(low=low, high=high), shown, outside,
        )  # fmt: skip
    _note(
        page, note, outside, heats[0]._replace(low=low, high=high),
        len(rows) - len(shown), _left(outside, columns, blocks),
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


def _blocks(outside: Outside, columns: Sequence[str], most: int) -> list[_Block]:
    if not outside.by_question:
        keys = tuple(("", name, SHARE) for name in columns)
        return [_Block("", keys)]
    return [
        _Block(panel.title, tuple((name, panel.level, panel.statistic) for name in columns))
        for panel in panels_of(outside, most)
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


def _draw(
    deck: Deck, page: Page, row: Box, names: float, wide: float, block: _Block, heat: Heat,
    rows: Sequence[Cluster], outside: Outside,
) -> tuple[Box, float]:  # fmt: skip
    """Draw a block below a row's upper edge; return its picture's place, and where it ends."""
    top = row.top
    if block.title:
        page.text(
            Box(row.left, top, row.width, _BLOCK), (say(bold(block.title)),), 11, anchor="middle"
        )
        top += _BLOCK
    for at, cluster in enumerate(rows):
        place = Box(row.left, top + at * row.height, names - 0.1, row.height)
        name_row(page, place, colour_of(cluster.path), *name_and_label(cluster), size=10)
    heights = [row.height] * len(rows)
    plot = Box(row.left + names, top, wide * len(block.keys), sum(heights))
    page.picture(
        plot, deck.sketch.heat_of(heat, heights, plot.width),
        f"Heat map of {outside.text} {block.title}: clusters in rows, "
        f"{outside.by_text or 'its answers'} in columns. All figures are in the workbook.",
    )  # fmt: skip
    return plot, plot.bottom


def _left(outside: Outside, columns: Sequence[str], blocks: Sequence[_Block]) -> str:
    """Return in words which answers have no room."""
    all_ = outside.by_levels if outside.by_question else outside.levels
    parts = []
    if len(all_) > len(columns):
        parts.append(f"{len(all_) - len(columns)} columns")
    if outside.by_question and len(outside.levels) > len(blocks):
        parts.append(f"{len(outside.levels) - len(blocks)} rarer answers")
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
