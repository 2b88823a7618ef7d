"""The last pages: the importance of clusters, what is left out, method and caveats."""

from __future__ import annotations

from collections.abc import Sequence

from reclust_spark.paths import ROOT
from reclust_spark.report.colours import NOISE
from reclust_spark.report.content import (
    CAUTION,
    CONDITIONAL,
    DISCOVERY,
    HIDDEN,
    Cluster,
    Report,
    name_of,
)
from reclust_spark.report.deck.deck import GUTTER, WIDE, Deck, Name, card_pages, rows_in
from reclust_spark.report.deck.fit import Paragraph, bold, muted, say
from reclust_spark.report.deck.shares import Share, share_bars, share_of
from reclust_spark.report.deck.table import cell, draw_table, fit_table, header
from reclust_spark.report.deck.words import UNSTABLE, percent

_NAMED = 12
_METHOD = {
    "engine": "Engine",
    "n_neighbors": "Neighbours of the map (n_neighbors)",
    "min_cluster_size": "Least size of a cluster, rows or share of its group",
    "root_min_cluster_size": "The same among everyone",
    "min_share": "Least share of everyone",
    "min_samples": "Neighbours of the clustering (min_samples)",
    "max_depth": "Levels of splits, at most",
    "seed": "Seed",
}


def importance(deck: Deck) -> None:
    """Make the page of the clusters' importance in the population."""
    leaves = sorted(
        (c for c in deck.report.leaves() if c.path != ROOT), key=lambda c: (-c.share, c.path)
    )
    if not leaves:
        return
    held = sum(c.share for c in leaves)
    first = leaves[0]
    page = deck.page(
        f"The largest cluster that is not split further is {name_of(first.path)}, with "
        f"{percent(first.share)} of everyone"
    )
    share_bars(
        deck, page, page.area,
        [share_of(c) for c in leaves],
        Share(Name(NOISE, "", "in none of them"), max(0.0, 1 - held)),
        f"Clusters at the ends of the tree ({len(leaves)}): share of everyone",
    )  # fmt: skip


