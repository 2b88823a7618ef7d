"""What each column is taken for, and why some are ignored or refused."""

import datetime

import pandas as pd
import pyarrow as pa
import pytest

from reclust_spark.config import PrepareOptions
from reclust_spark.errors import InputError
from reclust_spark.prepare.codebook import Codebook, parse_codebook
from reclust_spark.prepare.kinds import Decision, decide, decide_as_is
from reclust_spark.prepare.learn import prepare_table, spec_of
from reclust_spark.prepare.profile import EMPTY, merge, profile_column
from reclust_spark.prepare.values import material_of

OPTIONS = PrepareOptions(max_levels=5, max_ordinal_levels=4)


def decided(
    values: list | pa.Array, book: str = "", *, untyped: bool = False, scaling: str = "question"
) -> Decision:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    codebook = parse_codebook(book)
    options = OPTIONS.model_copy(update={"scaling": scaling})
    spec = spec_of(
        "q", material_of(array.type), str(array.type), codebook, options, untyped=untyped
    )
    profile = merge(EMPTY, profile_column(array, spec), spec.cap)
    if scaling == "none":
        return decide_as_is(spec, profile, codebook)
    return decide(spec, profile, codebook, options)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 2, None], "binary"),
        ([0.5, 0.7, 0.5], "binary"),
        (["b", "a", None, ""], "binary"),
        ([True, False, True], "binary"),
        ([1, 2, 3, 3], "ordinal"),
        ([1.0, 2.0, 4.0, None, 4.0], "ordinal"),
        ([-1, 0, 1, 1], "ordinal"),
        ([1, 2, 3, 4, 9, 9], "count"),
        ([1.0, 2.0, 3.0, 4.0, None, 9.0], "count"),
        ([-1, 2, 3, 4, 9], "numeric"),
        ([0.5, 1.0, 1.5], "numeric"),
        (["a", "b", "c"], "nominal"),
    ],
)
def test_kinds_are_guessed(values: list, kind: str) -> None:
    assert decided(values).kind == kind


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([7, 7, None], "constant: every answer is '7'"),
        (["x", "x"], "constant: every answer is 'x'"),
        ([None, float("nan")], "no answers"),
        (["", " "], "no answers"),
        ([5, 6, 7, 8, 9, 10], "row number"),
        (list("abcdef"), "prepare.max_levels"),
        ([datetime.date(2020, 1, 1)], "a number, such as days"),
        ([[1, 2], [3]], "a column of each element"),
        ([{"a": 1}], "a column of each field"),
        ([b"x", b"y"], "binary"),
    ],
)
def test_what_cannot_be_used_is_ignored_with_a_reason(values: list, reason: str) -> None:
    decision = decided(values)
    assert decision.kind == "ignored"
    assert decision.question is None
    assert reason in (decision.reason or "")


def test_a_short_scale_in_few_rows_is_no_row_number() -> None:
    assert decided([1, 2, 3]).kind == "ordinal"


def test_levels_are_the_values_in_natural_order() -> None:
    question = decided([3.0, 1.0, 2.0, 1.0]).question
    assert question is not None
    assert (question.levels, question.codes, question.counts) == (
        ("1", "2", "3"), (1.0, 2.0, 3.0), (2, 1, 1),
    )  # fmt: skip
    question = decided(["b", "a", "c", "a"]).question
    assert question is not None
    assert (question.levels, question.codes) == (("a", "b", "c"), (0.0, 1.0, 2.0))


def test_numbers_that_32_bits_would_change_are_coded_by_place() -> None:
    question = decided([2**24, 2**24 + 1]).question
    assert question is not None and question.codes == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "3", ""], "ordinal"),
        (["1", "1.0", "2", "NA"], "binary"),
        (["0.5", "1.5", "2.5"], "numeric"),
        (["1", "2", "x"], "nominal"),
        (["true", "false"], "binary"),
    ],
)
def test_csv_text_that_is_numbers_is_taken_as_numbers(values: list, kind: str) -> None:
    assert decided(values, untyped=True).kind == kind
    question = decided(["1", "1.0", "2"], untyped=True).question
    assert question is not None and question.counts == (2, 1)


def test_typed_text_stays_text_though_it_looks_like_numbers() -> None:
    assert decided(["1", "2", "3"]).kind == "nominal"


