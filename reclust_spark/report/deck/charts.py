"""Native charts, which can be edited where the deck is shown: bars, and what all charts share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

from pptx.chart.data import CategoryChartData
from pptx.enum.chart import (
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_TICK_LABEL_POSITION,
    XL_TICK_MARK,
)
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls, qn
from pptx.util import Pt
from xlsxwriter import Workbook

from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.clean import one_line
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.put import HAIR, describe, emus, ink, rgb

SIZE = 9.0
"""Of an axis's numbers, points."""
FOOT = 0.28
"""The height of an axis's numbers below its bars, inches."""
Numbers = Sequence[float | None]


class Series(NamedTuple):
    """Bars of one name.

    Attributes
    ----------
    name : str
    values : sequence of float or None
        A category each; None where there is nothing to show.
    colours : sequence of str
        One for all, or one a category.
    low, high : sequence of float or None
        Limits of intervals; empty where there are none.
    faint : sequence of bool
        Whose bars are drawn as outlines; empty: none.
    """

    name: str
    values: Numbers
    colours: Sequence[str]
    low: Numbers = ()
    high: Numbers = ()
    faint: Sequence[bool] = ()


class Bars(NamedTuple):
    """How bars are drawn.

    Attributes
    ----------
    form : str
        Excel's number format.
    lowest, largest : float or None
        Where the axis begins and ends; None leaves it to the program.
    numbers : bool
        A number at each bar instead of an axis.
    gap : int
        Between categories, percent of a bar.
    """

    form: str = "0%"
    lowest: float | None = 0.0
    largest: float | None = None
    numbers: bool = False
    gap: int = 40


def bars(
    page: Page, box: Box, categories: Sequence[str], series: Sequence[Series], how: Bars,
    alt: str, made_at: datetime,
) -> Any:  # fmt: skip
    """Draw lying bars, the first category at the top.

    Where an axis is drawn, the bars take all of the box but `FOOT` at its bottom.

    Returns
    -------
    pptx.chart.chart.Chart
    """
    data = CategoryChartData(number_format=how.form)
    data.categories = [one_line(name) for name in categories]
    for one in series:
        data.add_series(one_line(one.name), tuple(one.values))
    chart = added(page, box, XL_CHART_TYPE.BAR_CLUSTERED, data, alt)
    plot = chart.plots[0]
    plot.gap_width, plot.overlap, plot.vary_by_categories = how.gap, 0, False
    axis, values = chart.category_axis, chart.value_axis
    axis.reverse_order = True
    axis.major_tick_mark = values.major_tick_mark = XL_TICK_MARK.NONE
    axis.has_major_gridlines = False
    ink(axis.format.line.color, HAIR * page.design.fade)
    axis.tick_label_position = XL_TICK_LABEL_POSITION.NONE  # texts beside the bars name them
    values.minimum_scale, values.maximum_scale = how.lowest, how.largest
    values.tick_labels.number_format = how.form
    values.tick_labels.number_format_is_linked = False
    if how.largest is not None and how.lowest is not None:
        values.major_unit = (how.largest - how.lowest) / 2
    end_at_bottom(values, visible=not how.numbers, fade=page.design.fade)
    if how.numbers:
        plot.has_data_labels = True
        plot.data_labels.number_format = how.form
        plot.data_labels.number_format_is_linked = False
        plot.data_labels.position = XL_LABEL_POSITION.OUTSIDE_END
    foot = 0.0 if how.numbers else FOOT / box.height
    right = 0.0 if how.numbers else 0.02
    inner(chart, 0.0, 0.0, 1 - right, 1 - foot)
    for made, one in zip(plot.series, series, strict=True):
        _colour(made, one)
        if one.low:
            made._element.find(qn("c:cat")).addprevious(_intervals(one, len(series)))
    store(chart, _grid(categories, series), made_at)
    return chart


def number_format(values: Sequence[float]) -> str:
    """Return Excel's format of an axis of means: thousands told apart where there are any."""
    return "#,##0" if max(abs(value) for value in values) >= 1000 else "General"


def added(page: Page, box: Box, kind: Any, data: Any, alt: str) -> Any:
    """Add a chart in the design's ink, without title and legend."""
    frame = page.slide.shapes.add_chart(kind, *emus(box), data)
    describe(frame._element.nvGraphicFramePr.cNvPr, alt)
    chart = frame.chart
    chart.has_legend = chart.has_title = False
    chart.font.size = Pt(SIZE)
    ink(chart.font.color)
    return chart


