"""Reading new people's answers: as preparation read the survey's, whatever form they come in."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reclust_spark.config import ExplainOptions
from reclust_spark.errors import InputError
from reclust_spark.onevsall.fit import fit_children, named
from reclust_spark.onevsall.folds import deal_folds, plan_rows
from reclust_spark.onevsall.predict import (
    ERROR,
    MISSING,
    MismatchError,
    Model,
    Question,
    Scorer,
    digest_of,
    inputs_of,
    read_people,
)
from reclust_spark.prepare.codebook import parse_codebook
from reclust_spark.prepare.learn import prepare_table
from reclust_spark.prepare.maps import question_rows

CODEBOOK = """
questions:
  income: {unit: dollars, missing_codes: [-1]}
  visits: {kind: count}
  agree: {kind: ordinal}
  ideology:
    kind: ordinal
    levels: {1: left, 2: centre, 3: right}
    missing_codes: [8, 9]
  mood: {kind: ordinal, levels: [low, middle, high], missing_codes: DK}
  town: {kind: nominal}
  insured: {kind: binary}
  region: {kind: nominal, levels: {10: north, 20: south, 15: west}}
  code: {kind: nominal}
blocks:
  media: {question: Which media, columns: {m1: television, m2: radio}, missing_codes: [7]}
"""
N = 400


def survey(seed=0):
    rng = np.random.default_rng(seed)

    def gaps(values):
        return pd.Series(values).where(rng.random(N) > 0.1)

    return pd.DataFrame(
        {
            "income": gaps(rng.lognormal(10, 1, N)).mask(rng.random(N) < 0.05, -1),
            "visits": rng.poisson(6, N),
            "agree": gaps(rng.integers(1, 6, N)),
            "ideology": rng.choice([1, 2, 3, 8, 9], N),
            "mood": gaps(rng.choice(["low", "middle", "high", "DK", "  "], N)),
            "town": gaps(rng.choice(["Aberdeen", "Bath", " Bath", "Cork", ""], N)),
            "insured": rng.integers(0, 2, N),
            "member": rng.random(N) < 0.4,
            "region": rng.choice([10, 20, 15], N),
            "code": gaps(rng.choice(["01", "02", "1"], N)),
            "m1": rng.choice([0, 1, 7], N),
            "m2": gaps(rng.integers(0, 2, N)),
        }
    )


def prepared(frame, codebook=""):
    """Return the questions, and the inputs that models are fitted on."""
    ids = [f"p{i}" for i in range(len(frame))]
    preparation, encoded = prepare_table(frame, ids, parse_codebook(codebook))
    questions = [Question.of(row) for row in question_rows(preparation.encoder)]
    return questions, inputs_of(encoded.answers, questions)


def as_csv(frame):
    """Return the table as a CSV holds it: every answer as text, blank where there is none."""

    def text(value):
        if pd.isna(value) or isinstance(value, str):
            return "" if pd.isna(value) else value
        return str(int(value)) if value == int(value) else repr(float(value))

    texts = {name: [text(value) for value in column] for name, column in frame.items()}
    return pa.table(texts)


def arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


def alike(one, other):
    return np.array_equal(one, other, equal_nan=True)


@pytest.fixture(scope="module")
def asked():
    return prepared(survey(), CODEBOOK)


# ---- as preparation read them


def test_the_survey_under_test_has_every_kind_of_question(asked):
    questions, inputs = asked
    kinds = {question.source_column: question.kind for question in questions}
    assert kinds == {
        "income": "numeric", "visits": "count", "agree": "ordinal", "ideology": "ordinal",
        "mood": "ordinal", "town": "nominal", "insured": "binary", "member": "binary",
        "region": "nominal", "code": "nominal", "m1": "binary", "m2": "binary",
    }  # fmt: skip
    by_name = {question.source_column: question for question in questions}
    assert by_name["region"].codes == (10.0, 20.0, 15.0)
    assert by_name["code"].levels == ("01", "02", "1")
    assert by_name["town"].levels == (" Bath", "Aberdeen", "Bath", "Cork")
    assert by_name["m1"].block_id == "media"
    assert np.isnan(inputs).any(axis=0).sum() == 8


def test_levels_are_indexes_in_the_codebooks_order(asked):
    questions, inputs = asked
    frame = survey()
    at = [question.source_column for question in questions].index
    assert inputs[:, at("region")].tolist() == frame["region"].map({10: 0, 20: 1, 15: 2}).tolist()
    moods = frame["mood"].map({"low": 0, "middle": 1, "high": 2}).to_numpy()
    assert alike(inputs[:, at("mood")], moods.astype(np.float32))
    assert alike(inputs[:, at("agree")], (frame["agree"] - 1).to_numpy(dtype=np.float32))


@pytest.mark.parametrize("seed", [0, 1])
def test_people_are_read_as_preparation_read_them(asked, seed):
    """The survey's own people, and others of the same survey."""
    questions, inputs = asked
    frame = survey(seed)
    found = read_people(arrow(frame), questions)
    assert found.mismatches == []
    if seed == 0:
        assert alike(found.inputs, inputs)
    again = read_people(as_csv(frame), questions, untyped=True)
    assert again.mismatches == []
    assert alike(again.inputs, found.inputs)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.take(pa.array(np.arange(N)[::-1])).take(pa.array(np.arange(N)[::-1])),
        lambda table: table.select(table.column_names[::-1]),
        lambda table: pa.concat_tables([table[:7], table[7:7], table[7:]]),
        lambda table: table.combine_chunks().to_batches()[0],
        lambda table: table.append_column("extra", pa.array([[1]] * N)),
        lambda table: pa.table({n: c.combine_chunks().dictionary_encode()
                                for n, c in zip(table.column_names, table.columns, strict=True)}),
        lambda table: table.cast(pa.schema([
            (field.name, pa.large_string() if field.type == pa.string() else
             pa.float64() if field.type == pa.int64() else field.type) for field in table.schema])),
    ],
    ids=["shuffled", "columns turned", "chunks", "batch", "extra column", "dictionary", "wider"],
)  # fmt: skip
def test_the_form_of_the_table_is_of_no_consequence(asked, change):
    questions, inputs = asked
    found = read_people(change(arrow(survey())), questions)
    assert found.mismatches == []
    assert alike(found.inputs, inputs)


