"""Native charts of dots with their intervals, a row each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pptx.chart.data import XyChartData
from pptx.enum.chart import XL_CHART_TYPE, XL_MARKER_STYLE, XL_TICK_MARK
from pptx.enum.dml import MSO_LINE, MSO_THEME_COLOR
from pptx.util import Pt

from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.charts import (
    FOOT,
    Grid,
    Series,
    added,
    end_at_bottom,
    inner,
    number_format,
    store,
)
from reclust_spark.report.deck.clean import one_line
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.put import MUTED, ink, rgb


def dots(
    page: Page, box: Box, names: Sequence[str], series: Series, reference: float | None,
    alt: str, made_at: datetime,
) -> Any:  # fmt: skip
    """Draw values as dots with their intervals, a row each, the first one at the top.

    An interval is a series of its own, low, value and high: office programs draw it alike, and not
    so the error bars of a scatter.

    Parameters
    ----------
    reference : float or None
        A value that a line across all rows shows.
    """
    data = XyChartData(number_format="0.0")
    kept = [at for at, value in enumerate(series.values) if value is not None]
    for at in kept:
        points = data.add_series(one_line(names[at]))
        for x in (series.low[at], series.values[at], series.high[at]):
            points.add_data_point(series.values[at] if x is None else x, at + 1)
    if reference is not None:
        line = data.add_series("everyone")
        line.add_data_point(reference, 0.5)
        line.add_data_point(reference, len(names) + 0.5)
    chart = added(page, box, XL_CHART_TYPE.XY_SCATTER_LINES_NO_MARKERS, data, alt)
    values, rows = chart.category_axis, chart.value_axis
    rows.minimum_scale, rows.maximum_scale = 0.5, len(names) + 0.5
    rows.reverse_order, rows.visible, rows.has_major_gridlines = True, False, False
    values.has_major_gridlines = False
    values.major_tick_mark = XL_TICK_MARK.NONE
    low, high = _limits(series, reference)
    values.tick_labels.number_format = number_format([low, high])
    values.tick_labels.number_format_is_linked = False
    values.minimum_scale, values.maximum_scale = low, high
    values.major_unit = (high - low) / 2
    end_at_bottom(values, visible=True, fade=page.design.fade)
    inner(chart, 0.04, 0.0, 0.92, 1 - FOOT / box.height)
    for at, made in zip(kept, chart.plots[0].series, strict=False):
        colour = series.colours[at % len(series.colours)]
        _dot(made, colour, faint=bool(series.faint) and series.faint[at])
    if reference is not None:
        made = list(chart.plots[0].series)[-1]
        made.smooth = False
        made.format.line.width = Pt(1)
        made.format.line.dash_style = MSO_LINE.DASH
        ink(made.format.line.color, MUTED * page.design.fade)
        made.marker.style = XL_MARKER_STYLE.NONE
    store(chart, _xy_grid(names, series, kept, reference), made_at)
    return chart


def _dot(made: Any, colour: str, faint: bool) -> None:
    made.smooth = False
    made.format.line.width = Pt(1.5)
    made.format.line.color.rgb = rgb(colour)
    made.marker.style = XL_MARKER_STYLE.NONE
    marker = made.points[1].marker
    marker.style, marker.size = XL_MARKER_STYLE.CIRCLE, 8
    marker.format.fill.solid()
    marker.format.line.color.rgb = rgb(colour)
    if faint:
        marker.format.fill.fore_color.theme_color = MSO_THEME_COLOR.BACKGROUND_1
    else:
        marker.format.fill.fore_color.rgb = rgb(colour)


def _limits(series: Series, reference: float | None) -> tuple[float, float]:
    """Return the ends of an axis: round numbers around all that is shown."""
    shown = [v for v in (*series.values, *series.low, *series.high, reference) if v is not None]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    span = max(high - low, abs(high) * 0.01, 1e-9)
    step = 10.0 ** math.floor(math.log10(span))
    step = step / 2 if span / step < 3 else step
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return (low, high) if round((high - low) / step) % 2 == 0 else (low, high + step)


def _xy_grid(
    names: Sequence[str], series: Series, kept: Sequence[int], reference: float | None
) -> Grid:
    """Return the sheet of dots as python-pptx lays it out: the series below each other."""
    grid: Grid = []
    for at in kept:
        grid.append([None, names[at]])
        for x in (series.low[at], series.values[at], series.high[at]):
            grid.append([series.values[at] if x is None else x, float(at + 1)])
        grid.append([])
    if reference is not None:
        grid.append([None, "everyone"])
        grid += [[reference, 0.5], [reference, len(names) + 0.5]]
    return grid
