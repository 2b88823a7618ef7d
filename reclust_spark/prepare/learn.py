"""From profile and sample to all that is needed to encode a person; and the same without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from reclust_spark.config import PrepareOptions
from reclust_spark.errors import InputError
from reclust_spark.prepare.codebook import Codebook
from reclust_spark.prepare.encode import Encoder, learn, learn_as_is
from reclust_spark.prepare.impute import Pool, build_pool, impute
from reclust_spark.prepare.kinds import Decision, decide, decide_as_is
from reclust_spark.prepare.profile import ColumnProfile
from reclust_spark.prepare.questions import answers_of, coded
from reclust_spark.prepare.sample import ROW_ID, Part, sample_size, threshold
from reclust_spark.prepare.values import TEXT, ColumnSpec, material_of
from reclust_spark.warehouse.names import COUNT, NUMERIC

SEED = 42
"""Of the draws of imputation; a constant, so that a new zoom.seed needs no new preparation."""


class Encoded(NamedTuple):
    """People, encoded.

    Attributes
    ----------
    features : (n, slots) float32 array
        Without NaN.
    answers : (n, positions) float32 array
        Own units or level codes; NaN where missing.
    """

    features: npt.NDArray[np.float32]
    answers: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Preparation:
    """What was learned of a survey.

    Attributes
    ----------
    decisions : tuple of Decision
        One for each source column, in its order.
    encoder : Encoder
    pool : Pool
        The donors of missing answers.
    """

    decisions: tuple[Decision, ...]
    encoder: Encoder
    pool: Pool

    def encode(
        self, columns: pa.RecordBatch | pa.Table, row_ids: npt.NDArray[np.object_]
    ) -> Encoded:
        """Encode people; see `encode_people`."""
        return encode_people(self.encoder, self.pool, columns, row_ids)


def encode_people(
    encoder: Encoder,
    pool: Pool,
    columns: pa.RecordBatch | pa.Table,
    row_ids: npt.NDArray[np.object_],
) -> Encoded:
    """Encode people; a person's result does not depend on the others.

    Parameters
    ----------
    encoder : Encoder
    pool : Pool
    columns : Arrow record batch or table of n rows
        Holds the questions' source columns.
    row_ids : (n,) array of str objects

    Returns
    -------
    Encoded
    """
    answers = answers_of(columns, encoder.questions)
    features = impute(encoder.features(answers), row_ids, pool)
    return Encoded(features, coded(answers, encoder.questions))


def spec_of(
    name: str,
    material: str,
    type_name: str,
    codebook: Codebook,
    options: PrepareOptions,
    *,
    untyped: bool = False,
) -> ColumnSpec:
    """Return how a source column is to be read.

    Parameters
    ----------
    name : str
    material : str
        NUMBER, TEXT or UNSUPPORTED.
    type_name : str
        The source's own name of the type.
    codebook : Codebook
    options : PrepareOptions
    untyped : bool
        The source (CSV) holds text only.

    Returns
    -------
    ColumnSpec
    """
    entry = codebook.questions.get(name)
    declared = entry is not None and entry.kind in (NUMERIC, COUNT)
    numbers_wanted = untyped or declared or options.scaling == "none"
    return ColumnSpec(
        name,
        material,
        type_name,
        untyped=untyped and material == TEXT,
        parse=material == TEXT and (numbers_wanted or codebook.block_of(name) is not None),
        missing_codes=codebook.missing_codes(name),
        cap=max(
            options.max_levels,
            options.max_ordinal_levels,
            len(entry.levels or ()) if entry is not None else 0,
        ),
    )


def learn_preparation(
    specs: Sequence[ColumnSpec],
    profiles: Sequence[ColumnProfile],
    sample: pa.Table,
    codebook: Codebook,
    options: PrepareOptions,
) -> Preparation:
    """Decide every column's kind, and learn encoder and donors.

    Parameters
    ----------
    specs : sequence of ColumnSpec
        The columns to cluster by.
    profiles : sequence of ColumnProfile
        Of all rows, in the same order.
    sample : Arrow table
        The bottom k rows, in their order, see `sample.bottom_k`.
    codebook : Codebook
    options : PrepareOptions

    Returns
    -------
    Preparation

    Raises
    ------
    InputError
        If a column cannot be used as it is, or no column can be used at all. Columns that are all
        constant are no error: everyone is alike, and there are no slots.
    """
    as_is = options.scaling == "none"
    decisions = tuple(
        decide_as_is(spec, profile, codebook) if as_is else decide(spec, profile, codebook, options)
        for spec, profile in zip(specs, profiles, strict=True)
    )
    questions = [item.question for item in decisions if item.question is not None]
    if not questions and not any(item.is_constant for item in decisions):
        raise _nothing_left(decisions)
    answers = answers_of(sample, questions)
    encoder = learn_as_is(questions, answers) if as_is else learn(questions, answers)
    row_ids = sample.column(ROW_ID).to_numpy().astype(object)
    return Preparation(decisions, encoder, build_pool(encoder, answers, row_ids, SEED))


def prepare_table(
    table: pa.Table | pd.DataFrame,
    row_ids: Sequence[str],
    codebook: Codebook | None = None,
    options: PrepareOptions | None = None,
) -> tuple[Preparation, Encoded]:
    """Prepare a survey that fits in memory, without Spark, to the same features.

    Parameters
    ----------
    table : Arrow table or DataFrame
        The columns to cluster by.
    row_ids : sequence of str
        Unique.
    codebook : Codebook, optional
    options : PrepareOptions, optional

    Returns
    -------
    tuple of Preparation and Encoded
        What was learned, and the people in the table's order.

    Raises
    ------
    InputError
        If a column cannot be used as it is, or no column can be used at all.
    """
    codebook, options = codebook or Codebook(), options or PrepareOptions()
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    codebook.check_columns(table.column_names)
    ids = np.array(list(row_ids), dtype=object)
    specs = [
        spec_of(field.name, material_of(field.type), str(field.type), codebook, options)
        for field in table.schema
    ]
    k = sample_size(len(specs))
    part = Part(specs, k, threshold(len(table), k))
    batch = table.combine_chunks().to_batches()[0]
    part.add(ids, batch)
    sample = part.sample()
    assert sample is not None
    preparation = learn_preparation(specs, part.profiles, sample, codebook, options)
    return preparation, preparation.encode(batch, ids)


def _nothing_left(decisions: Sequence[Decision]) -> InputError:
    reasons = "; ".join(f"{item.spec.name}: {item.reason}" for item in decisions[:3])
    return InputError(
        "the input table",
        f"no column is left to cluster by ({reasons or 'there is none beside the id'})",
        "at least one column with two different answers",
        "name fewer columns in input.exclude and input.outside, or kinds in the codebook",
    )
