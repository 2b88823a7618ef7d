"""Where the questions are the pixels of an image: a cluster's average image, and its medoid's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reclust_spark.errors import ConfigError
from reclust_spark.paths import parent
from reclust_spark.report.content import Picture
from reclust_spark.warehouse.lists import matrix

Doubles = npt.NDArray[np.float64]


class Sums(NamedTuple):
    """Sums over people at one place.

    Attributes
    ----------
    path : str
    total : (pixels,) float64 array
        Weighted answers.
    weight : (pixels,) float64 array
        Weights of those who have one.
    low, high : float
        The least and the largest of all.
    """

    path: str
    total: Doubles
    weight: Doubles
    low: float
    high: float


def check_shape(shape: Sequence[int], n_questions: int) -> None:
    """Check that the questions fill the image.

    Raises
    ------
    ConfigError
        If they do not.
    """
    rows, columns = shape
    if rows * columns != n_questions:
        raise ConfigError(
            "setting report.image",
            f"{rows} × {columns} is not the number of the tree's questions, {n_questions:,}",
            "the rows and columns of an image whose pixels are the questions",
            "mend it, or leave report.image out where the table is no images",
        )


def sums_of(paths: Sequence[str], answers: npt.NDArray[np.float32], weights: Doubles) -> list[Sums]:
    """Add up people's answers by place.

    Parameters
    ----------
    paths : sequence of str
        Each person's place.
    answers : (n, pixels) float32 array
        NaN where missing.
    weights : (n,) float64 array

    Returns
    -------
    list of Sums
        One a place.
    """
    names, place = np.unique(np.asarray(paths, dtype=object), return_inverse=True)
    found = []
    for number, name in enumerate(names):
        here = answers[place == number].astype(np.float64)
        weight = weights[place == number][:, None]
        known = ~np.isnan(here)
        values = here[known]
        found.append(
            Sums(
                str(name),
                np.where(known, here * weight, 0.0).sum(axis=0),
                (known * weight).sum(axis=0),
                float(values.min()) if len(values) else np.inf,
                float(values.max()) if len(values) else -np.inf,
            )
        )
    return found


def added(one: Sums | None, other: Sums) -> Sums:
    """Return the sums of two groups of people at the same place; None: nobody."""
    if one is None:
        return other
    return Sums(
        one.path,
        one.total + other.total,
        one.weight + other.weight,
        min(one.low, other.low),
        max(one.high, other.high),
    )


def sums_of_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add up the answers of a partition's people by place: batches of path, answers and weight."""
    places: dict[str, Sums] = {}
    for batch in batches:
        if not batch.num_rows:
            continue
        weights = batch["weight"].to_numpy().astype(np.float64)
        for part in sums_of(batch["path"].to_pylist(), matrix(batch["answers"]), weights):
            places[part.path] = added(places.get(part.path), part)
    for part in places.values():
        yield pa.RecordBatch.from_pylist([part._asdict()])


def pictures_of(
    parts: Iterable[Sums], medoids: Mapping[str, npt.NDArray[np.float32]], shape: Sequence[int]
) -> dict[str, Picture]:
    """Return every cluster's picture, all on one scale of grey.

    Parameters
    ----------
    parts : iterable of Sums
        Of final places, several of the same place among them.
    medoids : mapping of path to (pixels,) float32 array
    shape : (rows, columns)

    Returns
    -------
    dict of path to Picture
        Of every place and all above it.
    """
    totals: dict[str, tuple[Doubles, Doubles]] = {}
    low, high = np.inf, -np.inf
    for part in parts:
        low, high = min(low, part.low), max(high, part.high)
        path: str | None = part.path
        while path is not None:
            total, weight = totals.get(path, (0.0, 0.0))
            totals[path] = (total + part.total, weight + part.weight)
            path = parent(path)

    def grey(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
        span = high - low if high > low else 1.0
        scaled = np.nan_to_num((values.astype(np.float64) - low) / span)
        return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8).reshape(tuple(shape))

    return {
        path: Picture(
            grey(np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)),
            grey(medoids[path]) if path in medoids else None,
        )
        for path, (total, weight) in sorted(totals.items())
    }