def end_at_bottom(axis: Any, visible: bool, fade: float) -> None:
    """Put an axis's numbers below the bars, though the first category is at the top."""
    axis.has_major_gridlines = visible
    if not visible:
        axis.visible = False
        return
    axis.tick_label_position = XL_TICK_LABEL_POSITION.HIGH
    axis.format.line.fill.background()
    if axis.has_major_gridlines:
        ink(axis.major_gridlines.format.line.color, (HAIR + 0.08) * fade)


def inner(chart: Any, x: float, y: float, width: float, height: float) -> None:
    """Say where the bars are within the chart, so that texts beside it stand in line."""
    plot = chart._chartSpace.chart.plotArea
    for old in plot.findall(qn("c:layout")):
        plot.remove(old)
    places = "".join(
        f'<c:{name} val="{value:.5f}"/>'
        for name, value in (("x", x), ("y", y), ("w", width), ("h", height))
    )
    plot.insert(
        0,
        parse_xml(
            f'<c:layout {nsdecls("c")}><c:manualLayout><c:layoutTarget val="inner"/>'
            f'<c:xMode val="edge"/><c:yMode val="edge"/>{places}</c:manualLayout></c:layout>'
        ),
    )


def _colour(made: Any, series: Series) -> None:
    made.invert_if_negative = False
    if len(series.colours) == 1 and not any(series.faint):
        made.format.fill.solid()
        made.format.fill.fore_color.rgb = rgb(series.colours[0])
        return
    for at, value in enumerate(series.values):
        if value is None:
            continue
        colour = series.colours[at % len(series.colours)]
        look = made.points[at].format
        if series.faint and series.faint[at]:
            look.fill.background()
        else:
            look.fill.solid()
            look.fill.fore_color.rgb = rgb(colour)
        look.line.color.rgb = rgb(colour)
        look.line.width = Pt(1.25)


def _intervals(series: Series, n_series: int) -> Any:
    """Return error bars whose lengths stand beside the values in the chart's own sheet."""
    ends = []
    for name, limits, column in (
        ("plus", series.high, n_series + 1),
        ("minus", series.low, n_series + 2),
    ):
        letter = chr(ord("A") + column)
        points = "".join(
            f'<c:pt idx="{at}"><c:v>{float(abs(limit - value))!r}</c:v></c:pt>'
            for at, (limit, value) in enumerate(zip(limits, series.values, strict=True))
            if limit is not None and value is not None
        )
        n = len(series.values)
        ends.append(
            f"<c:{name}><c:numRef><c:f>Sheet1!${letter}$2:${letter}${n + 1}</c:f><c:numCache>"
            f'<c:formatCode>General</c:formatCode><c:ptCount val="{n}"/>{points}'
            f"</c:numCache></c:numRef></c:{name}>"
        )
    return parse_xml(
        f'<c:errBars {nsdecls("c", "a")}><c:errBarType val="both"/><c:errValType val="cust"/>'
        f'<c:noEndCap val="0"/>{"".join(ends)}<c:spPr><a:ln w="9525"><a:solidFill>'
        '<a:schemeClr val="tx1"/></a:solidFill></a:ln></c:spPr></c:errBars>'
    )


Grid = list[list[str | float | None]]


def _grid(categories: Sequence[str], series: Sequence[Series]) -> Grid:
    """Return the sheet of a bar chart: names, values, and how far intervals reach."""
    head: list[str | float | None] = ["", *(one.name for one in series)]
    if series[0].low:
        head += ["up to", "down to"]
    grid = [head]
    for at, name in enumerate(categories):
        row: list[str | float | None] = [name, *(one.values[at] for one in series)]
        value = series[0].values[at]
        if series[0].low:
            for limit in (series[0].high[at], series[0].low[at]):
                row.append(None if value is None or limit is None else abs(limit - value))
        grid.append(row)
    return grid


def store(chart: Any, grid: Grid, made_at: datetime) -> None:
    """Put a chart's sheet in place of python-pptx's: texts stay texts, and the time is told."""
    file = BytesIO()
    book = Workbook(
        file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"created": made_at.replace(tzinfo=None)})
    sheet = book.add_worksheet("Sheet1")
    for row, values in enumerate(grid):
        for column, value in enumerate(values):
            if isinstance(value, str):
                sheet.write_string(row, column, one_line(value))
            elif value is not None:
                sheet.write_number(row, column, value)
    book.close()
    chart.part.chart_workbook.update_from_xlsx_blob(file.getvalue())
