"""The deck, page after page, and its file: the same report gives the same bytes."""

from __future__ import annotations

import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

from reclust_spark.report.content import Report
from reclust_spark.report.deck.clean import one_line
from reclust_spark.report.deck.closing import caveats, importance, left_out, method
from reclust_spark.report.deck.cluster import cluster_page, pages_each
from reclust_spark.report.deck.deck import Deck
from reclust_spark.report.deck.design import Design
from reclust_spark.report.deck.opening import cover, population, reading
from reclust_spark.report.deck.outside import outside_page
from reclust_spark.report.deck.own import open_own
from reclust_spark.report.deck.plan import plan
from reclust_spark.report.deck.template import open_template

AUTHOR = "reclust-spark"
_LONGEST = 255
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip file can hold."""


def write_deck(report: Report, file: Path, template: Path | None = None) -> None:
    """Write the deck for the meeting.

    Parameters
    ----------
    report : Report
    file : Path
    template : Path, optional
        A .pptx whose size, master, layouts and theme the deck takes.

    Raises
    ------
    ConfigError
        If the template is not there, no .pptx, or has no layout with a title.
    OSError
        If the file cannot be written.
    """
    design = open_own() if template is None else open_template(template)
    deck = Deck(report, design)
    pages = plan(report, pages_each(design))
    cover(deck)
    population(deck)
    if pages.shown:
        reading(deck)
    for cluster in pages.shown:
        cluster_page(deck, cluster)
    left_out(deck, pages.left)
    importance(deck)
    for outside in report.outside:
        outside_page(deck, outside)
    method(deck)
    caveats(deck)
    _sign(design, report)
    saved = BytesIO()
    design.presentation.save(saved)
    file.write_bytes(_timed(saved.getvalue(), report.made_at))


def _sign(design: Design, report: Report) -> None:
    """Set the file's properties; its times are the tree's."""
    properties = design.presentation.core_properties
    at = report.made_at.replace(tzinfo=None)
    properties.title = one_line(report.title)[:_LONGEST]
    properties.subject = one_line(f"{report.source}, tree {report.tree_version}")[:_LONGEST]
    properties.author = properties.last_modified_by = AUTHOR
    properties.created = properties.modified = at
    properties.revision = 1


def _timed(package: bytes, at: datetime) -> bytes:
    """Return a package whose members all have one time."""
    time = max(_EARLIEST, (at.year, at.month, at.day, at.hour, at.minute, at.second))
    file = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(package)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(
                zipfile.ZipInfo(name, time), old.read(name), compress_type=zipfile.ZIP_DEFLATED
            )
    return file.getvalue()
