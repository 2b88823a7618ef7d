"""What a column asks: levels and their names, scales, quarters; and which columns can be asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reclust_spark.config import CrosstabOptions, PrepareOptions
from reclust_spark.crosstab import scale
from reclust_spark.crosstab.cells import MISSING
from reclust_spark.crosstab.columns import Field, columns_of, pairs_of, with_kinds
from reclust_spark.crosstab.questions import Asked, Sampled, asked_of, most_marks
from reclust_spark.crosstab.show import crosstab_parts
from reclust_spark.errors import InputError
from reclust_spark.prepare.codebook import Codebook, QuestionEntry
from reclust_spark.prepare.kinds import decide
from reclust_spark.prepare.learn import spec_of
from reclust_spark.prepare.profile import profile_column
from reclust_spark.prepare.values import NUMBER, TEXT
from reclust_spark.warehouse.names import IGNORED, ORDINAL, SHARE


def asked(values, weights=None, entry: QuestionEntry | None = None, marks: int = 500) -> Asked:
    array = pa.array(values, from_pandas=True)
    book = Codebook(questions={} if entry is None else {"q": entry})
    material = TEXT if pa.types.is_string(array.type) else NUMBER
    spec = spec_of("q", material, str(array.type), book, PrepareOptions())._replace(cap=500)
    profile = profile_column(array, spec)
    question = decide(spec, profile, book, PrepareOptions()).question
    numbers = np.empty(0)
    if material == NUMBER:
        numbers = np.array(array.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=float)
    given = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=float)
    return asked_of(question, profile, Sampled(numbers, given), marks, 11)


def test_texts_and_few_whole_numbers_have_levels():
    assert asked(["b", "a", "b", None]).levels == ("a", "b")
    scale_of_five = asked([1, 2, 3, 4, 5] * 3)
    assert scale_of_five.levels == ("1", "2", "3", "4", "5") and not scale_of_five.is_number
    assert scale_of_five.groups == scale_of_five.levels


def test_levels_of_the_same_label_are_told_apart():
    entry = QuestionEntry(levels={"1": "yes", "2": "yes", "3": "no", "4": " "})
    assert asked([1, 2, 3, 4], entry=entry).levels == ("yes (1)", "yes (2)", "no", "(4)")


def test_whole_numbers_are_cut_into_ranges_that_people_would_write():
    ages = asked(np.repeat(np.arange(18, 98), 3))
    assert ages.is_number
    assert ages.groups == ("up to 37", "38 to 57", "58 to 77", "78 and more")
    found = ages.group_of(np.array([18.0, 37, 38, 57, 58, 77, 78, 97, np.nan]))
    assert found.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, MISSING]


def test_quarters_are_those_of_the_weights():
    numbers = np.linspace(0.5, 100.3, 400)
    light = asked(numbers, weights=np.where(numbers < 50, 1.0, 3.0))
    assert light.cuts[0] == pytest.approx(50, rel=0.03)
    assert light.groups[0].startswith("up to 5") and light.groups[-1].startswith("over ")
    assert "0.5" not in "".join(light.groups), "the ends are some person's"


@pytest.mark.parametrize("most", [0.0, 1000.5])
def test_a_number_that_nearly_all_share_stands_alone(most):
    numbers = np.append(np.full(90, most), np.linspace(1, 999.5, 30))
    money = asked(numbers)
    groups = money.group_of(numbers)
    assert len(money.groups) == len(set(groups)) >= 2
    assert len(set(groups[:90])) == 1


def test_numbers_of_few_values_are_not_cut():
    halves = asked(np.tile([0.5, 1.5, 2.5], 9), entry=QuestionEntry(kind="numeric"))
    assert halves.is_number and halves.groups == ("0.5", "1.5", "2.5")
    assert halves.group_of(np.array([0.5, 1.5, 2.5])).tolist() == [0, 1, 2]


def test_a_number_that_nobody_of_the_sample_has_answered_is_asked_all_the_same():
    book = Codebook(questions={"q": QuestionEntry(kind="numeric")})
    values = pa.array([None] * 50 + [3.5, 10.25] * 300)
    spec = spec_of("q", NUMBER, "double", book, PrepareOptions())._replace(cap=1)
    profile = profile_column(values, spec)
    question = decide(spec, profile, book, PrepareOptions()).question
    rare = asked_of(question, profile, Sampled(np.full(9, np.nan), np.ones(9)), 500, 11)
    assert rare.marks == (3.5, 10.25) and rare.groups == ("up to 3.5", "over 3.5")


def test_a_scale_of_many_nodes_and_strata_is_coarser_but_never_too_coarse():
    assert most_marks(50, 1) == 500
    assert 20 < most_marks(200, 100) < 500
    assert most_marks(1_000, 10_000) == 20
    coarse = asked(np.linspace(0, 1, 700), marks=30)
    assert len(coarse.marks) <= 30 and coarse.marks[0] == 0 and coarse.marks[-1] == 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(2, 20))
def test_places_keep_the_order_of_numbers(numbers, most):
    numbers = np.array(numbers)
    marks = scale.marks_of(numbers, numbers.min(), numbers.max(), most)
    places = scale.place_of(numbers, marks)
    assert (np.diff(marks) > 0).all() and places.max() < scale.n_places(marks)
    order = np.argsort(numbers)
    assert (np.diff(places[order]) >= 0).all()
    at_mark = places % 2 == 0
    assert (numbers[at_mark] == marks[places[at_mark] // 2]).all()


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 9)), min_size=1, max_size=40))
def test_a_weighted_median_has_at_most_half_the_weight_on_either_side(people):
    numbers, weights = (np.array(column, dtype=float) for column in zip(*people, strict=True))
    marks = np.unique(numbers)
    by_place = np.zeros((1, scale.n_places(marks)))
    np.add.at(by_place[0], scale.place_of(numbers, marks), weights)
    middle = scale.median(by_place, marks).value[0]
    whole = weights.sum()
    assert weights[numbers < middle].sum() <= whole / 2 * (1 + 1e-9)
    assert weights[numbers > middle].sum() <= whole / 2 * (1 + 1e-9)


def test_all_columns_are_asked_but_those_of_the_sample():
    fields = {name: Field(TEXT, "string") for name in ("a", "b", "stratum", "psu")}
    options = CrosstabOptions(strata="stratum", clusters="psu", by=["b"])
    names = columns_of("t", fields, options)
    assert names == ["a", "b"]
    pairs = pairs_of(names, options)
    assert [tuple(pair) for pair in pairs] == [(0, None), (0, 1), (1, None)], "b is not by itself"
    some = CrosstabOptions(questions=["a"], crossed={"a": ["b", "a"], "psu": ["b"]}, by="stratum")
    names = columns_of("t", fields, some)
    assert names == ["a", "stratum", "b"]
    assert [tuple(pair) for pair in pairs_of(names, some)] == [(0, None), (0, 1), (0, 2)]
    with pytest.raises(InputError, match=r"crosstab\.crossed"):
        columns_of("t", fields, CrosstabOptions(crossed={"a": ["nowhere"]}))
    with pytest.raises(InputError, match="no column beside its id"):
        columns_of("t", {}, CrosstabOptions())


def test_prepares_kinds_count_where_the_codebook_says_none():
    fields = {
        "rank": Field(NUMBER, "int", ORDINAL),
        "mood": Field(TEXT, "string", ORDINAL),
        "note": Field(TEXT, "string", IGNORED),
        "said": Field(NUMBER, "int", ORDINAL),
    }
    book = Codebook(questions={"said": QuestionEntry(kind="numeric")})
    kinds = {name: entry.kind for name, entry in with_kinds(book, fields).questions.items()}
    assert kinds == {"rank": ORDINAL, "said": "numeric"}


def test_what_is_printed_marks_discoveries_and_hides_what_is_hidden():
    row = {
        "question": "q", "question_text": "Which?", "by_question": "", "by_text": "",
        "by_level": "", "by_order": 0, "level": "[b]x[/b]", "level_order": 0, "statistic": SHARE,
        "suppressed": False, "value": 0.25, "q_value": 0.01, "path": "/001/",
    }  # fmt: skip
    rows = [
        row,
        row | {"path": "/", "q_value": None, "value": 0.5},
        row | {"path": "/002/", "suppressed": True, "value": None},
        row | {"path": "/003/", "value": None, "q_value": None},
        row | {"question": "other"},
        row | {"by_question": "b"},
    ]
    console = Console(width=120)
    with console.capture() as captured:
        for part in crosstab_parts(rows, CrosstabOptions(questions="q")):
            console.print(part, markup=False)
    lines = captured.get().splitlines()
    assert lines[0] == "Which?" and lines[1].split() == ["/", "/001/", "/002/", "/003/"]
    assert lines[2].split() == ["[b]x[/b]", "50.0%", "25.0%*", "–"]
    assert crosstab_parts(rows, CrosstabOptions(questions="none")) == []


def test_groups_of_texts_are_their_levels():
    sides = asked(pd.Series(["left", "right", None]))
    assert sides.group_of(np.array([0.0, 1.0, np.nan])).tolist() == [0, 1, MISSING]
    assert sides.level_of(np.array([1.0, np.nan])).tolist() == [1, MISSING]
