"""The zoom without Spark: an array in a notebook gives the tree that `reclust zoom` writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import ValidationError

from reclust_spark.config import ZoomOptions
from reclust_spark.errors import ConfigError, InputError
from reclust_spark.zoom.node import Rows
from reclust_spark.zoom.tables import assignments_frame, embeddings_frame, node_rows
from reclust_spark.zoom.tree import grow, root_of


class ZoomResult(NamedTuple):
    """A tree as data frames; the columns are those of the tables of the same names.

    Attributes
    ----------
    nodes : DataFrame
        A row a node, sorted by path.
    assignments : DataFrame
        A row a person, sorted by row_id.
    embeddings : DataFrame
        A row a person and embedded node, sorted by path and row_id.
    """

    nodes: pd.DataFrame
    assignments: pd.DataFrame
    embeddings: pd.DataFrame


def zoom_array(
    X: ArrayLike,
    ids: Sequence[object] | None = None,
    weights: ArrayLike | None = None,
    *,
    threads: int | None = None,
    **zoom_options: object,
) -> ZoomResult:
    """Cluster an array recursively, without Spark.

    Parameters
    ----------
    X : array_like of float, shape (n_rows, n_features)
        Encoded answers, as in the features table; finite.
    ids : sequence, optional
        A unique id a row, compared as text; ``0, 1, …`` by default. Rows are sorted by it before a
        fit, so their order in `X` does not matter.
    weights : array_like of float, shape (n_rows,), optional
        Survey weights; they enter shares and never a fit.
    threads : int, optional
        As many as there are cores by default; the tree does not depend on it.
    **zoom_options
        The keys of the ``zoom`` section of the configuration.

    Returns
    -------
    ZoomResult

    Raises
    ------
    ConfigError
        If an option is unknown or its value does not fit.
    InputError
        If `X` is empty, not two-dimensional or not finite, or ids are not unique.
    """
    options = _options(zoom_options)
    rows = _rows(X, ids, weights)
    nothing = np.full(len(rows.ids), np.nan)
    whole = options.model_copy(update={"inline_rows": len(rows.ids)})
    growth = grow(
        root_of(rows, options),
        rows,
        nothing,
        len(rows.ids),
        whole,
        threads=threads or len(os.sched_getaffinity(0)),
    )
    return ZoomResult(
        pd.DataFrame(node_rows(growth.nodes)),
        assignments_frame(growth.placed).sort_values("row_id", ignore_index=True),
        embeddings_frame(growth.maps).sort_values(["path", "row_id"], ignore_index=True),
    )


def _options(zoom_options: dict[str, object]) -> ZoomOptions:
    try:
        options = ZoomOptions.model_validate(zoom_options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"zoom option {key}",
            f"found {first['input']!r} ({first['msg'].lower()})",
            ", ".join(ZoomOptions.model_fields),
            "mend or remove it",
        ) from None
    if options.engine != "auto":
        raise ConfigError(
            "zoom option engine", f"found {options.engine!r}",
            "auto: the tables that a GMVAE leaves are Spark's", "use `reclust zoom` for it",
        )  # fmt: skip
    return options


def _rows(X: ArrayLike, ids: Sequence[object] | None, weights: ArrayLike | None) -> Rows:
    features = np.asarray(X, dtype=np.float32)
    where = "zoom_array's X"
    if features.ndim != 2 or not features.size:
        raise InputError(
            where, f"has the shape {features.shape}", "rows × features, at least one of each",
            "pass a two-dimensional array",
        )  # fmt: skip
    if not np.isfinite(features).all():
        raise InputError(
            where, "holds NaN or infinite values", "finite numbers",
            "fill the missing answers first; `reclust prepare` does",
        )  # fmt: skip
    names = np.array([str(i) for i in (range(len(features)) if ids is None else ids)], dtype=object)
    if len(names) != len(features) or len(set(names)) != len(names):
        raise InputError(
            "zoom_array's ids",
            f"{len(names)} ids, {len(set(names))} of them distinct, for {len(features)} rows",
            "one distinct id a row",
            "pass unique ids or none",
        )
    given = np.ones(len(features)) if weights is None else np.asarray(weights, dtype=np.float64)
    return Rows(names, features, given).take(np.argsort(names, kind="stable"))