def test_the_codebook_overrides_the_guess() -> None:
    assert decided([1, 2, 3], "questions: {q: {kind: nominal}}").kind == "nominal"
    assert decided([1, 2, 3], "questions: {q: {kind: numeric}}").kind == "numeric"
    assert decided(["1", "2.5"], "questions: {q: {kind: numeric}}").kind == "numeric"
    assert decided([1, 2, 3], "questions: {q: {kind: ignored}}").reason == "the codebook says so"
    assert decided([5, 6, 7, 8, 9, 10], "questions: {q: {kind: count}}").kind == "count"
    assert decided(list(range(1, 8)), "questions: {q: {levels: [1,2,3,4,5,6,7]}}").kind == "ordinal"


def test_declared_levels_keep_their_order_labels_and_unused_places() -> None:
    levels = "{lo: low, mid: medium, hi: high}"
    book = f"questions: {{q: {{question: How much, kind: ordinal, levels: {levels}}}}}"
    question = decided(["hi", "lo", "hi"], book).question
    assert question is not None
    assert question.text == "How much"
    assert (question.levels, question.labels) == (("lo", "mid", "hi"), ("low", "medium", "high"))
    assert question.counts == (1, 0, 2)


def test_missing_codes_are_no_level() -> None:
    question = decided([1, 2, 3, 99, 99], "questions: {q: {missing_codes: [99]}}").question
    assert question is not None and question.levels == ("1", "2", "3")


@pytest.mark.parametrize(
    ("values", "book", "said"),
    [
        ([1.0, float("inf"), 2.0], "", "1 of 3 values are infinite"),
        (["3", "n/k", "n/k"], "questions: {q: {kind: numeric}}", "2 of 3 values are no numbers"),
        ([1, 2, 4], "questions: {q: {kind: ordinal, levels: [1, 2, 3]}}", "'4'"),
        (["a", "b", "z"], "questions: {q: {levels: [a, b]}}", "'z'"),
        (["a", "b", "c"], "questions: {q: {kind: ordinal}}", "in which order"),
        ([1, 2, 3], "questions: {q: {kind: binary}}", "3 levels"),
        (list("abcdefg"), "questions: {q: {kind: nominal}}", "more than 5 distinct values"),
        ([-1, 2, 3], "questions: {q: {kind: count}}", "down to -1"),
        ([1, 2, 2], "blocks: {b: {columns: [q]}}", "option of a block"),
    ],
)  # fmt: skip
def test_data_that_contradict_are_an_input_error(values: list, book: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        decided(values, book)
    assert "'q'" in caught.value.where
    assert said in caught.value.found
    assert caught.value.remedy and caught.value.allowed


def test_block_options_are_binary_whatever_their_type() -> None:
    book = "blocks: {b: {question: Which, columns: {q: radio}}}"
    for values in ([0, 1, None], [0.0, 1.0], [True, False], ["0", "1"]):
        question = decided(values, book).question
        assert question is not None
        assert (question.kind, question.block_id, question.text) == ("binary", "b", "Which: radio")
    only_chosen = decided([1, None, 1], book)
    assert "write 0 there" in (only_chosen.reason or "")


def test_scaling_none_keeps_constants_and_guesses_nothing() -> None:
    assert decided([0, 0, 0], scaling="none").kind == "numeric"
    assert decided([0, 1, 0], scaling="none").kind == "numeric"
    assert decided([None, None], scaling="none").kind == "ignored"
    assert decided(["1", "2"], scaling="none", untyped=True).kind == "numeric"


@pytest.mark.parametrize("values", [["1", "x"], [1.0, float("inf")], [datetime.date(2020, 1, 1)]])
def test_scaling_none_refuses_what_is_no_number(values: list) -> None:
    with pytest.raises(InputError) as caught:
        decided(values, scaling="none")
    assert "input.exclude" in caught.value.remedy


def test_names_may_be_anything() -> None:
    names = ["a.b", "select", "tick`tock", "two words", "🙂", "row_id", "hash"]
    frame = pd.DataFrame({name: [1, 2, 3, 1] for name in names})
    preparation, people = prepare_table(frame, list("wxyz"))
    assert [slot.feature for slot in preparation.encoder.slots] == names
    assert people.features.shape == (4, len(names))


def test_no_usable_column_is_an_error_but_all_alike_is_not() -> None:
    with pytest.raises(InputError, match="no column is left"):
        prepare_table(
            pd.DataFrame({"t": [f"text {i}" for i in range(200)]}), [str(i) for i in range(200)]
        )
    _, people = prepare_table(pd.DataFrame({"t": ["same", "same"]}), ["a", "b"], Codebook())
    assert people.features.shape == (2, 0)
