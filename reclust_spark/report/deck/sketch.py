"""Pictures by matplotlib, where no native chart of an office program exists: maps, swarms, heat.

Only numbers stand in them: a survey's own words are native texts beside the pictures, so that every
script is seen and nothing has to be read out of a picture. One figure is used over and over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from reclust_spark.report.colours import HIGH, LOW, NO_ANSWER, NOISE, text_on
from reclust_spark.report.content import Map, Swarm
from reclust_spark.report.deck.fonts import Face

DPI = 160
AXIS = 0.4
"""The height of a swarm's axis below its rows, inches."""
SIZE = 9.0
"""Of numbers in pictures, points."""
_AXIS = (
    "away from the cluster  ←  SHAP (log odds)  →  towards it",
    "away  ←  SHAP (log odds)  →  towards",
    "SHAP (log odds)",
)
"""What a swarm's axis is called, by the room that there is."""
_BINS, _CROWD = 70, 5.0
_SHADES = LinearSegmentedColormap.from_list("answers", [LOW, HIGH])
_SEQUENCE = LinearSegmentedColormap.from_list("shares", ["#EAF3FA", "#56A0D0", "#0B3C6F"])
_BALANCE = LinearSegmentedColormap.from_list("index", ["#B35900", "#F7F7F7", "#0B4F8A"])


class Heat(NamedTuple):
    """A heat map's cells.

    Attributes
    ----------
    values : (rows, columns) float array
        What the colour says; NaN where there is nothing to show.
    texts : (rows, columns) nested sequence of str
        Numbers in the cells, shown where there is room.
    hidden : (rows, columns) bool array
        Suppressed: hatched.
    low, high : float
        The values at the ends of the colours.
    balanced : bool
        Colours run from one hue over white to another, else from light to dark.
    """

    values: npt.NDArray[np.float64]
    texts: Sequence[Sequence[str]]
    hidden: npt.NDArray[np.bool_]
    low: float
    high: float
    balanced: bool


