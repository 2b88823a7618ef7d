"""A report as the explorer's scripts read it: JSON, each text once, numbers packed.

Columns of numbers are base64 of little-endian arrays, which the page decodes when it shows them:
bytes and two-byte integers where a plot cannot show more, float32 where a figure is read.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from reclust_spark.crosstab.discovery import is_discovery
from reclust_spark.report import content
from reclust_spark.report.colours import HIGH, LOW, NO_ANSWER, NOISE, colour_of, text_on
from reclust_spark.report.content import Answer, Cluster, Map, Outside, Picture, Report, Swarm
from reclust_spark.warehouse.names import SHARE

OUTSIDE_CELLS = 150_000
"""Cells of outside questions on a page: about 5 MB. What is beyond them is in the workbook."""

_NO_SHORT, _NO_BYTE = 0xFFFF, 0xFF
_SHOWN, _SUPPRESSED, _DIFFERENT = 1, 2, 4

Json = dict[str, Any]


def data_of(report: Report) -> Json:
    """Return all that the page shows.

    Parameters
    ----------
    report : Report

    Returns
    -------
    dict
        Of what JSON knows; `page/data.js` reads it.
    """
    texts = _Texts()
    fitting, left_out = _fitting(report.outside)
    return {
        "title": report.title,
        "source": report.source,
        "tree_version": report.tree_version,
        "made_at": report.made_at.isoformat(timespec="minutes"),
        "n": report.n,
        "weighted": report.weighted,
        "questions": [
            {"column": texts.place(name), "text": texts.place(text)}
            for name, text in report.questions.items()
        ],
        "clusters": [_cluster(cluster, texts) for cluster in report.clusters.values()],
        "outside": [_outside(asked, list(report.clusters), texts) for asked in fitting],
        "left_out": [[texts.place(asked.text), texts.place(asked.by_text)] for asked in left_out],
        "agreement": [[depth, share] for depth, share in report.agreement.items()],
        "method": {name: str(value) for name, value in report.method.items()},
        "colours": {"noise": NOISE, "low": LOW, "high": HIGH, "none": NO_ANSWER},
        "words": {
            "stop": content.STOP_WORDS,
            "caution": content.CAUTION,
            "conditional": content.CONDITIONAL,
            "discovery": content.DISCOVERY,
            "hidden": content.HIDDEN,
        },
        "texts": texts.all,
    }


class _Texts:
    """Texts of the survey, each once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.all)
            self.all.append(text)
        return self._places[text]

    def places(self, words: Iterable[str]) -> list[int]:
        return [self.place(word) for word in words]


def _cluster(cluster: Cluster, texts: _Texts) -> Json:
    colour = colour_of(cluster.path)
    certainty = cluster.certainty
    return {
        "path": cluster.path,
        "label": texts.place(cluster.label),
        "colour": colour,
        "ink": text_on(colour),
        "by_analyst": cluster.by_analyst,
        "n": cluster.n,
        "share": cluster.share,
        "parent_share": cluster.parent_share,
        "n_noise": cluster.n_noise,
        "stop": cluster.stop_reason,
        "stability": cluster.stability,
        "fidelity": cluster.fidelity,
        "persistence": cluster.persistence,
        "trustworthiness": cluster.trustworthiness,
        "agreement": cluster.agreement,
        "certainty": None if certainty is None else certainty._asdict(),
        "answers": [_answer(answer, texts) for answer in cluster.answers],
        "swarms": [_swarm(swarm, texts) for swarm in cluster.swarms],
        "siblings": [list(sibling) for sibling in cluster.siblings],
        "map": None if cluster.map is None else _map(cluster.map),
        "picture": None if cluster.picture is None else _picture(cluster.picture),
        "notes": [
            {
                "text": texts.place(note.text),
                "author": texts.place(note.author),
                "at": note.at.isoformat(timespec="minutes"),
            }
            for note in cluster.notes
        ],
    }


def _answer(answer: Answer, texts: _Texts) -> Json:
    return {
        "column": texts.place(answer.source_column),
        "question": texts.place(answer.question),
        "direction": texts.place(answer.direction),
        "here": texts.place(answer.here),
        "parent": texts.place(answer.parent),
        "everyone": texts.place(answer.everyone),
        "lift": answer.lift,
        "shap": answer.mean_abs_shap,
    }


def _swarm(swarm: Swarm, texts: _Texts) -> Json:
    word = np.where(swarm.word < 0, _NO_SHORT, swarm.word)
    shade = np.where(np.isnan(swarm.shade), _NO_BYTE, np.rint(swarm.shade * (_NO_BYTE - 1)))
    return {
        "question": texts.place(swarm.question),
        "shap": _shorts(swarm.shap),
        "shade": _packed(shade, "u1"),
        "word": _packed(word, "<u2"),
        "words": texts.places(swarm.words),
        "low": texts.place(swarm.low),
        "high": texts.place(swarm.high),
    }


