"""The explorer: a report as one page that opens from disk and asks no network for anything.

Plain scripts and one style sheet (the files of `page/`), plotly.js from its Python package, and the
report as JSON. The page's policy lets nothing else run and lets nothing be fetched.

References
----------
Content Security Policy Level 3. https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files

from plotly.offline import get_plotlyjs

from reclust_spark.report.content import Report
from reclust_spark.report.page_data import data_of

STYLES = ("base.css", "frame.css", "panel.css")
SCRIPTS = (
    "dom.js",
    "words.js",
    "data.js",
    "address.js",
    "theme.js",
    "plots.js",
    "rows.js",
    "map.js",
    "swarm.js",
    "tree.js",
    "sunburst.js",
    "pictures.js",
    "figures.js",
    "answers.js",
    "cells.js",
    "outside.js",
    "panel.js",
    "find.js",
    "search.js",
    "about.js",
    "main.js",
)
"""One idea each, in the order in which they are read."""

_SLOT = re.compile(r"\{\{(\w+)\}\}")
_OWN_STYLE = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""The style sheet that plotly.js brings for its street maps, unless one of that name is there."""


def write_page(report: Report) -> str:
    """Return the explorer.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        A whole HTML document.
    """
    style = "\n".join(_file(name) for name in STYLES)
    # their names are theirs alone: nothing of them is seen from without
    parts = "\n".join(f"// ---- {name}\n{_file(name)}" for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{parts}\n}})();'
    plotly = get_plotlyjs()
    bare = _OWN_STYLE.search(plotly)
    return _filled(
        _file("template.html"),
        {
            "policy": _policy([script, plotly], [style]),
            "title": html.escape(report.title),
            "style": style,
            "plotly_style": bare[1] if bare else "plotly-style",
            "report": _as_json(data_of(report)),
            "plotly": plotly,
            "script": script,
        },
    )


def _file(name: str) -> str:
    return files("reclust_spark.report").joinpath("page", name).read_text(encoding="utf-8")


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Fill the slots, each once: what is filled in is not looked at for slots."""
    return _SLOT.sub(lambda slot: parts[slot[1]], template)


def _as_json(data: Mapping[str, object]) -> str:
    """Return JSON that can stand in a script element: no text ends it, none opens a comment."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: list[str], styles: list[str]) -> str:
    """Return what the page may do: run its own scripts, and that is all.

    plotly.js compiles its own WebGL programs at run time ('unsafe-eval'), starts an empty style
    sheet that it adds rules to, and sets the style of its own elements as attributes.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))} 'unsafe-eval'",
            f"style-src-elem {' '.join(map(_hash, [*styles, '']))}",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