class Sketcher:
    """Draws pictures in a design's ink.

    Parameters
    ----------
    ink, paper : str
        ``#RRGGBB``
    face : Face
    """

    def __init__(self, ink: str, paper: str, face: Face) -> None:
        self._ink, self._paper, self._face = ink, paper, face
        self._font = FontProperties(fname=face.file, size=SIZE)
        self._figure = Figure(dpi=DPI)
        FigureCanvasAgg(self._figure)

    def map_of(self, map_: Map, colours: Mapping[int, str], width: float, height: float) -> bytes:
        """Draw a map, each child in its colour and with its number.

        Parameters
        ----------
        map_ : Map
        colours : mapping of int to str
            By the child's number.
        width, height : float
            Inches.

        Returns
        -------
        bytes
            A PNG.
        """
        axes = self._axes(width, height, (0.0, 0.0, 1.0, 1.0))
        axes.set_aspect("equal", adjustable="datalim")
        axes.axis("off")
        size = float(np.clip(30_000 / max(1, len(map_.x)), 1.0, 14.0))
        for child in (0, *sorted(colours)):
            is_it = map_.child == child
            colour = colours.get(child, NOISE)
            axes.scatter(
                map_.x[is_it], map_.y[is_it], s=size, c=colour, alpha=0.5 if child else 0.35, lw=0
            )
        halo = [withStroke(linewidth=3, foreground=self._paper)]
        large = self._font.copy()
        large.set_size(15 if len(colours) <= 15 else 11)
        large.set_weight("bold")
        for child in sorted(colours):
            is_it = map_.child == child
            if is_it.any():
                middle = float(np.median(map_.x[is_it])), float(np.median(map_.y[is_it]))
                axes.text(
                    *middle, str(child), ha="center", va="center", color=self._ink,
                    fontproperties=large, path_effects=halo,
                )  # fmt: skip
        return self._png()

    def swarms_of(
        self, swarms: Sequence[Swarm | None], heights: Sequence[float], width: float
    ) -> bytes:
        """Draw SHAP values, a row a question, and their axis below.

        Parameters
        ----------
        swarms : sequence of Swarm or None
            None where a question has none.
        heights : sequence of float
            Of the rows, inches.
        width : float
            Inches.

        Returns
        -------
        bytes
            A PNG, `AXIS` inches higher than its rows.
        """
        rows = float(sum(heights))
        height = rows + AXIS
        edge = 0.12 / width
        axes = self._axes(width, height, (edge, AXIS / height, 1 - 2 * edge, rows / height))
        values = [s.shap for s in swarms if s is not None and len(s.shap)]
        all_ = np.concatenate([[0.0], *values])
        span = max(float(all_.max() - all_.min()), 1e-6)
        axes.set_xlim(float(all_.min()) - 0.03 * span, float(all_.max()) + 0.03 * span)
        axes.set_ylim(rows, 0)
        axes.axvline(0, color=self._ink, lw=0.8, alpha=0.6, zorder=0)
        top = 0.0
        for swarm, tall in zip(swarms, heights, strict=True):
            if swarm is not None and len(swarm.shap):
                self._swarm(axes, swarm, top + tall / 2, tall, span)
            top += tall
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set(color=self._ink, alpha=0.5)
        axes.tick_params(axis="x", colors=self._ink, length=3, pad=2)
        axes.set_yticks([])
        axes.locator_params(axis="x", nbins=6)
        for label in axes.get_xticklabels():
            label.set_fontproperties(self._font)
        room = (width - 0.1) * 72 / SIZE
        text = next((t for t in _AXIS if self._face.advances(t).sum() <= room), _AXIS[-1])
        axes.set_xlabel(
            text, fontproperties=self._font, color=self._ink, labelpad=1,
        )  # fmt: skip
        return self._png()

    def heat_of(self, heat: Heat, heights: Sequence[float], width: float) -> bytes:
        """Draw a heat map.

        Parameters
        ----------
        heat : Heat
        heights : sequence of float
            Of the rows, inches.
        width : float
            Inches.

        Returns
        -------
        bytes
            A PNG.
        """
        rows, columns = heat.values.shape
        axes = self._axes(width, float(sum(heights)), (0.0, 0.0, 1.0, 1.0))
        axes.axis("off")
        axes.set_xlim(0, width)
        axes.set_ylim(float(sum(heights)), 0)
        wide, tops = width / columns, np.concatenate([[0.0], np.cumsum(heights)])
        for row in range(rows):
            for column in range(columns):
                at = (column * wide, float(tops[row]), wide, heights[row])
                self._cell(axes, heat, row, column, at)
        return self._png()

    def _swarm(self, axes: Any, swarm: Swarm, middle: float, tall: float, span: float) -> None:
        """Draw a row: people of much the same value stand above and below each other."""
        bins = np.floor((swarm.shap - swarm.shap[0]) / span * _BINS).astype(np.intp)
        place = np.arange(len(bins)) - np.searchsorted(bins, bins)
        side = np.where(place % 2, 1, -1) * ((place + 1) // 2)
        crowd = max(float(np.abs(side).max()), _CROWD)
        y = middle + side / crowd * 0.42 * tall
        colours = _SHADES(np.nan_to_num(swarm.shade, nan=0.0))
        colours[np.isnan(swarm.shade)] = _rgba(NO_ANSWER)
        axes.scatter(swarm.shap, y, s=9.0, c=colours, lw=0, alpha=0.85)

    def _cell(
        self, axes: Any, heat: Heat, row: int, column: int, at: tuple[float, float, float, float]
    ) -> None:
        left, top, wide, tall = at
        value = heat.values[row, column]
        if heat.hidden[row, column]:
            axes.add_patch(
                Rectangle((left, top), wide, tall, fc="none", ec=NOISE, lw=0.4, hatch="//////")
            )
            return
        if np.isnan(value):
            return
        part = float(np.clip((value - heat.low) / max(heat.high - heat.low, 1e-12), 0, 1))
        colour = to_hex((_BALANCE if heat.balanced else _SEQUENCE)(part))
        axes.add_patch(Rectangle((left, top), wide, tall, fc=colour, ec=self._paper, lw=0.8))
        text = heat.texts[row][column]
        if text and wide >= 0.075 * len(text) + 0.04 and tall >= 0.145:
            axes.text(
                left + wide / 2, top + tall / 2, text, ha="center", va="center",
                color=text_on(colour.upper()), fontproperties=self._font,
            )  # fmt: skip

    def _axes(self, width: float, height: float, place: tuple[float, float, float, float]) -> Any:
        for old in list(self._figure.axes):
            self._figure.delaxes(old)
        self._figure.set_size_inches(width, height)
        self._figure.patch.set_alpha(0)
        axes = self._figure.add_axes(place)
        axes.patch.set_alpha(0)
        return axes

    def _png(self) -> bytes:
        file = BytesIO()
        self._figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
        return file.getvalue()


def grey(pixels: npt.NDArray[np.uint8], least: int = 280) -> bytes:
    """Return a grey image as a PNG, each pixel as many as make it `least` wide."""
    image = Image.fromarray(pixels)
    times = max(1, -(-least // max(image.size)))
    image = image.resize(
        (image.width * times, image.height * times), resample=Image.Resampling.NEAREST
    )
    file = BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


@cache
def scale(what: str) -> bytes:
    """Return colours from the lowest to the highest value as a PNG: answers, share or index."""
    colours = {"answers": _SHADES, "share": _SEQUENCE, "index": _BALANCE}[what]
    pixels = colours(np.linspace(0, 1, 256))[None, :, :3] * 255
    image = Image.fromarray(np.repeat(pixels.round().astype(np.uint8), 16, axis=0))
    file = BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def _rgba(colour: str) -> tuple[float, float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue, 1.0
