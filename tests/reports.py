"""Contents of reports, made up: for tests of the page and the deck, which need no Spark."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from reclust_spark.paths import ROOT, child, depth
from reclust_spark.report.content import (
    Answer,
    Cell,
    CellKey,
    Certainty,
    Cluster,
    Map,
    Note,
    Outside,
    Picture,
    Report,
    Sibling,
    Swarm,
)
from reclust_spark.warehouse.names import MEAN, MEDIAN, SHARE

LONG = (
    "people who would rather read of it in a newspaper than ever hear of it from a neighbour "
    "they do not know at all well ok"
)
"""A label as long as a label gets: 120 characters."""
HOSTILE = (
    '<script>window.broken=1</script><img src=x onerror="window.broken=1">',
    "</script><script>window.broken=1</script> & \"quoted\" 'single' `tick` ${window.broken=1}",
    "👩🏽‍🚀 emoji 🎉 and שלום עולם, مرحبا بالعالم ‮reversed",
    "= 1 + 1; \x00\x0b control \ufffe characters\n and\tspace",
    "<b>bold</b><a href='javascript:window.broken=1'>link</a> " + "long " * 1000,
)
"""What a survey may hold: HTML, script, emoji, right-to-left, control characters, much text."""
STATES = ("Ohio", "Utah", "Iowa")


def made_up(
    shape: tuple[int, ...] = (3, 2),
    words: tuple[str, ...] = ("liberal", "prays daily", "reads the news"),
    n_map: int = 300,
    images: bool = False,
    outside: bool = True,
    seed: int = 0,
) -> Report:
    """Return a report of a full tree with `shape[d]` children of each node at depth d.

    `words` go round as labels, questions and answers.
    """
    rng = np.random.default_rng(seed)
    paths = [ROOT]
    for d, n in enumerate(shape):
        paths += [child(p, i + 1) for p in list(paths) if depth(p) == d for i in range(n)]
    paths.sort()
    shares = {ROOT: 1.0}
    clusters = {}
    for number, path in enumerate(paths):
        below = [
            p for p in paths if p != path and p.startswith(path) and depth(p) == depth(path) + 1
        ]
        cuts = 0.95 * (2.0 ** -np.arange(len(below)) + 1.0)
        cuts *= 0.95 / cuts.sum() if len(below) else 1
        for p, cut in zip(below, cuts, strict=True):
            shares[p] = shares[path] * cut
        clusters[path] = _cluster(path, below, shares, number, words, rng, n_map, images)
    return Report(
        title="Who they are",
        tree_version=1,
        made_at=datetime(2024, 5, 17, 12, 30, tzinfo=UTC),
        source="survey.parquet",
        n=100_000,
        weighted=True,
        questions={f"q{i}": f"{words[i % len(words)]} (question {i})" for i in range(12)},
        clusters=clusters,
        outside=_outside(paths, words, rng) if outside else (),
        agreement={d + 1: 0.95 - 0.08 * d for d in range(len(shape))},
        method={"n_neighbors": 30, "min_cluster_size": 0.05, "engine": "umap_hdbscan"},
    )


def one_node() -> Report:
    """Return a report of a tree that was not split, and not explained."""
    report = made_up(shape=(), outside=False)
    return replace(report, questions={"q0": "liberal"})


def crossed_widely(report: Report, n_levels: int = 50, n_by: int = 50, name: str = "State {}"):
    """Return the report with outside questions of many answers and many second ones."""
    rng = np.random.default_rng(1)
    paths = [path for path in report.clusters if depth(path) < 2]
    states, many = ([name.format(i) for i in range(n)] for n in (n_by, n_levels))
    votes = ("for one", "against", "neither", "would not say at all")
    bands = states[:5]

    def cell(value: float, everyone: float) -> Cell:
        if rng.random() < 0.05:
            return Cell(None, None, None, None, None, None, None, None, True)
        low, high = value * 0.9, value * 1.1
        return Cell(value, everyone, 100 * value / everyone, low, high, 120, 90.0, 0.01, False)

    usual = rng.dirichlet(np.ones(n_levels))
    crossed = {
        CellKey(p, state, vote, SHARE): cell(float(rng.beta(3, 4)), 0.4)
        for p in paths for state in states for vote in votes
    }  # fmt: skip
    alone = {
        CellKey(p, "", level, SHARE): cell(float(usual[i] * rng.gamma(4) / 4), float(usual[i]))
        for p in paths for i, level in enumerate(many)
    }  # fmt: skip
    money = {
        CellKey(p, state, "", statistic): cell(40_000 + 9_000 * float(rng.random()), 42_000.0)
        for p in paths for state in bands for statistic in (MEAN, MEDIAN)
    }  # fmt: skip
    return replace(
        report,
        outside=(
            *report.outside,
            Outside("vote", "Whom?", "home", "state", (SHARE,), votes, tuple(states), crossed, "x"),
            Outside("home", "State of residence", "", "", (SHARE,), tuple(many), (), alone, "x"),
            Outside("pay", "Pay", "home", "state", (MEAN, MEDIAN), (), tuple(bands), money, "x"),
        ),
    )


def _cluster(path, below, shares, number, words, rng, n_map, images) -> Cluster:
    name = words[number % len(words)]
    share = shares[path]
    is_root = path == ROOT
    up = path[:-4]
    siblings = [p for p in shares if p != ROOT and p[:-4] == up]
    cluster = Cluster(
        path=path,
        label="everyone" if is_root else name,
        n=round(share * 100_000),
        weight=share * 100_000.0,
        share=share,
        by_analyst=number % 3 == 1,
        parent_share=None if is_root else share / shares[up],
        n_children=len(below),
        n_noise=round(share * 5_000) if below else 0,
        stop_reason=None if below else "max_depth",
        persistence=None if is_root else 0.4,
        stability=None if is_root else (0.9 if number % 2 else 0.4),
        trustworthiness=0.95 if below else None,
        fidelity=0.93 if below else None,
        map=_map(len(below), round(share * 100_000), n_map, rng) if below else None,
        picture=_picture(rng) if images else None,
        agreement=0.94 if below else None,
    )
    if is_root:
        return cluster
    return replace(
        cluster,
        answers=tuple(
            Answer(
                f"q{i}", f"{words[i % len(words)]} (question {i})",
                ("higher", "lower", "middle", "extremes", words[0])[i % 5],
                words[i % len(words)], words[(i + 1) % len(words)], words[(i + 2) % len(words)],
                3.2 - 0.3 * i if i < 8 else None, 2.0 / (1 + i),
            )
            for i in range(10)
        ),
        swarms=tuple(_swarm(i, words, rng) for i in range(10)),
        siblings=(
            Sibling(path, 0.93),
            Sibling(up, 0.04),
            *(Sibling(p, 0.01) for p in siblings[:3] if p != path),
        ),
        certainty=Certainty(0.987, 0.91, 0.012, 4_000, 0.41),
        notes=(Note(f"{name}: they told us so.", "ada", datetime(2024, 6, 1, tzinfo=UTC)),)
        if number % 4 == 1
        else (),
    )  # fmt: skip


def _map(n_children, n_all, n, rng) -> Map:
    which = rng.integers(0, n_children + 1, n)
    angle = 2 * np.pi * which / (n_children + 1)
    x, y = 5 * np.cos(angle), 5 * np.sin(angle)
    spread = np.where(which == 0, 3.0, 0.5)
    return Map(
        (x + spread * rng.normal(size=n)).astype(np.float32),
        (y + spread * rng.normal(size=n)).astype(np.float32),
        which.astype(np.intp),
        n_all,
    )


def _picture(rng) -> Picture:
    grey = rng.integers(0, 255, (28, 28)).astype(np.uint8)
    return Picture(grey, grey.T.copy())


def _swarm(i, words, rng, n=120) -> Swarm:
    answer = rng.integers(-1, 4, n)
    shap = (0.4 * answer + rng.normal(size=n)) / (1 + i)
    order = np.argsort(shap)
    answer = answer[order]
    levels = tuple(f"{words[i % len(words)]} {level}" for level in range(4))
    return Swarm(
        f"q{i}", f"{words[i % len(words)]} (question {i})", shap[order].astype(np.float32),
        np.where(answer < 0, np.nan, answer / 3).astype(np.float32),
        levels, answer.astype(np.intp), levels[0], levels[-1],
    )  # fmt: skip


def _outside(paths, words, rng) -> tuple[Outside, ...]:
    votes = (f"for {words[0]}", "against", "neither")

    def cell(value: float, everyone: float, spread: float, n: int) -> Cell:
        if n < 10:
            return Cell(None, None, None, None, None, None, None, None, True)
        return Cell(
            value, everyone, 100 * value / everyone, value - spread, value + spread, n, n / 1.4,
            0.001 if abs(value - everyone) > spread else 0.6, False,
        )  # fmt: skip

    alone, crossed, ages = {}, {}, {}
    for number, path in enumerate(paths):
        cut = rng.dirichlet([3, 2, 1]) if number else np.array([0.5, 0.3, 0.2])
        for level, value, everyone in zip(votes, cut, (0.5, 0.3, 0.2), strict=True):
            alone[CellKey(path, "", level, SHARE)] = cell(value, everyone, 0.05, 900)
            for i, state in enumerate(STATES):
                n = 4 if (i + number) % 7 == 6 else 120
                crossed[CellKey(path, state, level, SHARE)] = cell(value, everyone, 0.09, n)
        age = 45 + 20 * rng.random()
        ages[CellKey(path, "", "", MEAN)] = cell(age, 50.0, 1.5, 900)
        ages[CellKey(path, "", "", MEDIAN)] = cell(age - 1, 49.0, 2.0, 900)
    vote = f"{words[0]}: whom did you vote for?"
    return (
        Outside("vote", vote, "", "", (SHARE,), votes, (), alone, "outside.parquet"),
        Outside("vote", vote, "state", f"{words[0]}: state", (SHARE,), votes, STATES, crossed),
        Outside("age", "How old are you?", "", "", (MEAN, MEDIAN), (), (), ages),
    )
