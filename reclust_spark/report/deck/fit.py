"""Texts that stay in their boxes: wrapped, then smaller, then cut at a word with an ellipsis.

Words are measured one by one, so that where an office program breaks the lines is known before it
does. It may break at more places than at spaces (after a hyphen): that never makes more lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.report.deck.clean import one_line
from reclust_spark.report.deck.fonts import FOREIGN_LINE, LINE, Face

POINTS = 72.0
"""Points an inch."""
BODY, TABLE = 10.0, 9.0
"""The least sizes of a text and of a table's, points."""
STEP = 0.5
SLACK = 0.975
"""The part of a line that is counted on: programs round widths in their own ways."""
ELLIPSIS = "…"
_PLACES = re.compile(r"(?<![(\[{«“‘¿¡ ]) +(?![)\]}!?,.;:/»”’… ])")
"""Spaces that a line may end at: not within brackets' or before a mark's own space (UAX 14)."""


class Run(NamedTuple):
    """Words of one look."""

    text: str
    bold: bool = False
    muted: bool = False


class Paragraph(NamedTuple):
    """Runs that follow each other, and the space below them in ems."""

    runs: tuple[Run, ...]
    after: float = 0.35

    @property
    def text(self) -> str:
        """Its words."""
        return "".join(run.text for run in self.runs)


class Faces(NamedTuple):
    """A family's fonts."""

    plain: Face
    bold: Face


class Fitted(NamedTuple):
    """Paragraphs that fit.

    Attributes
    ----------
    paragraphs : tuple of Paragraph
        Clean.
    size : float
        Points.
    height : float
        What they take at that size, inches.
    is_cut : bool
        Some words are gone.
    """

    paragraphs: tuple[Paragraph, ...]
    size: float
    height: float
    is_cut: bool


def say(*parts: str | Run, after: float = 0.35) -> Paragraph:
    """Make a paragraph of words."""
    return Paragraph(tuple(p if isinstance(p, Run) else Run(p) for p in parts), after)


def bold(text: str) -> Run:
    """Make a run of bold words."""
    return Run(text, bold=True)


def muted(text: str) -> Run:
    """Make a run of words that matter less."""
    return Run(text, muted=True)


class Measured:
    """A paragraph with the width of each of its characters.

    Parameters
    ----------
    paragraph : Paragraph
    faces : Faces
    """

    def __init__(self, paragraph: Paragraph, faces: Faces) -> None:
        runs = (run._replace(text=one_line(run.text)) for run in paragraph.runs)
        self.paragraph = paragraph._replace(runs=tuple(run for run in runs if run.text))
        self.text = self.paragraph.text
        widths = [
            (faces.bold if run.bold else faces.plain).advances(run.text)
            for run in self.paragraph.runs
        ]
        self._at = np.concatenate([[0.0], np.cumsum(np.concatenate([*widths, [0.0]]))])
        known = all(faces.plain.has(letter) for letter in self.text)
        self.line = LINE if known else FOREIGN_LINE
        self._words = _words_of(self.text)
        self._ellipsis = float(faces.bold.advances(ELLIPSIS)[0])

    def line_ends(self, width: float) -> list[int]:
        """Return where the lines end, as places in the text.

        Parameters
        ----------
        width : float
            Ems.
        """
        if self.widest() <= width:
            return [len(self.text)]
        ends: list[int] = []
        start = 0
        for word, after in self._words:
            if self._width(start, after) <= width:
                continue
            if word > start:
                ends.append(word)
                start = word
            while self._width(start, after) > width:
                start = self._reach(start, width)
                ends.append(start)
        return [*ends, len(self.text)]

    def widest(self) -> float:
        """Return the width of the whole on one line, ems."""
        return float(self._at[-1])

    def cut(self, width: float, lines: int) -> Paragraph:
        """Return as much of the paragraph as `lines` lines hold, with an ellipsis."""
        ends = self.line_ends(width)[:lines]
        start = ends[-2] if len(ends) > 1 else 0
        stop = max(start, self._reach(start, max(0.0, width - self._ellipsis)))
        stop = min(stop, ends[-1])
        places = [word for _, word in self._words if start < word <= stop]
        stop = places[-1] if places else stop
        kept = _first(self.paragraph.runs, len(self.text[:stop].rstrip(" ,;:·…")))
        return self.paragraph._replace(runs=_with_ellipsis(kept))

    def _width(self, start: int, stop: int) -> float:
        return float(self._at[stop] - self._at[start])

    def _reach(self, start: int, width: float) -> int:
        """Return where a line ends that is broken within a word: after a character at least."""
        stop = int(np.searchsorted(self._at, self._at[start] + width, side="right")) - 1
        return min(max(stop, start + 1), len(self.text))


