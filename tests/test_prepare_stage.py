"""`reclust prepare` on Spark: every source, every complaint, the same result however it is cut."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from reclust_spark.config import Config
from reclust_spark.errors import ConfigError, InputError
from reclust_spark.prepare import stage
from reclust_spark.prepare.learn import prepare_table
from reclust_spark.warehouse.names import (
    FEATURE_MAP,
    FEATURES,
    OUTSIDE,
    PROFILE,
    QUESTION_MAP,
    Table,
)
from reclust_spark.warehouse.runs import Ledger, Result
from reclust_spark.warehouse.tables import Warehouse

N = 300
SURVEY = pd.DataFrame(
    {
        "uid": np.arange(N) + 1000,
        "w": np.linspace(0.5, 1.5, N),
        "likert": np.random.default_rng(0).choice([1.0, 2.0, 3.0, np.nan], N),
        "town": np.random.default_rng(1).choice(["a", "b", "c"], N),
        "height": np.random.default_rng(2).normal(170, 10, N).round(2),
        "age": np.random.default_rng(3).integers(18, 90, N),
        "when": pd.Timestamp("2020-05-01"),
    }
)
QUESTIONS = ["likert", "town", "height"]
SETTINGS = ("input.id=uid", "input.outside=[age, when]", "input.weight=w")

Prepare = Callable[..., Result]


@pytest.fixture
def compiled(spark: SparkSession) -> Iterator[None]:
    """Let Spark compile the code of queries, as it does outside of tests."""
    settings = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
    before = {name: spark.conf.get(name) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    yield
    for name, value in before.items():
        spark.conf.set(name, value)


@pytest.fixture
def prepare(
    warehouse: Warehouse,
    make_config: Callable[..., Config],
    make_ledger: Callable[[Config], Ledger],
) -> Prepare:
    """Run the step on a path with settings."""

    def run(path: object, *settings: str) -> Result:
        config = make_config(f"input.path={path}", *settings)
        return stage.run(warehouse, config, make_ledger(config))

    return run


def parquet(folder: Path, frame: pd.DataFrame, name: str = "survey.parquet") -> Path:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / name)
    return folder / name


def read(warehouse: Warehouse, table: Table, version: int = 1) -> pd.DataFrame:
    frame = warehouse.read(table, version).drop("prepare_version").toPandas()
    return frame.sort_values(list(table.key), ignore_index=True)


def test_the_tables_hold_what_the_pure_modules_give(
    tmp_path: Path, warehouse: Warehouse, prepare: Prepare
) -> None:
    prepare(parquet(tmp_path, SURVEY), *SETTINGS)
    _, people = prepare_table(SURVEY[QUESTIONS], SURVEY["uid"].astype(str).tolist())
    features = read(warehouse, FEATURES)
    assert features["row_id"].tolist() == SURVEY["uid"].astype(str).tolist()
    assert np.array_equal(np.stack(features["features"]), people.features)
    assert np.array_equal(np.stack(features["answers"]), people.answers, equal_nan=True)
    assert np.allclose(features["weight"], SURVEY["w"])
    assert read(warehouse, QUESTION_MAP)["source_column"].tolist() == QUESTIONS
    assert len(read(warehouse, FEATURE_MAP)) == people.features.shape[1]
    profile = read(warehouse, PROFILE).set_index("source_column")
    assert profile.loc["likert", "n_missing"] == SURVEY["likert"].isna().sum()
    assert set(profile.index) == {*QUESTIONS, "age", "when"}
    outside = read(warehouse, OUTSIDE)
    ages = outside[outside["source_column"] == "age"]
    assert ages["number"].tolist() == SURVEY["age"].tolist()
    assert ages["value"].tolist() == SURVEY["age"].astype(str).tolist()
    assert outside[outside["source_column"] == "when"]["value"].str.startswith("2020-05-01").all()


def test_every_kind_of_source_gives_the_same(
    tmp_path: Path, spark: SparkSession, warehouse: Warehouse, prepare: Prepare
) -> None:
    frame = spark.createDataFrame(SURVEY.replace({np.nan: None}))
    frame.write.format("delta").save(f"{tmp_path}/delta")
    frame.write.mode("overwrite").format("delta").saveAsTable("survey_of_test")
    SURVEY.to_csv(tmp_path / "survey.csv", index=False)
    shuffled = SURVEY.sample(frac=1, random_state=0)
    (tmp_path / "parts").mkdir()
    for i, rows in enumerate(np.array_split(np.arange(N), 7)):
        parquet(tmp_path / "parts", shuffled.iloc[rows], f"{i}.parquet")
    found = []
    for path in ("delta", "survey.csv", "parts"):
        found.append(prepare(tmp_path / path, *SETTINGS).version)
    found.append(prepare("survey_of_test", *SETTINGS).version)
    assert found == [1, 2, 3, 4]
    for table in (FEATURES, QUESTION_MAP, FEATURE_MAP):
        first = read(warehouse, table, 1)
        for version in found[1:]:
            pd.testing.assert_frame_equal(read(warehouse, table, version), first)


def test_the_same_input_is_not_prepared_twice(tmp_path: Path, prepare: Prepare) -> None:
    path = parquet(tmp_path, SURVEY)
    assert prepare(path, *SETTINGS) == Result(1, reused=False)
    assert prepare(path, *SETTINGS, "zoom.max_depth=1") == Result(1, reused=True)
    assert prepare(path, *SETTINGS, "input.exclude=[height]") == Result(2, reused=False)
    parquet(tmp_path, SURVEY.assign(height=1.5 * SURVEY["height"]))
    assert prepare(path, *SETTINGS) == Result(3, reused=False)


def test_names_may_be_anything_and_ids_become_plain_text(
    tmp_path: Path, warehouse: Warehouse, prepare: Prepare
) -> None:
    names = ["a.b", "select", "tick`tock", "two words", "🙂"]
    frame = pd.DataFrame({name: np.arange(40) % 3 for name in names})
    frame.insert(0, "the id.`", np.arange(40) + 1000.0)
    frame["row_id"] = np.arange(40) % 2
    settings = ("input.id='the id.`'", "input.outside=['a.b']")
    prepare(parquet(tmp_path, frame), *settings)
    assert read(warehouse, QUESTION_MAP)["source_column"].tolist() == [*names[1:], "row_id"]
    assert set(read(warehouse, OUTSIDE)["source_column"]) == {"a.b"}
    assert read(warehouse, FEATURES)["row_id"].tolist()[:2] == ["1000", "1001"]


def test_a_codebook_is_used_and_what_is_dropped_is_told_in_the_profile(
    tmp_path: Path, warehouse: Warehouse, prepare: Prepare
) -> None:
    book = tmp_path / "book.yaml"
    book.write_text(
        "questions: {likert: {question: How good, levels: {3: good, 2: fair, 1: bad}}, "
        "height: {kind: numeric, unit: cm, missing_codes: [170]}}"
    )
    frame = SURVEY.assign(same=1, void=pd.Series([None] * N, dtype=float), number=range(N))
    prepare(parquet(tmp_path, frame), *SETTINGS, f"input.codebook={book}")
    questions = read(warehouse, QUESTION_MAP).set_index("source_column")
    assert questions.loc["likert", "question"] == "How good"
    assert questions.loc["likert", "levels"].tolist() == ["3", "2", "1"]
    assert questions.loc["likert", "labels"].tolist() == ["good", "fair", "bad"]
    assert questions.loc["likert", "codes"].tolist() == [3.0, 2.0, 1.0]
    assert questions.loc["height", "unit"] == "cm"
    reasons = read(warehouse, PROFILE).set_index("source_column")["dropped_reason"]
    assert "constant" in reasons["same"]
    assert "no answers" in reasons["void"]
    assert "row number" in reasons["number"]
    assert reasons["likert"] is None


def test_rows_that_are_all_alike_are_no_error(
    tmp_path: Path, warehouse: Warehouse, prepare: Prepare
) -> None:
    prepare(parquet(tmp_path, pd.DataFrame({"uid": range(20), "x": 1, "y": "a"})), "input.id=uid")
    assert read(warehouse, FEATURES)["features"].map(len).eq(0).all()
    assert read(warehouse, PROFILE)["kind"].tolist() == ["ignored", "ignored"]


def test_wide_tables_and_scaling_none(
    tmp_path: Path, warehouse: Warehouse, prepare: Prepare, compiled: None
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 800)).astype(np.uint8)
    frame = pd.DataFrame(pixels, columns=[f"p{i}" for i in range(800)])
    frame.insert(0, "uid", range(60))
    prepare(parquet(tmp_path, frame), "input.id=uid", "prepare.scaling=none")
    found = read(warehouse, FEATURES)
    order = found["row_id"].astype(int).to_numpy()
    assert np.array_equal(np.stack(found["features"]), pixels[order])
    assert np.array_equal(np.stack(found["answers"]), pixels[order])


def events(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[:3], frame.iloc[:1]])


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        (lambda f: f, ("input.id=null",), "is not set"),
        (lambda f: f, ("input.id=uuid",), "did you mean 'uid'?"),
        (lambda f: f, ("input.weight=ww",), "did you mean 'w'?"),
        (lambda f: f, ("input.outside=[agee]",), "did you mean 'age'?"),
        (lambda f: f, ("input.exclude=[tow]",), "did you mean 'town'?"),
        (lambda f: f, ("input.exclude=[age]",), "input.outside and in input.exclude"),
        (lambda f: f.iloc[:0], (), "has no rows"),
        (lambda f: f.assign(uid=f["uid"].where(f["uid"] > 1003)), (), "4 of 300 rows have no id"),
        (events, (), "3 ids stand more than once ('1000' 3 times"),
        (lambda f: f.assign(height=np.inf), (), "300 of 300 values are infinite"),
        (lambda f: f.assign(w=-f["w"]), (), "goes down to -1.5"),
        (lambda f: f.assign(w=0.0), (), "0 in every row"),
        (lambda f: f.assign(w=None), (), "300 of 300 rows have none"),
        (lambda f: f.assign(w="much"), (), "such as 'much'"),
        (lambda f: f[["uid", "w", "age", "when"]], (), "no column is left"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_is_written(
    tmp_path: Path,
    warehouse: Warehouse,
    prepare: Prepare,
    change: Callable[[pd.DataFrame], pd.DataFrame],
    settings: tuple[str, ...],
    said: str,
) -> None:
    path = parquet(tmp_path, change(SURVEY))
    with pytest.raises(InputError) as caught:
        prepare(path, *SETTINGS, *settings)
    assert said in str(caught.value)
    assert caught.value.exit_status == 3
    assert not warehouse.exists(FEATURES.name)
    assert not warehouse.exists(PROFILE.name)


def test_the_sql_for_events_runs_and_mends_the_table(
    tmp_path: Path, spark: SparkSession, prepare: Prepare
) -> None:
    awkward = events(SURVEY.drop(columns="when")).rename(columns={"uid": "the `id"})
    for path in (parquet(tmp_path, awkward), tmp_path / "events.csv"):
        awkward.to_csv(tmp_path / "events.csv", index=False)
        with pytest.raises(InputError) as caught:
            prepare(path, "input.id='the `id'")
        statements = caught.value.remedy.partition(": ")[2].split("; ")
        rolled: DataFrame | None = None
        for statement in statements:
            rolled = spark.sql(statement)
        assert rolled is not None
        spark.catalog.dropTempView("events")
        rolled.write.mode("overwrite").parquet(f"{tmp_path}/rolled")
        mended = pd.read_parquet(tmp_path / "rolled")
        assert len(mended) == N and mended["the `id"].is_unique
    prepare(f"{tmp_path}/rolled", "input.id='the `id'", "input.exclude=[n_rows]")


@pytest.mark.parametrize("path", ["{tmp}/nothing.parquet", "{tmp}/nothing", "no_such_table", "a.b"])
def test_a_table_that_is_not_there(tmp_path: Path, prepare: Prepare, path: str) -> None:
    with pytest.raises(InputError, match="there is no such table"):
        prepare(path.format(tmp=tmp_path), *SETTINGS)


def test_a_file_that_is_no_table(tmp_path: Path, prepare: Prepare) -> None:
    (tmp_path / "survey.parquet").write_text("not a table")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        prepare(tmp_path / "survey.parquet", *SETTINGS)


def test_text_where_the_codebook_says_numeric(tmp_path: Path, prepare: Prepare) -> None:
    book = tmp_path / "book.yaml"
    book.write_text("questions: {town: {kind: numeric}}")
    with pytest.raises(InputError, match="300 of 300 values are no numbers, such as 'a'"):
        prepare(parquet(tmp_path, SURVEY), *SETTINGS, f"input.codebook={book}")
    book.write_text("questions: {town: {knd: numeric}}")
    with pytest.raises(ConfigError, match="knd"):
        prepare(parquet(tmp_path, SURVEY), *SETTINGS, f"input.codebook={book}")
    book.write_text("questions: {twon: {kind: nominal}}")
    with pytest.raises(InputError, match="did you mean 'town'"):
        prepare(parquet(tmp_path, SURVEY), *SETTINGS, f"input.codebook={book}")