def test_a_persons_inputs_do_not_depend_on_the_others(asked):
    questions, inputs = asked
    table = as_csv(survey())
    for i in range(0, N, 20):
        assert alike(
            read_people(table[i : i + 1], questions, untyped=True).inputs, inputs[i : i + 1]
        )


def test_inputs_are_a_copy_where_they_differ_from_the_answers(asked):
    questions, _ = asked
    ids = [f"p{i}" for i in range(N)]
    answers = prepare_table(survey(), ids, parse_codebook(CODEBOOK))[1].answers
    before = answers.copy()
    inputs_of(answers, questions)
    assert alike(answers, before)


VALUES = {
    "number": st.one_of(
        st.none(),
        st.floats(-(2.0**100), 2.0**100, width=32),
        st.floats(-1e6, 1e6).map(lambda number: round(number, 9)),
        st.sampled_from([-1.0, 0.0, -0.0, 0.5, 1e-40]),
    ),
    "count": st.one_of(st.integers(0, 2**53), st.integers(0, 30)),
    "scale": st.integers(1, 5),
    "coded": st.sampled_from([1, 2, 3, 9]),
    "text": st.sampled_from(["a", "b", " b", "1", "01", "1.0", "é", "", "  ", None]),
    "region": st.sampled_from([10, 20, 15]),
    "flag": st.booleans(),
}
RANDOM = """
questions:
  number: {kind: numeric, missing_codes: [-1]}
  coded: {kind: ordinal, levels: {3: c, 2: b, 1: a}, missing_codes: [9]}
  region: {kind: nominal, levels: {10: north, 20: south, 15: west}}
"""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.fixed_dictionaries(VALUES), min_size=2, max_size=25))
def test_whatever_people_answer_is_read_as_preparation_read_it(rows):
    table = pa.Table.from_pylist(
        rows,
        pa.schema(
            {"number": pa.float64(), "count": pa.int64(), "scale": pa.int32(), "coded": pa.int8(),
             "text": pa.string(), "region": pa.int64(), "flag": pa.bool_()}
        ),
    )  # fmt: skip
    try:
        preparation, encoded = prepare_table(
            table, [f"p{i}" for i in range(len(rows))], parse_codebook(RANDOM)
        )
    except InputError as error:
        assert "no column is left" in str(error)
        return
    questions = [Question.of(row) for row in question_rows(preparation.encoder)]
    inputs = inputs_of(encoded.answers, questions)
    texts = {
        name: ["" if v is None else v if isinstance(v, str) else str(int(v)) if name == "flag"
               else repr(v) for v in table.column(name).to_pylist()]
        for name in table.column_names
    }  # fmt: skip
    for columns, untyped in ((table, False), (pa.table(texts), True)):
        found = read_people(columns, questions, untyped=untyped)
        assert found.mismatches == []
        assert alike(found.inputs, inputs)


