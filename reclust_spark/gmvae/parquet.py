"""Which row groups of the features table each process reads, and what it makes of them.

No row passes through the driver: it reads the files' footers, deals their row groups out, and each
process reads its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from reclust_spark.warehouse.lists import matrix, order_by

READERS = 8


class RowGroup(NamedTuple):
    """A row group of a Parquet file.

    Attributes
    ----------
    file : str
        Its URI.
    number : int
    rows : int
    """

    file: str
    number: int
    rows: int


class People(NamedTuple):
    """The people of some row groups, sorted by row_id.

    Attributes
    ----------
    ids : (n,) object array
    features : (n, slots) float32 array
    answers : (n, positions) float32 array
    """

    ids: np.ndarray
    features: np.ndarray
    answers: np.ndarray


def list_row_groups(files: Sequence[str]) -> list[RowGroup]:
    """Read footers.

    Parameters
    ----------
    files : sequence of str
        URIs, as Spark's ``inputFiles`` gives them.
    """

    def footer(file: str) -> list[RowGroup]:
        system, path = file_system(file)
        with system.open_input_file(path) as opened:
            meta = pq.ParquetFile(opened).metadata
            return [
                RowGroup(file, i, meta.row_group(i).num_rows) for i in range(meta.num_row_groups)
            ]

    with ThreadPoolExecutor(READERS) as pool:
        return [group for found in pool.map(footer, sorted(files)) for group in found]


def deal(groups: Sequence[RowGroup], processes: int) -> list[list[RowGroup]]:
    """Deal row groups out, the largest first, each to whom has the fewest rows so far."""
    hands: list[list[RowGroup]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for group in sorted(groups, key=lambda g: (-g.rows, g.file, g.number)):
        least = loads.index(min(loads))
        hands[least].append(group)
        loads[least] += group.rows
    return hands


def read(groups: Sequence[RowGroup], n_slots: int, n_positions: int) -> People:
    """Read row groups.

    Parameters
    ----------
    groups : sequence of RowGroup
        Perhaps none.
    n_slots, n_positions : int
    """
    columns = ("row_id", "features", "answers")
    tables: list[pa.Table] = []
    for file in sorted({group.file for group in groups}):
        system, path = file_system(file)
        with system.open_input_file(path) as opened:
            numbers = [group.number for group in groups if group.file == file]
            tables.append(pq.ParquetFile(opened).read_row_groups(numbers, columns=list(columns)))
    if not tables:
        return People(np.empty(0, object), np.empty((0, n_slots), np.float32),
                      np.empty((0, n_positions), np.float32))  # fmt: skip
    whole = pa.concat_tables(tables)
    order = order_by(whole["row_id"])
    ids = whole["row_id"].to_numpy()[order]
    return People(ids, matrix(whole["features"], order), matrix(whole["answers"], order))


def file_system(place: str) -> tuple[pafs.FileSystem, str]:
    """Return PyArrow's file system and path of what Spark names; Spark's s3a is its s3."""
    if place.startswith("s3a://"):
        place = f"s3://{place.removeprefix('s3a://')}"
    if place.startswith("file:"):
        return pafs.LocalFileSystem(), unquote(place.removeprefix("file:").removeprefix("//"))
    if "://" not in place:
        return pafs.LocalFileSystem(), place
    return pafs.FileSystem.from_uri(place)
