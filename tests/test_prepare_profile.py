"""Profiles and samples: exact, and the same however the table is cut and ordered."""

import itertools
from functools import reduce

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from reclust_spark.prepare.hashing import row_hashes, splitmix64
from reclust_spark.prepare.profile import EMPTY, ColumnProfile, merge, profile_column
from reclust_spark.prepare.sample import ROW_ID, Part, bottom_k, sample_size, threshold
from reclust_spark.prepare.values import NUMBER, TEXT, ColumnSpec, numbers_of

CAP = 4
NUMBERS = ColumnSpec("x", NUMBER, "double", missing_codes=("-9",), cap=CAP)
TEXTS = ColumnSpec("x", TEXT, "string", untyped=True, parse=True, missing_codes=("-9",), cap=CAP)

some_numbers = st.lists(
    st.one_of(
        st.none(),
        st.sampled_from([-9.0, 0.0, -0.0, 1.0, 2.0, 3.0, 4.5, float("nan"), float("inf"), 1e300]),
        st.integers(-(2**40), 2**40).map(float),
    )
)
some_texts = st.lists(
    st.one_of(
        st.none(),
        st.sampled_from(["", " ", "NA", "-9", "-9.0", "1", "1.0", "007", "inf", "yes", "ja", "🙂"]),
        st.text(max_size=4),
    )
)


def profile_of(values: list, spec: ColumnSpec) -> ColumnProfile:
    kind = pa.float64() if spec.material == NUMBER else pa.string()
    return merge(EMPTY, profile_column(pa.array(values, kind), spec), spec.cap)


def check_merge(values: list, cuts: list[int], spec: ColumnSpec) -> None:
    edges = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]
    parts = [profile_of(values[start:end], spec) for start, end in itertools.pairwise(edges)]
    whole = profile_of(values, spec)
    left = reduce(lambda one, other: merge(one, other, spec.cap), parts)
    right = reduce(lambda one, other: merge(other, one, spec.cap), reversed(parts))
    assert left == whole
    assert right == whole
    assert profile_of(values[::-1], spec) == whole


@given(some_numbers, st.lists(st.integers(0, 1000), max_size=4))
def test_number_profiles_merge_in_any_way(values: list, cuts: list[int]) -> None:
    check_merge(values, cuts, NUMBERS)


@given(some_texts, st.lists(st.integers(0, 1000), max_size=4))
def test_text_profiles_merge_in_any_way(values: list, cuts: list[int]) -> None:
    check_merge(values, cuts, TEXTS)


def test_every_way_of_not_answering_is_missing() -> None:
    profile = profile_of([None, float("nan"), -9.0, 2.0], NUMBERS)
    assert (profile.n, profile.n_missing, profile.levels) == (4, 3, {2.0: 1})
    profile = profile_of([None, "", "  ", "NA", " null", "-9", "-9.0", "2"], TEXTS)
    assert (profile.n_missing, profile.levels, profile.n_unparsed) == (7, {"2": 1}, 0)


def test_a_typed_text_may_say_na() -> None:
    typed = TEXTS._replace(untyped=False, parse=False)
    assert profile_of(["NA", "", "EU"], typed).levels == {"NA": 1, "EU": 1}


def test_more_levels_than_the_cap_are_just_many() -> None:
    assert profile_of([1.0, 2.0, 3.0, 4.0], NUMBERS).levels is not None
    assert profile_of([1.0, 2.0, 3.0, 4.0, 5.0], NUMBERS).levels is None


def test_texts_that_are_no_numbers_are_counted_with_an_example() -> None:
    profile = profile_of(["3", "n.a.", "about 5", "4"], TEXTS)
    assert (profile.n_unparsed, profile.unparsed) == (2, "about 5")
    assert (profile.minimum, profile.maximum) == (3.0, 4.0)


def test_infinities_are_counted_even_where_32_bits_make_them() -> None:
    profile = profile_of([1.0, float("-inf"), 1e300], NUMBERS)
    assert (profile.n_infinite, profile.maximum) == (2, 1.0)


