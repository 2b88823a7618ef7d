"""Which clusters have a page of their own."""

from __future__ import annotations

from typing import NamedTuple

from reclust_spark.paths import depth
from reclust_spark.report.content import Cluster, Report

MOST_PAGES = 60
"""Clusters of depth 1 all have a page; deeper ones while the deck has no more than this."""
_FIXED = 7
"""Cover, population, reading, importance, what is left out, method, caveats."""


class Plan(NamedTuple):
    """The pages of clusters.

    Attributes
    ----------
    shown : tuple of Cluster
        In the order of their paths.
    left : tuple of Cluster
        Those without a page, the largest first.
    """

    shown: tuple[Cluster, ...]
    left: tuple[Cluster, ...]


def plan(report: Report, each: int = 1, most: int = MOST_PAGES) -> Plan:
    """Choose the clusters that have a page: depth 1, then the largest.

    A cluster is never larger than its parent, so that none is shown without those above it.

    Parameters
    ----------
    report : Report
    each : int
        Pages that a cluster takes.
    most : int
        Pages of the whole deck.
    """
    clusters = [c for c in report.clusters.values() if depth(c.path) > 0]
    first = [c for c in clusters if depth(c.path) == 1]
    deeper = sorted(
        (c for c in clusters if depth(c.path) > 1), key=lambda c: (-c.share, depth(c.path), c.path)
    )
    room = max(0, (most - _FIXED - len(report.outside)) // each - len(first))
    shown = sorted((*first, *deeper[:room]), key=lambda c: c.path)
    return Plan(tuple(shown), tuple(deeper[room:]))
