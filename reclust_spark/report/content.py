"""What a report says, whatever its form: the figures that page, deck and workbook all show.

No person's id is in here, and nobody's answers can be put together again: maps hold places alone,
and the SHAP values of each question are sorted by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reclust_spark.crosstab.discovery import DISCOVERED
from reclust_spark.paths import ROOT, parent

Floats = npt.NDArray[np.float32]


class Answer(NamedTuple):
    """A leading question's part in a cluster: a row of explanations, in words.

    Attributes
    ----------
    source_column : str
    question : str
    direction : str
        higher, lower, middle, extremes, or the level that gained most; empty where nothing stands
        out.
    here, parent, everyone : str
        Typical answers, empty where nobody answered.
    lift : float or None
        How many times as frequent the answers in that direction are as in the parent.
    mean_abs_shap : float
        Log odds.
    """

    source_column: str
    question: str
    direction: str
    here: str
    parent: str
    everyone: str
    lift: float | None
    mean_abs_shap: float


class Swarm(NamedTuple):
    """The SHAP values of a question in a cluster's model, for some people: rising.

    Attributes
    ----------
    source_column : str
    question : str
    shap : (n,) float32 array
        Log odds, rising.
    shade : (n,) float32 array
        The answer, 0 (the lowest, or any other level) to 1 (the highest, or the level that leads);
        NaN where there is none.
    words : tuple of str
        All answers in words, each once.
    word : (n,) intp array
        Which of `words` each person's answer is; −1 where there is none.
    low, high : str
        What 0 and 1 stand for.
    """

    source_column: str
    question: str
    shap: Floats
    shade: Floats
    words: tuple[str, ...]
    word: npt.NDArray[np.intp]
    low: str
    high: str


class Map(NamedTuple):
    """A sample of a node's embedding.

    Attributes
    ----------
    x, y : (n,) float32 array
    child : (n,) intp array
        The number of the child, as its path has it; 0 where there is none.
    n_all : int
        How many people the embedding has.
    """

    x: Floats
    y: Floats
    child: npt.NDArray[np.intp]
    n_all: int


class Sibling(NamedTuple):
    """Where the models place a cluster's people; the parent's path: in none of its children."""

    path: str
    share: float


class Note(NamedTuple):
    """What an analyst wrote of a cluster."""

    text: str
    author: str
    at: datetime


class Certainty(NamedTuple):
    """A cluster's one-vs-all model on people it had not seen; None where it is not known."""

    auc: float | None
    f1: float | None
    calibration_error: float | None
    n_test: int
    threshold: float


class Picture(NamedTuple):
    """Grey images of a cluster, (rows, columns) uint8, 255 the largest value: mean and medoid."""

    mean: npt.NDArray[np.uint8]
    medoid: npt.NDArray[np.uint8] | None


@dataclass(frozen=True)
class Cluster:
    """A node of the tree and all that is known of it.

    Attributes
    ----------
    path : str
    label : str
        The analyst's, or the models'; the path where there is none.
    by_analyst : bool
    n, weight, share, parent_share
        People, all below included; share is weighted, of everyone; parent_share of its parent.
    n_children, n_noise : int
        How many clusters it is split into, and how many people fit none of them.
    stop_reason : str or None
        Why it is not split.
    stability, fidelity, persistence, trustworthiness : float or None
        stability and persistence are the cluster's own within its parent's split, fidelity and
        trustworthiness its own split's.
    answers : tuple of Answer
        The leading questions, the first one first; empty where it has not been explained.
    swarms : tuple of Swarm
    siblings : tuple of Sibling
        Itself included, most first.
    certainty : Certainty or None
    agreement : float or None
        The share of held-out people of its own split that the models put where the fit did.
    map : Map or None
        Of its own split.
    picture : Picture or None
    notes : tuple of Note
        The newest first.
    """

    path: str
    label: str
    n: int
    weight: float
    share: float
    by_analyst: bool = False
    parent_share: float | None = None
    n_children: int = 0
    n_noise: int = 0
    stop_reason: str | None = None
    stability: float | None = None
    fidelity: float | None = None
    persistence: float | None = None
    trustworthiness: float | None = None
    answers: tuple[Answer, ...] = ()
    swarms: tuple[Swarm, ...] = ()
    siblings: tuple[Sibling, ...] = ()
    certainty: Certainty | None = None
    agreement: float | None = None
    map: Map | None = None
    picture: Picture | None = None
    notes: tuple[Note, ...] = ()


