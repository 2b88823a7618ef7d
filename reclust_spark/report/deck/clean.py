"""Texts as XML takes them: the one place where words lose what would break a document."""

from __future__ import annotations

import re

_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for: control characters, lone surrogates, U+FFFE and U+FFFF."""
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of all that follows them: they would reach into our own words."""
_BLANK = re.compile(r"\s+")


def clean(text: str) -> str:
    """Return a text without what XML refuses and without marks that turn its direction.

    Letters of right-to-left scripts and emoji stay; lines stay lines.
    """
    return _TURNING.sub("", _REFUSED.sub("", text))


def one_line(text: str) -> str:
    """Return a clean text with every run of blanks and line ends made one space."""
    return _BLANK.sub(" ", clean(text))