def fit(
    paragraphs: Sequence[Paragraph],
    width: float,
    height: float,
    faces: Faces,
    size: float,
    least: float = BODY,
) -> Fitted:
    """Fit paragraphs into a box.

    Parameters
    ----------
    paragraphs : sequence of Paragraph
    width, height : float
        Inches, of the text itself.
    faces : Faces
    size, least : float
        The size that is wanted and the least one, points.

    Returns
    -------
    Fitted
    """
    measured = [Measured(paragraph, faces) for paragraph in paragraphs]
    for points in sizes_between(size, least):
        taken = _taken(measured, width, points)
        if taken <= height:
            return Fitted(tuple(m.paragraph for m in measured), points, taken, False)
    kept = _cut(measured, width, height, least)
    taken = _taken([Measured(paragraph, faces) for paragraph in kept], width, least)
    return Fitted(tuple(kept), least, taken, True)


def height_of(paragraphs: Sequence[Paragraph], width: float, faces: Faces, points: float) -> float:
    """Return the height that paragraphs take in a width, inches."""
    return _taken([Measured(paragraph, faces) for paragraph in paragraphs], width, points)


def width_of(paragraph: Paragraph, faces: Faces, points: float) -> float:
    """Return the width that a paragraph takes on one line, inches."""
    return Measured(paragraph, faces).widest() * points / POINTS / SLACK


def first_that_fits(texts: Sequence[str], width: float, faces: Faces, points: float) -> str:
    """Return the first of several wordings that has room on a line, else the last one."""
    return next((t for t in texts if width_of(say(t), faces, points) <= width), texts[-1])


def sizes_between(size: float, least: float) -> npt.NDArray[np.float64]:
    """Return the sizes to be tried, the largest first."""
    return np.arange(max(size, least), least - 1e-6, -STEP)


def lines_in(measured: Measured, width: float, points: float) -> int:
    """Return how many lines a paragraph takes in a width of inches."""
    return len(measured.line_ends(width * SLACK * POINTS / points))


def line_height(measured: Measured, points: float) -> float:
    """Return how far a paragraph's lines are from each other, inches."""
    return measured.line * points / POINTS


def _taken(measured: Sequence[Measured], width: float, points: float) -> float:
    """Return the height of paragraphs, inches."""
    taken = sum(
        lines_in(m, width, points) * line_height(m, points) + m.paragraph.after * points / POINTS
        for m in measured
    )
    return taken - (measured[-1].paragraph.after * points / POINTS if measured else 0.0)


def _cut(
    measured: Sequence[Measured], width: float, height: float, points: float
) -> list[Paragraph]:
    """Return the paragraphs that fit, the last one cut."""
    kept: list[Paragraph] = []
    ems = width * SLACK * POINTS / points
    for m, following in zip(measured, [*measured[1:], None], strict=True):
        line = line_height(m, points)
        lines, need = int(height / line + 1e-6), lines_in(m, width, points)
        rest = height - need * line - m.paragraph.after * points / POINTS
        if need <= lines and (following is None or rest >= line_height(following, points)):
            kept.append(m.paragraph)
            height = rest
            continue
        kept.append(m.cut(ems, max(1, min(lines, need))))
        break
    return kept


def _words_of(text: str) -> list[tuple[int, int]]:
    """Return where each word begins and ends."""
    starts, ends = [0], []
    for space in _PLACES.finditer(text):
        ends.append(space.start())
        starts.append(space.end())
    return list(zip(starts, [*ends, len(text)], strict=True))


def _first(runs: Sequence[Run], length: int) -> tuple[Run, ...]:
    kept = []
    for run in runs:
        if length <= 0:
            break
        kept.append(run._replace(text=run.text[:length]))
        length -= len(run.text)
    return tuple(kept)


def _with_ellipsis(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    if not runs:
        return (Run(ELLIPSIS),)
    last = runs[-1]
    return (*runs[:-1], last._replace(text=last.text + ELLIPSIS))
