"""Whom to interview of a cluster: people at its heart, and people on its border.

An executor chooses among the people it sees, then the driver among whom all have chosen: the first
by one order are always among the first of some part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reclust_spark.onevsall.predict import Floats, Inputs, Scorer, inputs_of
from reclust_spark.paths import depth, parent
from reclust_spark.warehouse.lists import matrix

TYPICAL, BORDERLINE = "typical", "borderline"
HALF = 0.5
"""Who is not here more probably than not is not typical, wherever the models put them."""
COLUMNS = {
    "kind": pa.string(),
    "row_id": pa.string(),
    "sheet": pa.binary(),
    "last": pa.bool_(),
    "measure": pa.float64(),
    "path": pa.string(),
    "strength": pa.float64(),
    "probability": pa.float64(),
    "other_path": pa.string(),
    "other_probability": pa.float64(),
}
SCHEMA = pa.schema(list(COLUMNS.items()))
"""Candidates: `sheet` tells answer sheets apart, `measure` is a distance or a gap, the smaller the
better; whom `last` marks come after all others."""
DDL = {
    pa.string(): "string",
    pa.binary(): "binary",
    pa.bool_(): "boolean",
    pa.float64(): "double",
}
CANDIDATES_DDL = ", ".join(f"{name} {DDL[kind]}" for name, kind in COLUMNS.items())


class Sides(NamedTuple):
    """Between what and what people stand.

    Attributes
    ----------
    own : (n,) float64 array
        Calibrated probability of the cluster, given its parent.
    other : (n,) array of str objects
        What is most probable beside it: a sibling, or the parent's path for none of them.
    others : (n,) float64 array
        That one's probability.
    """

    own: Floats
    other: npt.NDArray[np.object_]
    others: Floats


def sheets_of(answers: Inputs) -> list[bytes]:
    """Return a hash of each person's answers: the same for the same answers.

    Parameters
    ----------
    answers : (n, positions) float32 array
        NaN where missing.
    """
    # one spelling of "missing", and of zero
    plain = np.where(np.isnan(answers), np.float32(np.nan), answers + np.float32(0))
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in plain]


def distances(features: Inputs, medoid: Inputs) -> Floats:
    """Return each row's Euclidean distance to the medoid, shape (n,)."""
    return np.sqrt(((features.astype(np.float64) - medoid) ** 2).sum(axis=1))


def sides_of(probabilities: Floats, children: Sequence[str], path: str, above: str) -> Sides:
    """Say between which two places people stand, one of them the cluster.

    What the models leave, 1 − their sum, is the probability of none of them: they are trained, and
    calibrated, against the node's noise as well.

    Parameters
    ----------
    probabilities : (n, children) float64 array
        Calibrated.
    children : sequence of str
        Of `above`; `path` among them.
    path, above : str
    """
    here = list(children).index(path)
    none = np.clip(1.0 - probabilities.sum(axis=1), 0.0, None)
    others = np.column_stack([np.delete(probabilities, here, axis=1), none])
    names = np.array([*(child for child in children if child != path), above], dtype=object)
    best = others.argmax(axis=1)
    return Sides(probabilities[:, here], names[best], others[np.arange(len(best)), best])


class Heart(NamedTuple):
    """The middle of a cluster.

    Attributes
    ----------
    medoid : (features,) float32 array
    strength : float or None
        Which half of its people have in the fit; None where it has none: at a root without splits.
    """

    medoid: Inputs
    strength: float | None


