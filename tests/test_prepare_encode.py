"""Every question has the same influence, and anyone can repeat the encoding from the two maps."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reclust_spark.config import PrepareOptions
from reclust_spark.prepare.codebook import parse_codebook
from reclust_spark.prepare.encode import LIMIT
from reclust_spark.prepare.learn import Encoded, Preparation, prepare_table
from reclust_spark.prepare.maps import feature_rows, profile_rows, question_rows

RNG = np.random.default_rng(5)
N = 2000
MIXED = pd.DataFrame(
    {
        "scale_5": RNG.integers(1, 6, N),
        "scale_9": RNG.binomial(8, 0.3, N) + 1,
        "yes_no": RNG.random(N) < 0.3,
        "town": RNG.choice(["a", "b", "c", "d"], N, p=[0.5, 0.3, 0.15, 0.05]),
        "region": RNG.choice([f"r{i:02d}" for i in range(40)], N),
        "income": RNG.lognormal(10, 1, N),
        "visits": RNG.poisson(RNG.gamma(1, 30, N)),
        "spend": np.where(RNG.random(N) < 0.8, 0.0, RNG.lognormal(3, 1, N)),
    }
)


def prepared(frame: pd.DataFrame, book: str = "") -> tuple[Preparation, Encoded]:
    return prepare_table(frame, [f"p{i}" for i in range(len(frame))], parse_codebook(book))


def influence(frame: pd.DataFrame, book: str = "") -> dict[str, float]:
    """Mean squared distance of two people, by column, over 2."""
    preparation, people = prepared(frame, book)
    variance = people.features.astype(float).var(axis=0)
    by_position = np.bincount(preparation.encoder.positions, weights=variance)
    columns = [question.column for question in preparation.encoder.questions]
    return dict(zip(columns, by_position, strict=True))


def test_every_question_has_the_same_influence_whatever_its_kind() -> None:
    kinds = {question.kind for question in prepared(MIXED)[0].encoder.questions}
    assert kinds == {"ordinal", "binary", "nominal", "numeric", "count"}
    for column, value in influence(MIXED).items():
        assert value == pytest.approx(1, abs=1e-3), column


def test_a_block_is_one_question() -> None:
    frame = pd.DataFrame({f"q{i}": RNG.random(N) < 0.1 * (i + 1) for i in range(6)})
    apart = influence(frame)
    together = influence(frame, "blocks: {b: {columns: [q0, q1, q2, q3, q4, q5]}}")
    assert sum(apart.values()) == pytest.approx(6, abs=1e-3)
    assert sum(together.values()) == pytest.approx(1, abs=1e-3)
    assert together["q0"] < together["q4"]


def test_a_rare_answer_is_no_island() -> None:
    frame = pd.DataFrame({"rare": np.arange(N) < 2, "town": ["x"] * 2 + ["y", "z"] * (N // 2 - 1)})
    features = prepared(frame)[1].features
    assert np.abs(features[:, 0]).max() < 10.1
    assert influence(frame)["rare"] < 0.2


def repeated(row: dict[str, Any], question: dict[str, Any], answers: np.ndarray) -> np.ndarray:
    """The formula, written anew from the tables alone."""
    codes = question["codes"]
    if row["transform"] == "rank":
        values = np.array([np.nan if np.isnan(a) else codes.index(a) for a in answers.tolist()])
    elif row["transform"] == "indicator":
        code = codes[question["levels"].index(row["level"])]
        values = np.where(np.isnan(answers), np.nan, answers == code)
    else:
        values = np.log1p(answers) if row["transform"] == "log1p" else answers
    values = (values - row["centre"]) / row["scale"]
    if row["limit"] is not None:
        values = np.clip(values, -row["limit"], row["limit"])
    return values * row["weight"]


def test_the_maps_alone_repeat_the_encoding() -> None:
    frame = MIXED.mask(RNG.random(MIXED.shape) < 0.1)
    frame["coded"] = RNG.choice([3, 1, 7], N)
    preparation, people = prepared(frame, "questions: {coded: {levels: [7, 1, 3]}}")
    questions = question_rows(preparation.encoder)
    for row in feature_rows(preparation.encoder):
        answers = people.answers[:, row["position"]].astype(float)
        expected = repeated(row, questions[row["position"]], answers)
        here = ~np.isnan(answers)
        found = people.features[here, row["slot"]]
        assert np.allclose(found, expected[here], atol=1e-4), row["feature"]


def test_answers_are_own_units_and_codes_that_decode() -> None:
    preparation, people = prepared(MIXED)
    by_column = {row["source_column"]: row for row in question_rows(preparation.encoder)}
    town = by_column["town"]
    decoded = [town["levels"][town["codes"].index(a)] for a in people.answers[:, town["position"]]]
    assert decoded == MIXED["town"].tolist()
    for column in ("scale_5", "visits", "income"):
        answers = people.answers[:, by_column[column]["position"]]
        assert np.array_equal(answers, MIXED[column].to_numpy(np.float32))
    assert by_column["income"]["levels"] is None


def test_a_declared_order_is_the_order_of_the_features() -> None:
    frame = pd.DataFrame({"mood": ["good", "bad", "fair", "bad"], "x": [1, 2, 3, 4]})
    book = "questions: {mood: {kind: ordinal, levels: [bad, fair, good]}}"
    good, bad, fair, _ = prepared(frame, book)[1].features[:, 0]
    assert bad < fair < good
    assert fair - bad == pytest.approx(good - fair)


def test_one_billionaire_does_not_flatten_everyone_else() -> None:
    income = np.append(RNG.normal(30_000, 5_000, N), 1e12)
    features = prepared(pd.DataFrame({"income": income}))[1].features[:, 0]
    assert features[:-1].std() > 0.9
    assert features[-1] < LIMIT * 3


numbers = st.one_of(
    st.floats(-1e30, 1e30).map(lambda x: x + 0.5),
    st.sampled_from([0.5, 0.5, 0.5, 0.75, 1e20]),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(numbers, min_size=2, max_size=60))
def test_no_column_becomes_constant_or_infinite(values: list[float]) -> None:
    frame = pd.DataFrame({"x": np.array(values)})
    preparation, people = prepare_table(
        frame,
        [str(i) for i in range(len(values))],
        parse_codebook("questions: {x: {kind: numeric}}"),
    )
    if len(set(values)) == 1:
        assert preparation.decisions[0].kind == "ignored"
        return
    features = people.features[:, 0]
    assert np.isfinite(features).all()
    assert len(np.unique(features)) > 1
    order = np.argsort(values, kind="stable")
    assert (np.diff(features[order].astype(float)) >= 0).all()
    assert features.astype(float).var() <= 1.01


def test_zeros_for_most_are_scaled_by_the_rest() -> None:
    slot = prepared(MIXED[["spend"]])[0].encoder.slots[0]
    positive = MIXED["spend"][MIXED["spend"] > 0]
    spread = positive.quantile(0.75) - positive.quantile(0.25)
    assert slot.centre == 0
    assert slot.scale == pytest.approx(max(spread, positive.median()))


def test_what_is_learned_does_not_depend_on_the_order_of_rows() -> None:
    shuffled = MIXED.sample(frac=1, random_state=1)
    ids = np.array([f"p{i}" for i in range(N)], dtype=object)
    one, people = prepare_table(MIXED, ids.tolist())
    other, mixed_up = prepare_table(shuffled, ids[shuffled.index].tolist())
    assert one.encoder.slots == other.encoder.slots
    assert np.array_equal(people.features[shuffled.index], mixed_up.features)


def test_scaling_none_takes_values_as_they_are() -> None:
    pixels = pd.DataFrame(RNG.integers(0, 256, (50, 10))).rename(columns=str)
    pixels["0"] = 0
    pixels.loc[3, "4"] = None
    options = PrepareOptions(scaling="none")
    preparation, people = prepare_table(pixels, [str(i) for i in range(50)], options=options)
    assert len(preparation.encoder.slots) == 10
    there = ~np.isnan(people.answers)
    assert np.array_equal(people.features[there], pixels.to_numpy(np.float32)[there])
    assert people.features[3, 4] in pixels["4"].to_numpy()
    assert np.isnan(people.answers[3, 4])


def test_profile_rows_say_what_was_found_and_why_it_was_dropped() -> None:
    frame = MIXED.assign(same=1, note=[f"note {i}" for i in range(N)])
    frame.loc[:99, "income"] = np.nan
    ids = [str(i) for i in range(N)]
    preparation, _ = prepare_table(frame, ids)
    import pyarrow as pa

    sample = pa.Table.from_pandas(frame, preserve_index=False)
    sample = sample.set_column(
        sample.schema.get_field_index("note"), "note", pa.nulls(N, pa.string())
    )
    rows = {r["source_column"]: r for r in profile_rows(preparation.decisions, sample, ["town"])}
    assert rows["income"]["n_missing"] == 100
    assert rows["income"]["mean"] == pytest.approx(frame["income"].mean())
    assert rows["income"]["n_distinct"] == N - 100
    assert rows["income"]["quantiles"][0] == frame["income"].min()
    assert rows["same"]["kind"] == rows["note"]["kind"] == "ignored"
    assert rows["note"]["n_distinct"] is None
    assert "outside" in rows["town"]["dropped_reason"]