class Cell(NamedTuple):
    """An outside question's answer in a cluster; all None where it is suppressed.

    Attributes
    ----------
    value, population_value : float or None
        A share (0 to 1), mean or median; everyone's, of the same second answer.
    index100 : float or None
        100 × value / population_value.
    low, high : float or None
        The interval's limits.
    n : int or None
        People of the cluster (and the second answer) who answered.
    n_eff : float or None
    q : float or None
        The false-discovery rate at which it differs from the rest of the population.
    suppressed : bool
    """

    value: float | None
    population_value: float | None
    index100: float | None
    low: float | None
    high: float | None
    n: int | None
    n_eff: float | None
    q: float | None
    suppressed: bool


class CellKey(NamedTuple):
    """Which cell: by_level is empty without a second question, level for a mean or median."""

    path: str
    by_level: str
    level: str
    statistic: str


@dataclass(frozen=True)
class Outside:
    """An outside question crossed with the tree, alone or with a second question.

    Attributes
    ----------
    question, text : str
        Its column, its words.
    by_question, by_text : str
        The second one's; empty where there is none.
    statistics : tuple of str
        share; or mean and median.
    levels, by_levels : tuple of str
        In their order; empty for a number, and without a second question.
    cells : mapping of CellKey to Cell
    input_table : str
        Where the answers come from.
    confidence : float
        Of the intervals.
    """

    question: str
    text: str
    by_question: str
    by_text: str
    statistics: tuple[str, ...]
    levels: tuple[str, ...]
    by_levels: tuple[str, ...]
    cells: Mapping[CellKey, Cell]
    input_table: str = ""
    confidence: float = 0.95


@dataclass(frozen=True)
class Report:
    """All of a report.

    Attributes
    ----------
    title : str
    tree_version : int
    made_at : datetime
        When the tree was completed.
    source : str
        The survey's name.
    n : int
        People.
    weighted : bool
        Shares are of weights that are not all alike.
    questions : mapping of source_column to words
        All questions that the tree was built on, multi-selects as one.
    clusters : mapping of path to Cluster
        Sorted by path; the root is among them.
    outside : tuple of Outside
    agreement : mapping of int to float
        By depth, the share of held-out people whom the models put where the fit did.
    method : mapping of str to text
        Settings worth telling: n_neighbors, min_cluster_size, engine …
    """

    title: str
    tree_version: int
    made_at: datetime
    source: str
    n: int
    weighted: bool
    questions: Mapping[str, str]
    clusters: Mapping[str, Cluster]
    outside: tuple[Outside, ...] = ()
    agreement: Mapping[int, float] = field(default_factory=dict)
    method: Mapping[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Cluster:
        """Everyone."""
        return self.clusters[ROOT]

    def children(self, path: str) -> tuple[Cluster, ...]:
        """Return a node's children, in the order of their paths."""
        return tuple(c for p, c in self.clusters.items() if p != ROOT and parent(p) == path)

    def leaves(self) -> tuple[Cluster, ...]:
        """Return the clusters that are not split, in the order of their paths."""
        return tuple(c for c in self.clusters.values() if not c.n_children)


STOP_WORDS = {
    "max_depth": "the tree is as deep as it was allowed to be",
    "too_small": "too few people for two clusters",
    "one_cluster": "no second group was found",
    "no_structure": "no groups were found",
    "unstable": "its groups were not found again in other samples",
}
"""Why a node is not split, as people read it."""

CAUTION = "A high AUC says that the group can be described, not that it exists."
CONDITIONAL = (
    "Intervals and tests take the clusters as given: what another sample would have found as "
    "clusters is not in them."
)
DISCOVERY = (
    "A cluster is marked as different where its false-discovery rate (Benjamini and Hochberg, over "
    f"all cells of the question) is at most {100 * DISCOVERED:.0f} %."
)
HIDDEN = "Cells of few people are not shown, nor those from which they could be worked out."


def name_of(path: str) -> str:
    """Return a path as people say it: `3.1` for /003/001/, `everyone` for the root."""
    numbers = [str(int(part)) for part in path.strip("/").split("/") if part]
    return ".".join(numbers) or "everyone"