def candidates_of(
    batch: pa.RecordBatch, path: str, heart: Heart, scorer: Scorer | None
) -> dict[str, pa.Table]:
    """Turn some of a cluster's people into candidates of both kinds.

    Parameters
    ----------
    batch : Arrow record batch
        row_id, path, is_noise, strength, answers and features.
    path : str
        The cluster.
    heart : Heart
    scorer : Scorer or None
        With the models of all splits above the cluster at least; None: not explained.

    Returns
    -------
    dict of kind to Arrow table
        With the columns of `SCHEMA`; nobody is on a border at the root, or without models.
    """
    answers = matrix(batch["answers"])
    strength = batch["strength"].to_numpy(zero_copy_only=False).astype(np.float64)
    weak = batch["is_noise"].to_numpy(zero_copy_only=False).astype(bool)
    if heart.strength is not None:
        weak |= ~(strength >= heart.strength)
    columns = {name: batch[name] for name in ("row_id", "path", "strength")}
    columns["sheet"] = pa.array(sheets_of(answers), pa.binary())
    above = parent(path)
    if scorer is not None:
        inputs = inputs_of(answers, scorer.questions)
        weak |= scorer.place(inputs, max_depth=depth(path)).path != path
    if scorer is not None and above is not None:
        split = scorer.splits[above]
        sides = sides_of(split.probabilities(inputs), split.children, path, above)
        weak |= sides.own < HALF
        columns |= {
            "probability": pa.array(sides.own),
            "other_path": pa.array(sides.other, pa.string()),
            "other_probability": pa.array(sides.others),
        }
    far = distances(matrix(batch["features"]), heart.medoid)
    found = {TYPICAL: _rows(columns, TYPICAL, weak, far)}
    if "other_path" in columns:
        # nothing is known of who gave no answer at all
        answered = pa.array(~np.isnan(inputs).all(axis=1))
        gap = np.abs(sides.own - sides.others)
        found[BORDERLINE] = _rows(columns, BORDERLINE, np.zeros_like(weak), gap).filter(answered)
    return found


def first(rows: pa.Table, count: int) -> pa.Table:
    """Return the first candidates: no two with the same answers while there are others.

    Parameters
    ----------
    rows : Arrow table
        With the columns of `SCHEMA`, of one kind.
    count : int

    Returns
    -------
    Arrow table
        Sorted: the first of each answer sheet before any second one; then by `last`, `measure`
        and row_id. The first of parts, joined, have the first of the whole among them: whoever is
        ahead of a person in a part, as the k-th of a sheet, has a k-th of that sheet ahead of that
        person in the whole.
    """
    if not rows.num_rows:
        return rows
    ids, sheets = (
        rows[name].to_numpy(zero_copy_only=False).astype(object) for name in ("row_id", "sheet")
    )
    order = np.lexsort((ids, rows["measure"].to_numpy(), rows["last"].to_numpy()))
    order = order[np.argsort(_copies(sheets[order]), kind="stable")]
    return rows.take(pa.array(order[:count]))


def choose(typical: pa.Table, borderline: pa.Table, n_typical: int, n_borderline: int) -> pa.Table:
    """Return whom to interview, nobody twice: who is typical is not on the border as well.

    Parameters
    ----------
    typical, borderline : Arrow table
        Candidates; of the latter n_typical + n_borderline where there are as many.
    n_typical, n_borderline : int
    """
    heart = first(typical, n_typical)
    taken = set(heart["row_id"].to_pylist())
    free = [row_id not in taken for row_id in borderline["row_id"].to_pylist()]
    border = first(borderline.filter(pa.array(free, pa.bool_())), n_borderline)
    return pa.concat_tables([heart, border])


def _copies(sheets: npt.NDArray[np.object_]) -> npt.NDArray[np.intp]:
    """Return how many of the same sheet stand before each."""
    _, which = np.unique(sheets, return_inverse=True)
    by_sheet = np.argsort(which, kind="stable")
    starts = np.flatnonzero(np.diff(which[by_sheet], prepend=-1))
    sizes = np.diff(np.append(starts, len(which)))
    copies = np.empty(len(which), dtype=np.intp)
    copies[by_sheet] = np.arange(len(which)) - np.repeat(starts, sizes)
    return copies


def _rows(columns: dict[str, Any], kind: str, last: Any, measure: Any) -> pa.Table:
    given = columns | {"last": pa.array(last), "measure": pa.array(measure)}
    n = len(measure)
    given["kind"] = pa.repeat(pa.scalar(kind), n)
    arrays = [given.get(field.name, pa.nulls(n, field.type)) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
