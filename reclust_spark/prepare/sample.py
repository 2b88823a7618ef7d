"""A sample of rows that is the same whatever the partitions and the order: the bottom k by hash.

Everything that takes real arithmetic (centres, scales, quantiles) is learned from it, and its first
rows are the donors of imputation. A table of up to k rows is its own sample.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reclust_spark.prepare.hashing import row_hashes
from reclust_spark.prepare.profile import EMPTY, ColumnProfile, merge, profile_column
from reclust_spark.prepare.values import TEXT, UNSUPPORTED, ColumnSpec

MAX_ROWS = 200_000
MAX_CELLS = 20_000_000
ROW_ID, HASH = "\0row_id", "\0hash"
"""The sample's own columns; a survey column may be called `hash` but cannot hold a zero byte."""


def sample_size(n_columns: int) -> int:
    """Return k: at most 200,000 rows and 20 million cells, whatever the table."""
    return max(1, min(MAX_ROWS, MAX_CELLS // max(1, n_columns)))


def threshold(n: int, k: int) -> int:
    """Return the hash up to which a partition keeps its rows.

    Parameters
    ----------
    n : int
        Rows of the whole table.
    k : int
        Size of the sample.

    Returns
    -------
    int
        A 64-bit hash. 1.2 k + 1,000 rows are expected below it, so that fewer than k are never
        met; all 2**64 − 1 where the table is hardly larger.
    """
    kept = 1.2 * k + 1_000
    return 2**64 - 1 if kept >= n else int(kept / n * 2**64)


class Part:
    """The profile and sample of the rows of one partition.

    Parameters
    ----------
    specs : list of ColumnSpec
        The columns to read.
    k : int
        Size of the whole table's sample.
    limit : int
        The largest hash to keep, from `threshold`.
    """

    def __init__(self, specs: list[ColumnSpec], k: int, limit: int) -> None:
        self.specs, self.k, self.limit = specs, k, limit
        self.profiles: list[ColumnProfile] = [EMPTY for _ in specs]
        self._kept: list[pa.Table] = []

    def add(self, row_ids: npt.NDArray[np.object_], columns: pa.RecordBatch) -> None:
        """Count and sample a batch.

        Parameters
        ----------
        row_ids : (n,) array of str objects
        columns : Arrow record batch of n rows
            Holds every column of `specs`.
        """
        for i, spec in enumerate(self.specs):
            so_far = self.profiles[i]
            counting = so_far.levels is not None
            part = profile_column(columns.column(spec.name), spec, count=counting)
            self.profiles[i] = merge(so_far, part, spec.cap)
        hashes = row_hashes(row_ids)
        keep = np.flatnonzero(hashes <= np.uint64(self.limit))
        if len(keep):
            self._kept.append(_rows(row_ids, hashes, columns, self.specs, keep))
        if sum(len(table) for table in self._kept) > 2 * self.k:
            self._kept = [bottom_k(self._kept, self.k)]

    def sample(self) -> pa.Table | None:
        """Return this partition's candidates: ROW_ID, HASH and the columns; None if none.

        A free text that no question can be made of is left empty: it would only be carried about.
        """
        if not self._kept:
            return None
        table = bottom_k(self._kept, self.k)
        for spec, profile in zip(self.specs, self.profiles, strict=True):
            useless = profile.levels is None and (profile.n_unparsed or not spec.parse)
            if spec.material == TEXT and useless:
                at = table.schema.get_field_index(spec.name)
                table = table.set_column(at, spec.name, pa.nulls(len(table), pa.string()))
        return table


def bottom_k(tables: Iterable[pa.Table], k: int) -> pa.Table:
    """Return the k rows of smallest hash, in the order of hash and row_id."""
    together = pa.concat_tables(list(tables))
    keys = [(HASH, "ascending"), (ROW_ID, "ascending")]
    first = pc.sort_indices(together.select([HASH, ROW_ID]), sort_keys=keys)[:k]
    return together.take(first).combine_chunks()


def _rows(
    row_ids: npt.NDArray[np.object_],
    hashes: npt.NDArray[np.uint64],
    columns: pa.RecordBatch,
    specs: list[ColumnSpec],
    keep: npt.NDArray[np.intp],
) -> pa.Table:
    wanted = pa.array(keep)
    kept = {ROW_ID: pa.array(row_ids[keep], pa.string()), HASH: pa.array(hashes[keep])}
    for spec in specs:
        if spec.material != UNSUPPORTED:
            values = columns.column(spec.name).take(wanted)
            kept[spec.name] = values.cast(pa.string()) if spec.material == TEXT else values
    return pa.table(kept)
