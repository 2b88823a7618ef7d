"""How wide words are: the advances of a font's own letters.

A font that this machine lacks is measured as another of the same metrics, else as DejaVu Sans,
which comes with matplotlib and is wider than most: a text that fits in it fits in the font itself.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

LIKE = {
    "Arial": "Liberation Sans",
    "Helvetica": "Liberation Sans",
    "Arial Narrow": "Liberation Sans Narrow",
    "Times New Roman": "Liberation Serif",
    "Courier New": "Liberation Mono",
    "Calibri": "Carlito",
    "Cambria": "Caladea",
}
"""Fonts with the metrics of others, as fontconfig and LibreOffice put them in their place."""
WIDE = "DejaVu Sans"
LINE, FOREIGN_LINE = 1.21, 1.5
"""Ems from line to line; with letters of another font, whose lines may be higher."""

_EMOJI, _IDEOGRAPH = 1.35, 1.05
_UNITS = 1000.0


@dataclass(frozen=True)
class Face:
    """A font, to be measured with.

    Attributes
    ----------
    name : str
        Its family, as a document names it.
    file : str
        What is measured in its place, a path.
    """

    name: str
    file: str
    _font: FT2Font = field(repr=False, compare=False)
    _known: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    def advances(self, text: str) -> npt.NDArray[np.float64]:
        """Return how far each character moves the pen: (len(text),) ems."""
        return np.fromiter((self._advance(letter) for letter in text), np.float64, len(text))

    def has(self, letter: str) -> bool:
        """Tell whether a character is of this font."""
        return ord(letter) in self._letters

    @property
    def _letters(self) -> dict[int, int]:
        return _letters_of(self.file)

    def _advance(self, letter: str) -> float:
        known = self._known.get(letter)
        if known is None:
            known = self._known[letter] = self._measure(letter)
        return known

    def _measure(self, letter: str) -> float:
        if self.has(letter):
            return _units(self._font, letter)
        if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
            return 0.0
        if ord(letter) in _letters_of(_file_of(WIDE, False)):
            return _units(_font_of(_file_of(WIDE, False)), letter)
        return _IDEOGRAPH if unicodedata.category(letter) == "Lo" else _EMOJI


@cache
def face_of(name: str, bold: bool = False) -> Face:
    """Return what a family is measured with.

    Parameters
    ----------
    name : str
        As a document names it.
    bold : bool
    """
    for family in (name, LIKE.get(name)):
        if family is not None:
            try:
                file = _file_of(family, bold)
            except ValueError:
                continue  # not on this machine
            return Face(name, file, _font_of(file))
    file = _file_of(WIDE, bold)
    return Face(name, file, _font_of(file))


def family_of(face: Face) -> str:
    """Return the name that matplotlib knows a face by."""
    return str(FontProperties(fname=face.file).get_name())


def _file_of(family: str, bold: bool) -> str:
    wanted = FontProperties(family=[family], weight="bold" if bold else "normal")
    return str(findfont(wanted, fallback_to_default=False))


@cache
def _font_of(file: str) -> FT2Font:
    """Return the font of a file at a size at which a pixel is a thousandth of an em."""
    font = FT2Font(file)
    font.set_size(_UNITS, 72)
    return font


@cache
def _letters_of(file: str) -> dict[int, int]:
    return dict(FT2Font(file).get_charmap())


def _units(font: FT2Font, letter: str) -> float:
    return float(font.load_char(ord(letter)).linearHoriAdvance) / 65536 / _UNITS