def test_levels_of_many_digits_are_found_again():
    frame = pd.DataFrame({"mean": [5 / 3, 2.0, 7 / 3] * 10})
    questions, inputs = prepared(frame, "questions: {mean: {kind: ordinal}}")
    assert questions[0].levels == ("1.6666666666666667", "2", "2.3333333333333335")
    assert inputs[:, 0].tolist() == [0.0, 1.0, 2.0] * 10
    assert alike(read_people(arrow(frame), questions).inputs, inputs)


# ---- what does not fit


INCOME = Question("income", "Income?", "numeric", missing_codes=("-1",))
AGREE = Question("agree", "Agree?", "ordinal", tuple("12345"), missing_codes=("9",))
TOWN = Question("town", "Town?", "nominal", ("Aberdeen", "Bath"))
FLAG = Question("flag", "Flag?", "binary", ("0", "1"))


def read_one(question, answers, *, untyped=False):
    table = pa.table({question.source_column: answers})
    found = read_people(table, [question], untyped=untyped)
    return found.inputs[:, 0].tolist(), [str(mismatch) for mismatch in found.mismatches]


GONE = pytest.approx(np.nan, nan_ok=True)


@pytest.mark.parametrize(
    ("question", "answers", "values", "said"),
    [
        (AGREE, [1, 6, 7, None], [0, GONE, GONE, GONE],
         "column 'agree' holds unknown levels (2 rows, such as '6')"),
        (AGREE, [1, 1.5], [0, GONE], "column 'agree' holds unknown levels (1 rows, such as '1.5')"),
        (TOWN, ["Bath", "Cork", "Cork"], [1, GONE, GONE],
         "column 'town' holds unknown levels (2 rows, such as 'Cork')"),
        (TOWN, [1, 2], [GONE, GONE], "column 'town' holds unknown levels (2 rows, such as '1')"),
        (INCOME, ["12", "lots"], [12, GONE],
         "column 'income' holds texts, not numbers (1 rows, such as 'lots')"),
        (INCOME, [12.0, np.inf, -1e39], [12, GONE, GONE],
         "column 'income' holds infinite numbers (2 rows, such as 'inf')"),
        (INCOME, [[1], None], [GONE, GONE],
         "column 'income' is of type list<item: int64> (1 rows)"),
        (AGREE, [datetime.date(2026, 1, 1)], [GONE],
         "column 'agree' is of type date32[day] (1 rows)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_counted_and_missing(question, answers, values, said):
    assert read_one(question, answers) == (values, [said])


def test_a_column_that_is_not_there_is_missing_for_everyone_and_named():
    found = read_people(pa.table({"town": ["Bath"], "extra": [1]}), [TOWN, INCOME])
    assert alike(found.inputs, np.array([[1, np.nan]], dtype=np.float32))
    assert [str(mismatch) for mismatch in found.mismatches] == [
        "column 'income' is not in the table"
    ]


@pytest.mark.parametrize(
    ("question", "answers", "untyped"),
    [
        (AGREE, [9, 9.0, None, np.nan], False),
        (AGREE, ["9", "", "  ", None], False),
        (AGREE, ["9", "9.0", " 9", "NA", " null ", "#N/A", ""], True),
        (INCOME, ["-1", "-1.0", "nan", "N/A", " "], True),
        (TOWN, [None, None], False),
    ],
)
def test_ways_of_not_answering_are_no_mismatch(question, answers, untyped):
    assert read_one(question, answers, untyped=untyped) == ([GONE] * len(answers), [])


def test_na_is_a_text_where_the_source_knows_types():
    assert read_one(TOWN, ["NA"])[1] == [
        "column 'town' holds unknown levels (1 rows, such as 'NA')"
    ]


def test_numbers_written_in_other_ways_are_the_same_level():
    assert read_one(AGREE, ["1", "1.0", " 2 ", "+3", "4e0"]) == ([0, 0, 1, 2, 3], [])
    codes = Question("code", "Code?", "nominal", ("01", "02", "1"))
    assert read_one(codes, ["01", "02", "1"]) == ([0, 1, 2], [])
    assert read_one(AGREE, [True, False]) == ([0, GONE], [
        "column 'agree' holds unknown levels (1 rows, such as '0')"])  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e400", "1e3x", "0x10", "1_000", "1,000"])
def test_texts_that_are_no_finite_decimal_number_are_mismatches(text):
    values, said = read_one(INCOME, ["12", text], untyped=True)
    assert values == [12, GONE]
    assert said == [f"column 'income' holds texts, not numbers (1 rows, such as {text!r})"]


@pytest.mark.filterwarnings("error")
def test_a_text_too_large_for_32_bits_is_a_mismatch_as_the_number_is():
    assert read_one(INCOME, [1e39])[0] == [GONE]
    values, said = read_one(INCOME, ["1e39"], untyped=True)
    assert values == [GONE]
    assert len(said) == 1


@pytest.mark.parametrize("question", [INCOME, AGREE])
def test_a_control_character_is_a_mismatch_and_no_crash(question):
    assert len(read_one(question, ["\x1f5"], untyped=True)[1]) == 1


@pytest.mark.parametrize(
    ("levels", "answers", "untyped"),
    [
        (("0", "1"), ["False", "True"], True),
        (("0", "1"), ["false", "true"], True),
        (("False", "True"), [False, True], False),
    ],
)
def test_true_and_false_are_one_thing_in_any_form(levels, answers, untyped):
    assert read_one(FLAG._replace(levels=levels), answers, untyped=untyped) == ([0, 1], [])


# ---- scoring a table


@pytest.fixture(scope="module")
def fitted(asked):
    questions, inputs = asked
    child = np.where(np.nan_to_num(inputs[:, 8]) > 0, 0, 1)
    child = np.where(np.random.default_rng(0).random(N) < 0.05, -1, child).astype(np.intp)
    plan = plan_rows(deal_folds(child.astype(str).astype(object)), child, 2)
    boosters = fit_children(inputs, child, 2, plan, tuple(questions), ExplainOptions()).boosters
    paths = ("/001/", "/002/")
    blobs = [named(booster, path, tuple(questions))
             for path, booster in zip(paths, boosters, strict=True)]  # fmt: skip
    return [
        Model(path, "/", blob, 0.5, (1.0, 0.0), digest_of(blob))
        for path, blob in zip(paths, blobs, strict=True)
    ]


def scorer(asked, fitted, unknown=MISSING):
    return Scorer(asked[0], fitted, unknown)


@pytest.mark.filterwarnings("error")
def test_scores_are_the_same_from_pandas_arrow_and_csv(asked, fitted):
    one, frame = scorer(asked, fitted), survey()
    table = arrow(frame)
    scores = one.score(table)
    assert scores.column_names == ["path", "depth", "is_noise", "probability"]
    placed = one.place(asked[1])
    assert scores.column("path").to_pylist() == placed.path.tolist()
    assert set(placed.path) >= {"/001/", "/002/"}
    assert scores.column("depth").to_pylist() == [path.count("/") - 1 for path in placed.path]
    assert one.score(table.to_batches()[0]).equals(scores)
    assert one.score(as_csv(frame), untyped=True).equals(scores)
    frames = one.score(frame.set_index(np.arange(N) * 2))
    assert frames.index.tolist() == list(range(0, 2 * N, 2))
    assert frames["path"].tolist() == placed.path.tolist()
    assert frames["probability"].tolist() == scores.column("probability").to_pylist()


def test_an_id_is_carried_over(asked, fitted):
    frame = survey().assign(uid=[f"u{i}" for i in range(N)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = scorer(asked, fitted).score(arrow(frame), id="uid")
    assert scores.column_names[0] == "uid"
    assert scores.column("uid").to_pylist() == frame["uid"].tolist()


def test_nobody_can_be_scored(asked, fitted):
    assert scorer(asked, fitted).score(arrow(survey())[:0]).num_rows == 0
    assert len(scorer(asked, fitted).score(survey()[:0])) == 0


STRANGE = survey().drop(columns="visits").assign(region=30)


def test_under_missing_what_does_not_fit_is_told_once_and_taken_for_no_answer(asked, fitted):
    one = scorer(asked, fitted)
    with pytest.warns(UserWarning) as caught:
        scores = one.score(STRANGE)
    assert len(caught) == 1
    assert "'visits' is not in the table" in str(caught[0].message)
    assert "'region' holds unknown levels (400 rows, such as '30')" in str(caught[0].message)
    blank = survey().assign(visits=np.nan, region=np.nan)
    assert one.score(blank).equals(scores)


@pytest.mark.parametrize(
    ("frame", "named"), [(survey().drop(columns="visits"), "visits"), (STRANGE, "region")]
)
def test_under_error_what_does_not_fit_is_refused_by_name(asked, fitted, frame, named):
    with pytest.raises(MismatchError, match=f"column '{named}'"):
        scorer(asked, fitted, ERROR).score(frame)


@pytest.mark.parametrize("unknown", [MISSING, ERROR])
def test_a_table_without_any_question_is_refused(asked, fitted, unknown):
    with pytest.raises(MismatchError, match="'income' is not in the table"):
        scorer(asked, fitted, unknown).score(pa.table({"other": [1, 2]}))


def test_a_column_that_stands_twice_is_an_error_that_names_it(asked, fitted):
    table = arrow(survey())
    twice = table.append_column("income", table.column("income"))
    with pytest.raises((KeyError, MismatchError), match="income"):
        scorer(asked, fitted).score(twice)
