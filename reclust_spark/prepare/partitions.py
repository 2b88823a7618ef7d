"""What a task does with the Arrow batches of its partition: profile them, or encode them.

The functions take and give iterators of record batches, which is what mapInArrow wants; nothing
here knows of Spark. A batch's first column is the row_id, then come the survey's columns by place,
whatever their names.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reclust_spark.prepare.encode import Encoder
from reclust_spark.prepare.impute import Pool
from reclust_spark.prepare.learn import encode_people
from reclust_spark.prepare.profile import EMPTY, ColumnProfile, merge
from reclust_spark.prepare.sample import ROW_ID, Part, bottom_k
from reclust_spark.prepare.values import ColumnSpec, as_text, numbers_of, texts_of

PART_DDL = "profiles binary, sample binary"
ASIDE_DDL = "array<struct<source_column:string,value:string,number:double>>"
ENCODED_DDL = (
    f"row_id string, weight double, features array<float>, answers array<float>, aside {ASIDE_DDL}"
)
_SLICE_BYTES = 16 * 2**20

_PART = pa.schema([("profiles", pa.binary()), ("sample", pa.binary())])
_ASIDE = pa.struct(
    [("source_column", pa.string()), ("value", pa.string()), ("number", pa.float64())]
)


class Surveyed:
    """Profiles and sample of the whole table, put together from the partitions' parts.

    Parameters
    ----------
    specs : sequence of ColumnSpec
    k : int
        Size of the sample.
    """

    def __init__(self, specs: Sequence[ColumnSpec], k: int) -> None:
        self.specs, self.k = specs, k
        self.profiles: list[ColumnProfile] = [EMPTY for _ in specs]
        self._tables: list[pa.Table] = []

    def add(self, profiles: bytes | None, sample: bytes | None) -> None:
        """Take in a row that `profile_partition` gave."""
        if profiles is not None:
            parts = pickle.loads(profiles)
            self.profiles = [
                merge(one, other, spec.cap)
                for one, other, spec in zip(self.profiles, parts, self.specs, strict=True)
            ]
        if sample is not None:
            self._tables.append(pa.ipc.open_stream(sample).read_all())
            if sum(len(table) for table in self._tables) > 2 * self.k:
                self._tables = [bottom_k(_alike(self._tables), self.k)]

    def sample(self) -> pa.Table:
        """Return the bottom k rows of the whole table, in their order."""
        return bottom_k(_alike(self._tables), self.k)


def _alike(tables: list[pa.Table]) -> list[pa.Table]:
    schema = pa.unify_schemas([table.schema for table in tables], promote_options="permissive")
    return [table.cast(schema) for table in tables]


def profile_partition(
    batches: Iterable[pa.RecordBatch], specs: Sequence[ColumnSpec], k: int, limit: int
) -> Iterator[pa.RecordBatch]:
    """Give the profile of a partition and its candidates for the sample, a slice a row.

    Parameters
    ----------
    batches : iterable of Arrow record batch
        row_id, then a column for each spec.
    specs : sequence of ColumnSpec
    k, limit : int
        See `sample.Part`.

    Yields
    ------
    Arrow record batch
        Of one row, as PART_DDL says.
    """
    part = Part(list(specs), k, limit)
    names = [spec.name for spec in specs]
    for batch in batches:
        if batch.num_rows:
            columns = pa.RecordBatch.from_arrays(batch.columns[1:], names=names)
            part.add(_ids(batch.column(0)), columns)
    yield _row(pickle.dumps(part.profiles), None)
    sample = part.sample()
    if sample is None:
        return
    n_slices = -(-sample.nbytes // _SLICE_BYTES)
    size = -(-len(sample) // max(1, n_slices))
    for start in range(0, len(sample), size):
        yield _row(None, _stream(sample.slice(start, size)))


@dataclass(frozen=True)
class Coder:
    """All that a task needs to encode its people.

    Attributes
    ----------
    encoder : Encoder
    pool : Pool
    weight : ColumnSpec or None
        The weight column; None: everyone counts 1.
    aside : tuple of ColumnSpec
        Columns kept aside.
    aside_numbers : tuple of bool
        Which of them hold numbers.
    """

    encoder: Encoder
    pool: Pool
    weight: ColumnSpec | None
    aside: tuple[ColumnSpec, ...]
    aside_numbers: tuple[bool, ...]

    @property
    def columns(self) -> list[str]:
        """The source columns that a batch holds after its row_id, in order."""
        weight = [] if self.weight is None else [self.weight.name]
        questions = [question.column for question in self.encoder.questions]
        return [*weight, *questions, *(spec.name for spec in self.aside)]


def encode_partition(batches: Iterable[pa.RecordBatch], coder: Coder) -> Iterator[pa.RecordBatch]:
    """Encode the people of a partition.

    Parameters
    ----------
    batches : iterable of Arrow record batch
        row_id, then `Coder.columns`.
    coder : Coder

    Yields
    ------
    Arrow record batch
        As ENCODED_DDL says.
    """
    for batch in batches:
        if not batch.num_rows:
            continue
        columns = pa.RecordBatch.from_arrays(batch.columns, names=[ROW_ID, *coder.columns])
        people = encode_people(coder.encoder, coder.pool, columns, _ids(batch.column(0)))
        if coder.weight is None:
            weights = np.ones(batch.num_rows)
        else:
            weights = numbers_of(columns.column(coder.weight.name), coder.weight)
        yield pa.RecordBatch.from_arrays(
            [
                batch.column(0).cast(pa.string()),
                pa.array(weights),
                _lists(people.features),
                _lists(people.answers),
                _aside(columns, coder, batch.num_rows),
            ],
            names=["row_id", "weight", "features", "answers", "aside"],
        )


def _ids(array: pa.Array) -> npt.NDArray[np.object_]:
    return array.to_numpy(zero_copy_only=False).astype(object)


def _row(profiles: bytes | None, sample: bytes | None) -> pa.RecordBatch:
    arrays = [pa.array([profiles], pa.binary()), pa.array([sample], pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, schema=_PART)


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _lists(values: npt.NDArray[np.float32]) -> pa.Array:
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)


def _aside(columns: pa.RecordBatch, coder: Coder, n: int) -> pa.Array:
    """List each person's answers that were kept aside; what was not answered is not listed."""
    rows: list[list[dict[str, object]]] = [[] for _ in range(n)]
    for spec, is_number in zip(coder.aside, coder.aside_numbers, strict=True):
        array = columns.column(spec.name)
        if is_number:
            numbers = numbers_of(array, spec)
            shown = [None if np.isnan(number) else as_text(number) for number in numbers]
        else:
            texts = texts_of(array, spec)
            numbers = np.full(n, np.nan)
            shown = [None if code < 0 else texts.values[code] for code in texts.codes]
        for row, value, number in zip(rows, shown, numbers, strict=True):
            if value is not None:
                held = None if np.isnan(number) else float(number)
                row.append({"source_column": spec.name, "value": value, "number": held})
    return pa.array(rows, pa.list_(_ASIDE))