def _map(found: Map) -> Json:
    return {
        "x": _shorts(found.x),
        "y": _shorts(found.y),
        "child": _packed(found.child, "<u2"),
        "n_all": found.n_all,
    }


def _picture(picture: Picture) -> Json:
    return {
        "rows": picture.mean.shape[0],
        "columns": picture.mean.shape[1],
        "mean": _packed(picture.mean, "u1"),
        "medoid": None if picture.medoid is None else _packed(picture.medoid, "u1"),
    }


def _fitting(asked: Iterable[Outside]) -> tuple[list[Outside], list[Outside]]:
    """Return the outside questions that the page has room for, alone before crossed; the rest."""
    fitting: list[Outside] = []
    left_out: list[Outside] = []
    room = OUTSIDE_CELLS
    for one in sorted(asked, key=lambda one: bool(one.by_question)):
        size = len({key.path for key in one.cells}) * math.prod(_shape(one))
        if size <= room:
            fitting.append(one)
            room -= size
        else:
            left_out.append(one)
    return fitting, left_out


def _shape(asked: Outside) -> tuple[int, int, int]:
    """Return how many second answers, answers and statistics there are, none counted as one."""
    return max(1, len(asked.by_levels)), max(1, len(asked.levels)), len(asked.statistics)


def _outside(asked: Outside, paths: list[str], texts: _Texts) -> Json:
    """Return a question's cells as columns over path × second answer × answer × statistic."""
    crossed = {key.path for key in asked.cells}
    known = [i for i, path in enumerate(paths) if path in crossed]
    places = {paths[i]: place for place, i in enumerate(known)}
    by_places = {name: i for i, name in enumerate(asked.by_levels or ("",))}
    level_places = {name: i for i, name in enumerate(asked.levels or ("",))}
    statistics = {name: i for i, name in enumerate(asked.statistics)}
    shape = (len(places), *_shape(asked))
    value, low, high, q = (np.full(shape, np.nan, dtype=np.float32) for _ in range(4))
    n, n_eff = np.zeros(shape, dtype=np.uint32), np.zeros(shape, dtype=np.uint32)
    marks = np.zeros(shape, dtype=np.uint8)
    everyone = np.full(shape[1:], np.nan, dtype=np.float32)
    for key, cell in asked.cells.items():
        if key.path not in places:
            continue
        where = by_places[key.by_level], level_places[key.level], statistics[key.statistic]
        at = (places[key.path], *where)
        if cell.suppressed or cell.value is None:
            marks[at] = _SUPPRESSED if cell.suppressed else 0
            continue
        marks[at] = _SHOWN | (_DIFFERENT if is_discovery(cell.q) else 0)
        value[at], low[at], high[at], q[at] = (
            np.nan if figure is None else figure
            for figure in (cell.value, cell.low, cell.high, cell.q)
        )
        n[at], n_eff[at] = cell.n or 0, round(cell.n_eff or 0)
        if cell.population_value is not None:
            everyone[where] = cell.population_value
    return {
        "question": texts.place(asked.question),
        "text": texts.place(asked.text),
        "by_question": texts.place(asked.by_question),
        "by_text": texts.place(asked.by_text),
        "is_share": SHARE in asked.statistics,
        "confidence": asked.confidence,
        "statistics": list(asked.statistics),
        "levels": texts.places(asked.levels),
        "by_levels": texts.places(asked.by_levels),
        "source": texts.place(asked.input_table),
        "paths": known,
        "value": _packed(value, "<f4"),
        "low": _packed(low, "<f4"),
        "high": _packed(high, "<f4"),
        "q": _packed(q, "<f4"),
        "n": _packed(n, "<u4"),
        "n_eff": _packed(n_eff, "<u4"),
        "marks": _packed(marks, "u1"),
        "everyone": _packed(everyone, "<f4"),
    }


def _shorts(values: npt.NDArray[np.float32]) -> Json:
    """Return numbers as 65,535 steps from the lowest to the highest; one more stands for none."""
    known = values[np.isfinite(values)].astype(np.float64)
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    span = (high - low) or 1.0
    steps = np.rint((values.astype(np.float64) - low) / span * (_NO_SHORT - 1))
    steps = np.where(np.isfinite(steps), steps, _NO_SHORT)
    return {"n": len(values), "low": low, "high": high, "steps": _packed(steps, "<u2")}


def _packed(values: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values.astype(kind)).tobytes()).decode("ascii")
