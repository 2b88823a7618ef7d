"""Maps and swarms, from the samples of embeddings and shap_values that were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reclust_spark.explain.describe import LEVEL
from reclust_spark.explain.shapley import Topic
from reclust_spark.onevsall.predict import Question
from reclust_spark.paths import DIGITS
from reclust_spark.report.content import Map, Swarm
from reclust_spark.report.swarms import swarm_of


class Rank(NamedTuple):
    """A question's rank in a cluster, and its direction: see explanations."""

    rank: int
    direction: str | None


def maps_of(sample: pa.Table, sizes: Mapping[str, int]) -> dict[str, Map]:
    """Return each node's map.

    Parameters
    ----------
    sample : Arrow table
        path, x, y, child_path.
    sizes : mapping of path to int
        How many people the whole embedding has.
    """
    xs, ys = (sample[name].to_numpy().astype(np.float32) for name in ("x", "y"))
    # the child's number is the last part of its path: /003/001/ of /003/ is 1
    number = {
        path: 0 if path is None else int(path[-DIGITS - 1 : -1])
        for path in sample["child_path"].unique().to_pylist()
    }
    child = np.array([number[path] for path in sample["child_path"].to_pylist()], dtype=np.intp)
    paths = np.array(sample["path"].to_pylist(), dtype=object)
    return {
        path: Map(xs[rows], ys[rows], child[rows], sizes[path]) for path, rows in _groups(paths)
    }


def swarms_of(
    sample: pa.Table,
    ranks: Mapping[tuple[str, str], Rank],
    topics: Sequence[Topic],
    questions: tuple[Question, ...],
) -> dict[str, tuple[Swarm, ...]]:
    """Return the swarms of each cluster, in the order of its leading questions.

    Parameters
    ----------
    sample : Arrow table
        path, source_column, answer, shap.
    ranks : mapping of (path, source_column) to Rank
        Of the leading questions; others have no swarm.
    topics : sequence of Topic
    questions : tuple of Question
        By position.
    """
    by_name = {topic.source_column: topic for topic in topics}
    answers, shap = (sample[name].to_numpy() for name in ("answer", "shap"))
    pairs = zip(sample["path"].to_pylist(), sample["source_column"].to_pylist(), strict=True)
    keys = np.array([f"{path}\0{column}" for path, column in pairs], dtype=object)
    found: dict[str, list[tuple[int, Swarm]]] = {}
    for key, rows in _groups(keys):
        path, _, column = key.partition("\0")
        if (path, column) not in ranks or column not in by_name:
            continue
        rank, direction = ranks[path, column]
        leads = direction.removeprefix(LEVEL) if direction and direction.startswith(LEVEL) else None
        swarm = swarm_of(by_name[column], questions, answers[rows], shap[rows], leads)
        found.setdefault(path, []).append((rank, swarm))
    return {
        path: tuple(swarm for _, swarm in sorted(ranked, key=lambda item: item[0]))
        for path, ranked in found.items()
    }


def _groups(keys: npt.NDArray[np.object_]) -> list[tuple[str, npt.NDArray[np.intp]]]:
    """Return each key with the rows that have it."""
    if not len(keys):
        return []
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    starts = np.flatnonzero(np.r_[True, sorted_keys[1:] != sorted_keys[:-1]])
    return [(str(keys[part[0]]), part) for part in np.split(order, starts[1:])]
