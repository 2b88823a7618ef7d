"""One Arrow column as numbers or as texts, with every way of not answering taken out.

Both passes over the source go through here, so that what the profile counted is what gets encoded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
NUMBER, TEXT, UNSUPPORTED = "number", "text", "unsupported"
MISSING_SPELLINGS = frozenset({"NA", "N/A", "NaN", "nan", "null", "NULL", "Null", "None", "#N/A"})
"""Missing in a source that knows no types (CSV), beside blank text."""


class ColumnSpec(NamedTuple):
    """How a source column is to be read.

    Attributes
    ----------
    name : str
        The column.
    material : str
        NUMBER, TEXT or UNSUPPORTED.
    type_name : str
        The source's own name of the type, for messages.
    untyped : bool
        The source holds text only, so numbers and missing spellings stand as text.
    parse : bool
        Count the texts that are not numbers.
    missing_codes : tuple of str
        Values that stand for no answer.
    cap : int
        Distinct values up to this many are counted.
    """

    name: str
    material: str
    type_name: str
    untyped: bool = False
    parse: bool = False
    missing_codes: tuple[str, ...] = ()
    cap: int = 100


class Texts(NamedTuple):
    """A text column by its distinct values.

    Attributes
    ----------
    codes : (n,) int64 array
        Index into `values`; −1 where there is no answer.
    values : (v,) array of str objects
        Distinct values, in no particular order; may hold some that no code points at.
    """

    codes: npt.NDArray[np.int64]
    values: npt.NDArray[np.object_]


def material_of(kind: pa.DataType) -> str:
    """Return NUMBER, TEXT or UNSUPPORTED for an Arrow type; a boolean is a number, 0 or 1."""
    if pa.types.is_dictionary(kind):
        return material_of(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return TEXT
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return NUMBER if numeric or pa.types.is_boolean(kind) else UNSUPPORTED


def parse(values: npt.NDArray[np.object_]) -> Floats:
    """Return texts as numbers, NaN where one is not a number; ``inf`` is infinite."""
    parsed = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
    numbers = parsed.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    # pandas reads long fractions to the last bit but one; a level must be found again as it stood
    for i in np.flatnonzero(np.isfinite(numbers)):
        if isinstance(values[i], str):
            numbers[i] = float(values[i])
    return numbers


def as_text(number: float) -> str:
    """Return a number as a codebook would write it: whole numbers without ``.0``."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def numbers_of(array: pa.Array, spec: ColumnSpec) -> Floats:
    """Return a column's answers as numbers.

    Parameters
    ----------
    array : Arrow array
        Of `spec.material` NUMBER, or TEXT to be parsed.
    spec : ColumnSpec

    Returns
    -------
    (n,) float64 array
        NaN where the answer is missing, and where a text is not a number.
    """
    if spec.material == TEXT:
        texts = texts_of(array, spec)
        parsed = np.append(parse(texts.values), np.nan)
        return parsed[texts.codes]
    numbers = _plain(array)
    codes = parse(np.array(spec.missing_codes, dtype=object))
    codes = codes[~np.isnan(codes)]
    if len(codes):
        numbers = np.where(np.isin(numbers, codes), np.nan, numbers)
    return numbers


def texts_of(array: pa.Array, spec: ColumnSpec) -> Texts:
    """Return a text column's answers by distinct value, blanks and missing codes as −1.

    Parameters
    ----------
    array : Arrow array
        Of material TEXT.
    spec : ColumnSpec

    Returns
    -------
    Texts
    """
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    values = encoded.dictionary.to_numpy(zero_copy_only=False).astype(object)
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    gone = np.array([_is_blank(value, spec) for value in values], dtype=bool)
    if spec.untyped and spec.missing_codes:
        missing = parse(np.array(spec.missing_codes, dtype=object))
        gone |= np.isin(parse(values), missing[~np.isnan(missing)])
    if gone.any():
        codes = np.where(np.append(gone, True)[codes], -1, codes)
    return Texts(codes, values)


def _is_blank(value: str | None, spec: ColumnSpec) -> bool:
    if value is None or value in spec.missing_codes:
        return True
    bare = value.strip()
    return not bare or (spec.untyped and bare in MISSING_SPELLINGS)


def _plain(array: pa.Array) -> Floats:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    if pa.types.is_integer(array.type):
        # pc.cast refuses whole numbers beyond 2**53 unless told that rounding is meant.
        array = pc.cast(array, pa.float64(), safe=False)
    elif not pa.types.is_float64(array.type):
        array = array.cast(pa.float64())
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
