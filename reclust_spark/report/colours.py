"""Every colour of every picture, once: a cluster keeps its own everywhere, children shade theirs.

Clusters below the root take the hues of Okabe and Ito, which the colour-blind tell apart; where
there are more of them than hues, lightness tells the rounds apart. A child has its parent's hue,
turned a little, and a lightness of its own. Numbers stand on every map, so that no colour has to be
told from another to read one.

References
----------
Okabe and Ito (2008). Color Universal Design. https://jfly.uni-koeln.de/color/
Ottosson (2020). A perceptual color space for image processing (OKLab).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from reclust_spark.paths import ROOT, depth

HUES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A900", "#7B61C4")
"""Okabe and Ito's, their yellow darkened to be seen on white and their black made violet."""
NOISE = "#A6A6A6"
EVERYONE = "#5B6470"
LOW, HIGH, NO_ANSWER = "#1F4FB4", "#F2A900", "#9AA0A6"
"""Answers on a SHAP plot, from the lowest to the highest: blue to yellow is seen by all."""

_DARKEST, _LIGHTEST = 0.42, 0.82
_TURN = 36.0
_ROUND = 0.14


class _Lch(NamedTuple):
    """OKLCH: lightness 0–1, chroma, hue in degrees."""

    lightness: float
    chroma: float
    hue: float


def colour_of(path: str) -> str:
    """Return a cluster's colour.

    Parameters
    ----------
    path : str

    Returns
    -------
    str
        ``#RRGGBB``.
    """
    if path == ROOT:
        return EVERYONE
    numbers = [int(part) for part in path.strip("/").split("/")]
    first = numbers[0] - 1
    colour = _to_lch(HUES[first % len(HUES)])
    if turn := first // len(HUES):
        shift = _ROUND * (1 if turn % 2 else -1) * ((turn + 1) // 2)
        colour = colour._replace(lightness=_within(colour.lightness + shift))
    if depth(path) == 1:
        return _to_hex(colour)
    span = _LIGHTEST - _DARKEST
    for level, number in enumerate(numbers[1:], start=1):
        # neighbours in number are far apart in lightness: the golden ratio never comes back
        place = (number * 0.6180339887) % 1.0
        reach = span / max(1.0, level - 0.5)
        middle = 0.5 * (_DARKEST + _LIGHTEST) if level == 1 else colour.lightness
        colour = _Lch(
            _within(middle + (place - 0.5) * reach),
            max(0.05, colour.chroma * 0.95),
            (colour.hue + _TURN / level * (((number * 0.7548776662) % 1.0) - 0.5) * 2) % 360,
        )
    return _to_hex(colour)


def text_on(colour: str) -> str:
    """Return black or white, whichever is read better on a colour (WCAG's relative luminance)."""
    light = _luminance(colour)
    return "#000000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#FFFFFF"


def contrast(one: str, other: str) -> float:
    """Return WCAG's contrast ratio of two colours: 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _within(lightness: float) -> float:
    return min(_LIGHTEST, max(_DARKEST, lightness))


def _luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(colour: str) -> tuple[float, float, float]:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return red, green, blue


def _to_lch(colour: str) -> _Lch:
    red, green, blue = _linear(colour)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return _Lch(lightness, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360)


def _to_hex(colour: _Lch) -> str:
    """Return the colour, with less chroma where the screen has none that strong."""
    chroma = colour.chroma
    while True:
        parts = _to_linear(colour._replace(chroma=chroma))
        if all(-1e-4 <= part <= 1.0001 for part in parts) or chroma < 0.005:
            break
        chroma *= 0.95
    return "#" + "".join(f"{_to_byte(part):02X}" for part in parts)


def _to_linear(colour: _Lch) -> tuple[float, float, float]:
    a = colour.chroma * math.cos(math.radians(colour.hue))
    b = colour.chroma * math.sin(math.radians(colour.hue))
    long = (colour.lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (colour.lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (colour.lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _to_byte(part: float) -> int:
    part = min(1.0, max(0.0, part))
    part = 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
    return round(part * 255)