def test_a_row_number_is_told_from_numbers_that_merely_fill_its_range() -> None:
    rng = np.random.default_rng(0)
    numbers = np.arange(500, 2500, dtype=float)
    assert profile_of(rng.permutation(numbers).tolist(), NUMBERS).is_row_number
    repeated = numbers.copy()
    repeated[7] = repeated[9]
    assert not profile_of(repeated.tolist(), NUMBERS).is_row_number
    assert not profile_of([*numbers[:-1].tolist(), None], NUMBERS).is_row_number


def survey(n: int) -> tuple[np.ndarray, pa.RecordBatch]:
    ids = np.array([f"p{i}" for i in range(n)], dtype=object)
    values = np.arange(n, dtype=float)
    return ids, pa.record_batch({"x": pa.array(values), "t": pa.array([f"t{i}" for i in range(n)])})


SPECS = [NUMBERS, ColumnSpec("t", TEXT, "string", cap=CAP)]


def sample_in_parts(n: int, k: int, parts: int, seed: int) -> pa.Table:
    ids, batch = survey(n)
    order = np.random.default_rng(seed).permutation(n)
    found = []
    for rows in np.array_split(order, parts):
        part = Part(SPECS, k, threshold(n, k))
        for some in np.array_split(rows, 3):
            part.add(ids[some], batch.take(pa.array(some)))
        sample = part.sample()
        if sample is not None:
            found.append(sample)
    return bottom_k(found, k)


def test_the_sample_does_not_depend_on_partitions_or_order() -> None:
    once = sample_in_parts(5000, 700, 1, 0)
    assert len(once) == 700
    for parts, seed in ((1, 1), (2, 2), (16, 3)):
        assert sample_in_parts(5000, 700, parts, seed).equals(once)


def test_a_small_table_is_its_own_sample() -> None:
    table = sample_in_parts(90, 700, 4, 0)
    assert sorted(table.column("x").to_pylist()) == [float(i) for i in range(90)]


def test_a_partition_gives_few_rows_beyond_the_sample() -> None:
    n, k = 100_000, 1000
    ids, batch = survey(n)
    part = Part(SPECS, k, threshold(n, k))
    part.add(ids, batch)
    kept = int((row_hashes(ids) <= np.uint64(threshold(n, k))).sum())
    assert k < kept < 3 * k
    assert len(part.sample() or []) == k


def test_free_text_is_not_carried_about() -> None:
    table = sample_in_parts(50, 100, 1, 0)
    assert table.column("t").null_count == 50


def test_the_sample_looks_like_the_table() -> None:
    values = np.asarray(sample_in_parts(20_000, 2000, 3, 0).column("x"))
    assert abs(values.mean() / 20_000 - 0.5) < 4 * 0.289 / 2000**0.5


def test_a_column_may_be_called_row_id_or_hash() -> None:
    specs = [ColumnSpec(name, NUMBER, "double") for name in ("row_id", "hash")]
    part = Part(specs, 10, threshold(2, 10))
    part.add(
        np.array(["a", "b"], dtype=object),
        pa.record_batch({"row_id": pa.array([1.0, 2.0]), "hash": pa.array([3.0, 4.0])}),
    )
    sample = part.sample()
    assert sample is not None
    assert sorted(sample.column(ROW_ID).to_pylist()) == ["a", "b"]
    assert sorted(sample.column("hash").to_pylist()) == [3.0, 4.0]


def test_sample_size_is_bounded_by_rows_and_cells() -> None:
    assert sample_size(10) == 200_000
    assert sample_size(2000) == 10_000
    assert sample_size(10**9) == 1


def test_splitmix64_is_the_published_one() -> None:
    state = np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    first = splitmix64(state - np.uint64(0x9E3779B97F4A7C15))
    assert first.tolist() == [16294208416658607535, 7960286522194355700, 487617019471545679]


def test_arrow_types_of_all_kinds_read_as_numbers() -> None:
    from decimal import Decimal

    for array in (
        pa.array([1, None], pa.int8()),
        pa.array([1, None], pa.uint64()),
        pa.array([1.0, None], pa.float32()),
        pa.array([True, None]),
        pa.array([Decimal("1.00"), None]),
        pa.array([1, None], pa.int64()).dictionary_encode(),
    ):
        assert np.array_equal(numbers_of(array, NUMBERS), [1.0, np.nan], equal_nan=True), array.type
    big = numbers_of(pa.array([2**53 + 1]), NUMBERS)
    assert big[0] == float(2**53)
