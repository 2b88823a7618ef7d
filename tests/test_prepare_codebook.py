"""The codebook: what a survey team may write, and what they are told when it is wrong."""

from pathlib import Path

import pytest

from reclust_spark.errors import ConfigError, InputError
from reclust_spark.prepare.codebook import Codebook, parse_codebook, read_codebook


def test_values_stay_the_text_they_are() -> None:
    book = parse_codebook(
        """
        questions:
          plan: {levels: [yes, no, 007, 1.0], missing_codes: -9}
        """
    )
    assert list(book.questions["plan"].levels or {}) == ["yes", "no", "007", "1.0"]
    assert book.missing_codes("plan") == ("-9",)


def test_levels_may_carry_labels_in_order() -> None:
    book = parse_codebook(
        "questions: {ideo: {kind: ordinal, levels: {5: right, 3: centre, 1: left}}}"
    )
    assert book.questions["ideo"].levels == {"5": "right", "3": "centre", "1": "left"}


def test_a_text_alone_is_the_question() -> None:
    book = parse_codebook("questions:\n  age: How old are you?")
    assert book.questions["age"].question == "How old are you?"


def test_a_block_names_its_options_and_shares_its_missing_codes() -> None:
    book = parse_codebook(
        """
        blocks:
          channels: {columns: {q7_1: television, q7_2: radio}, missing_codes: [9]}
          devices: {columns: [q8_1, q8_2]}
        """
    )
    assert book.block_of("q7_2") == "channels"
    assert book.block_of("q8_1") == "devices"
    assert book.block_of("age") is None
    assert book.missing_codes("q7_1") == ("9",)
    assert book.columns == ["q7_1", "q7_2", "q8_1", "q8_2"]


def test_no_codebook_says_nothing() -> None:
    assert read_codebook(None) == Codebook()
    assert parse_codebook("") == Codebook()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("questions: {a: {knd: ordinal}}", "did you mean kind?"),
        ("question: {}", "did you mean questions?"),
        ("questions: {a: {kind: ordnal}}", "did you mean ordinal?"),
        ("blocks: {b: {colums: [a]}}", "blocks.b"),
        ("questions: {a: {question: one}, a: {question: two}}", "stands twice"),
        ("blocks: {b: {columns: [a, a]}}", "listed twice"),
        ("questions: {a: x}\nblocks: {b: {columns: [a]}}", "questions and in blocks.b"),
        ("blocks: {b: {columns: [a]}, c: {columns: [a]}}", "blocks.b and in blocks.c"),
        ("questions: {a: {levels: [1, 9], missing_codes: [9]}}", "both a level and a missing code"),
        ("questions: [", "YAML"),
        ("just words", "codebook"),
    ],
)
def test_a_wrong_codebook_is_a_config_error(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_codebook(text)
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_codebook_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read_codebook(tmp_path / "none.yaml")


def test_a_column_that_the_table_lacks_is_named_with_its_neighbours() -> None:
    book = parse_codebook("questions: {idea: What}")
    with pytest.raises(InputError) as caught:
        book.check_columns(["ideo", "age"], "codebook x.yaml")
    assert "'idea'" in caught.value.found
    assert "did you mean 'ideo'?" in caught.value.remedy
    book.check_columns(["idea"])
