"""Shares of everyone as native bars, a name beside each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pptx.util import Pt

from reclust_spark.explain.label import shortened
from reclust_spark.report.colours import NOISE
from reclust_spark.report.content import Cluster, Picture
from reclust_spark.report.deck.box import Box
from reclust_spark.report.deck.charts import Bars, Series, bars
from reclust_spark.report.deck.deck import Deck, Name, name_of_cluster, name_rows, rows_in
from reclust_spark.report.deck.fit import bold, muted, say
from reclust_spark.report.deck.page import Page
from reclust_spark.report.deck.sketch import grey
from reclust_spark.report.deck.words import percent

BAR, FULL_BAR = 0.2, 0.8
"""The least and the greatest height of a bar and its name, inches."""


class Share(NamedTuple):
    """A bar: whose it is, the share of everyone, and a mean image where questions are pixels."""

    name: Name
    share: float
    picture: Picture | None = None


def share_of(cluster: Cluster) -> Share:
    """Return a cluster's bar."""
    return Share(name_of_cluster(cluster), cluster.share, cluster.picture)


def share_bars(
    deck: Deck, page: Page, box: Box, shares: Sequence[Share], rest: Share, heading: str
) -> None:
    """Draw shares as bars, the largest that there is room for, the others as one.

    Parameters
    ----------
    shares : sequence of Share
    rest : Share
        Who is in none of them.
    """
    weighted = ", weighted" if deck.report.weighted else ""
    head, box = box.off_top(0.3, 0.05)
    page.text(head, (say(bold(heading), muted(weighted)),), 12, anchor="middle")
    room = rows_in(box.height, BAR) - 1
    shown = list(shares)
    if len(shares) > room:
        least = sorted((one.share for one in shares), reverse=True)[room - 2]
        shown = [one for one in shares if one.share >= least][: room - 1]
        others = sum(one.share for one in shares) - sum(one.share for one in shown)
        name = Name(NOISE, "", f"the other {len(shares) - len(shown)} clusters")
        shown.append(Share(name, others))
    shown.append(rest)
    box = box._replace(height=min(box.height, FULL_BAR * len(shown)))
    names, plot = box.columns(1, 1, gap=0.1)
    places = [place.inset(0, 0.01) for place in names.rows(*[1.0] * len(shown), gap=0.0)]
    if any(one.picture for one in shown):
        places = _thumbnails(page, places, shown)
    name_rows(page, places, [one.name for one in shown], 12)
    categories = [f"{one.name.number} {shortened(one.name.label, 60)}".strip() for one in shown]
    alt = "; ".join(
        f"{name} {percent(one.share)}" for name, one in zip(categories, shown, strict=True)
    )
    chart = bars(
        page, plot, categories,
        [
            Series(
                "share of everyone",
                [one.share for one in shown],
                [one.name.colour for one in shown],
            )
        ],
        Bars("0.0%", largest=1.3 * max(one.share for one in shown), numbers=True),
        f"Bar chart, {heading}: {alt}",
        deck.report.made_at,
    )  # fmt: skip
    chart.font.size = Pt(11 if box.height / len(shown) > 0.3 else 9)


def _thumbnails(page: Page, places: Sequence[Box], shown: Sequence[Share]) -> list[Box]:
    """Put mean images behind names; return what remains of the places."""
    left = []
    for place, one in zip(places, shown, strict=True):
        side = min(place.height - 0.04, place.width / 3)
        rest, image = place.off_left(place.width - side - 0.1, 0.1)
        if one.picture is not None:
            name = one.name.number
            page.picture(image, grey(one.picture.mean), f"The mean image of cluster {name}")
        left.append(rest)
    return left