def left_out(deck: Deck, left: Sequence[Cluster]) -> None:
    """Make the page that names the clusters without a page."""
    if not left:
        return
    page = deck.page(f"{len(left)} smaller clusters have no page here")
    head, rest = page.area.off_top(0.5, GUTTER)
    room = rows_in(rest.height, 0.36)
    needed = min(3 if rest.width > WIDE else 2, -(-len(left) // room))
    columns = rest.columns(*[1.0] * max(2, needed), gap=2 * GUTTER)
    shown = left[: room * len(columns)]
    more = f" The {len(shown)} largest are named here." if len(shown) < len(left) else ""
    page.text(head, (
        say(f"None holds more than {percent(left[0].share)} of everyone. They are in "
            f"explorer.html, where each can be opened, and in the workbook.{more}"),
    ), 14)  # fmt: skip
    for at, column in enumerate(columns):
        part = shown[at * room : (at + 1) * room]
        if not part:
            break
        rows = [header("Cluster", "Share", right=(1,))]
        rows += [
            (cell(bold(name_of(c.path)), f" {c.label}"), cell(percent(c.share), align="right"))
            for c in part
        ]
        widths = (column.width - 0.65, 0.65)
        table = fit_table(rows, widths, column.height, deck.design.faces, 11)
        draw_table(page, column.left, column.top, table, "Clusters without a page, by share")


def method(deck: Deck) -> None:
    """Make the page that says how the clusters were found."""
    report = deck.report
    page = deck.page("How the clusters were found")
    left, right = page.area.columns(1.25, 1, gap=2 * GUTTER)
    steps = (
        say(bold("1. Comparable answers. "), f"The answers of {report.n:,} people to "
            f"{len(report.questions):,} questions of {report.source} were put on one scale, so "
            "that each question has the same say."),
        say(bold("2. A map, and groups on it. "), "People who answer alike are put near each other "
            "(UMAP); where they are dense is a cluster, and who stands between is in none "
            "(HDBSCAN)."),
        say(bold("3. Zoom. "), "The same was done inside each cluster, on its people's own "
            "answers, until it was no longer worth splitting."),
        say(bold("4. In words. "), "A model for each cluster tells its people from the others of "
            "its group (XGBoost); how each answer moves it (SHAP) says what marks the cluster."),
        say(bold("5. Outside questions "), "never shaped a cluster: they were crossed with the "
            "clusters afterwards."),
    )  # fmt: skip
    page.text(left, [step._replace(after=0.8) for step in steps], 16)
    rows = [header("Setting", "Value", right=(1,))]
    rows += [
        (cell(_METHOD.get(name, name)), cell(bold(_value(value)), align="right"))
        for name, value in report.method.items()
    ]
    rows += [
        (cell("Clusters, of all depths"), cell(bold(str(len(report.clusters) - 1)), align="right")),
        (cell("Tree version"), cell(bold(str(report.tree_version)), align="right")),
    ]
    widths = (right.width * 0.6, right.width * 0.4)
    table = fit_table(rows, widths, right.height, deck.design.faces, 12, row_heights=(0.0, 0.5))
    draw_table(page, right.left, right.top, table, "Settings that the tree was made with")


def _value(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def caveats(deck: Deck) -> None:
    """Make the page of what the figures cannot say."""
    report = deck.report
    items = [
        ("Whom it speaks of", _represented(report)),
        ("Who is in no cluster", _noise(report)),
        ("Unstable clusters", _unstable(report)),
        ("How well models place people", _agreement(report)),
    ]
    if report.outside:
        items.append(("Outside questions", (say(CONDITIONAL), say(DISCOVERY), say(HIDDEN))))
    card_pages(deck, "What to keep in mind", items)


def _represented(report: Report) -> tuple[Paragraph, ...]:
    weights = (
        "Shares are weighted by the survey's weights; the clusters themselves were found without "
        "them." if report.weighted
        else "No weights were given: each person counts alike."
    )  # fmt: skip
    return (
        say(f"{report.n:,} people who answered. {weights}"),
        say("Whether they stand for everyone you mean is not tested here: a group that was not "
            "asked cannot be found."),
    )  # fmt: skip


def _noise(report: Report) -> tuple[Paragraph, ...]:
    leaves = [c for c in report.leaves() if c.path != ROOT]
    if not leaves:
        return (say("There are no clusters."),)
    first = max(0.0, 1 - sum(c.share for c in report.children(ROOT)))
    ends = max(0.0, 1 - sum(c.share for c in leaves))
    return (
        say(bold(percent(first)), " of everyone fit none of the first clusters, ",
            bold(percent(ends)), " none at the ends of the tree."),
        say("They are not forced into one; they differ from all, and from each other."),
    )  # fmt: skip


def _unstable(report: Report) -> tuple[Paragraph, ...]:
    clusters = [c for c in report.clusters.values() if c.path != ROOT]
    known = [c for c in clusters if c.stability is not None]
    if not known:
        return (say("How often the clusters would be found again in other samples is unknown for "
                    "this tree."),)  # fmt: skip
    weak = sorted(
        (c for c in known if (c.stability or 0) < UNSTABLE), key=lambda c: (-c.share, c.path)
    )
    unknown = len(clusters) - len(known)
    tail = [say(muted(f"Unknown for {unknown} of {len(clusters)}."))] if unknown else []
    if not weak:
        return (say(f"None is below {UNSTABLE}."), *tail)
    named = ", ".join(name_of(c.path) for c in weak[:_NAMED])
    more = f" and {len(weak) - _NAMED} more" if len(weak) > _NAMED else ""
    return (
        say(bold(str(len(weak))), f" of {len(known)} were found again with less than {UNSTABLE} "
            "in other samples and should not be relied on, the largest first: ",
            bold(named), more, "."),
        *tail,
    )  # fmt: skip


def _agreement(report: Report) -> tuple[Paragraph, ...]:
    if not report.agreement:
        return (say("How often the models place people where they were found is unknown for this "
                    "tree."), say(CAUTION))  # fmt: skip
    lines = [
        say(bold(f"{share:.0%}"), f" at depth {depth}", after=0.1)
        for depth, share in report.agreement.items()
    ]
    lines[-1] = lines[-1]._replace(after=0.35)
    return (
        say("People held out were placed where they were found:", after=0.1),
        *lines,
        say(CAUTION),
    )
