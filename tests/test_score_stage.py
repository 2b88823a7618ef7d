"""`reclust score` on Spark: people into the tree by its models, a row at a time, or not at all."""

from __future__ import annotations

import importlib.util
import json
import logging
import pickle
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import functions as F

from reclust_spark.explain import stage as explain
from reclust_spark.onevsall.predict import digest_of
from reclust_spark.score import stage as score
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    CLUSTER_SIZES,
    METRICS,
    MODELS,
    NODES,
    SCORES,
    TREE,
)
from reclust_spark.warehouse.tables import Warehouse
from tests.test_explain_stage import (
    CODEBOOK,
    config_of,
    copied,
    last_run,
    planted,
    planted_survey,
    rows_of,
    run,
    settings_of,
)

LOG = "reclust_spark.score.stage"
PLACE = ["path", "depth", "is_noise", "probability"]
QUESTIONS = [name for name in planted_survey() if name not in ("w", "vote", "uid")]


@pytest.fixture(scope="module")
def explained(spark, tmp_path_factory) -> Warehouse:
    return planted("explained", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def scored(spark, tmp_path_factory) -> Warehouse:
    return planted("scored", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def refusing(explained, tmp_path_factory) -> Warehouse:
    """A warehouse in which nobody has ever been scored."""
    return copied(explained, tmp_path_factory.mktemp("refusing"))


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    return planted_survey()


@pytest.fixture(scope="module")
def expected(scored) -> pd.DataFrame:
    """Where the survey's people were placed, by their id."""
    return rows_of(scored, SCORES).set_index("row_id")[PLACE]


@pytest.fixture(scope="module")
def exported(explained, tmp_path_factory):
    """The scorer of the exported folder, from the code that lies in it."""
    folder = tmp_path_factory.mktemp("export") / "tree"
    score.export(explained, None, str(folder))
    spec = importlib.util.spec_from_file_location("exported_predict", folder / "predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Scorer.load(folder)


@pytest.fixture
def score_it(reclust, tmp_path):
    """Score a frame; return the exit status, and what was said on standard error."""

    def command(warehouse: Warehouse, people: pd.DataFrame, *more: str) -> tuple[int, str]:
        people.to_parquet(tmp_path / "people.parquet")
        settings = settings_of(warehouse, f"score.input={tmp_path}/people.parquet", *more)
        status, _, said = reclust(warehouse, "score", settings=settings)
        return status, said

    return command


@pytest.fixture
def place(scored, tmp_path, caplog):
    """Score a frame or a view through the stage; return places by id, and the warnings."""
    warehouse = copied(scored, tmp_path)

    def scores(people: pd.DataFrame | str, *more: str) -> tuple[pd.DataFrame, list[str]]:
        name = people
        if not isinstance(people, str):
            name = f"{tmp_path}/people-{len(list(tmp_path.glob('people-*')))}.parquet"
            people.to_parquet(name)
        with caplog.at_level(logging.WARNING, LOG):
            run(score, warehouse, config_of(warehouse, f"score.input={name}", *more))
        said = [record.getMessage() for record in caplog.records if record.name == LOG]
        caplog.clear()
        rows = rows_of(warehouse, SCORES)
        return rows[rows.input_table == name].set_index("row_id")[PLACE], said

    return scores


def other_codebook(tmp_path: Path) -> str:
    (tmp_path / "other.yaml").write_text(CODEBOOK.replace("unit: years", "unit: months"))
    return f"input.codebook={tmp_path}/other.yaml"


# ---- the tables


def test_the_models_place_most_people_where_the_fit_did(scored, expected):
    fit = rows_of(scored, ASSIGNMENTS).set_index("row_id")
    assert sorted(fit.index) == sorted(expected.index)
    same = (fit.path == expected.path) & (fit.is_noise == expected.is_noise)
    assert same.mean() >= 0.9
    assert (expected.depth == expected.path.str.count("/") - 1).all()
    assert expected.probability.between(0, 1).all()
    assert (expected.probability[expected.path == "/"] == 1).all()


def test_sizes_add_up_from_the_leaves_to_everyone(scored, survey):
    sizes = rows_of(scored, CLUSTER_SIZES).set_index("path")
    nodes = rows_of(scored, NODES).set_index("path")
    scores = rows_of(scored, SCORES)
    assert sorted(sizes.index) == sorted(nodes.index)
    assert (sizes.n["/"], sizes.share["/"]) == (len(survey), 1.0)
    assert sizes.weight["/"] == pytest.approx(survey.w.sum())
    for path in nodes.index[nodes.n_children > 0]:
        children = nodes.index[nodes.parent_path == path]
        noise = scores[(scores.path == path) & scores.is_noise]
        assert sizes.n[path] == sizes.n[children].sum() + len(noise)
        weight = sizes.weight[children].sum() + noise.weight.sum()
        assert sizes.weight[path] == pytest.approx(weight)
    assert sizes.share.to_numpy() == pytest.approx(sizes.weight / survey.w.sum())
    assert (sizes.share - sizes.n / len(survey)).abs().max() > 1e-4, "shares are weighted"


def test_the_same_again_is_reused_and_other_models_replace_its_rows(scored, tmp_path):
    warehouse, tables = copied(scored, tmp_path), (SCORES, CLUSTER_SIZES, METRICS)
    before = [warehouse.delta_version(table) for table in tables]
    first = rows_of(warehouse, SCORES)
    assert run(score, warehouse, config_of(warehouse)).reused
    assert last_run(warehouse, "score").status == "reused"
    assert [warehouse.delta_version(table) for table in tables] == before
    coarse = config_of(warehouse, "explain.n_estimators=1", "explain.max_depth=1")
    run(explain, warehouse, coarse)
    assert not run(score, warehouse, coarse).reused
    again = rows_of(warehouse, SCORES)
    assert again.row_id.tolist() == first.row_id.tolist(), "replaced, not added"
    assert not set(again.run_id) & set(first.run_id)
    assert (again.probability != first.probability).any()
    sizes = warehouse.read(CLUSTER_SIZES)
    assert sizes.count() == warehouse.read(NODES).count()
    assert {row.run_id for row in sizes.collect()} == set(again.run_id)


def test_another_table_adds_rows_and_leaves_those_that_are_there(scored, survey, tmp_path):
    warehouse, folder = copied(scored, tmp_path), tmp_path / "it's new"
    folder.mkdir()
    newcomers = survey.iloc[:25].assign(uid=range(25)).drop(columns="w")
    newcomers.to_parquet(folder / "people.parquet")
    config = config_of(warehouse, f"score.input={folder}/people.parquet")
    for reused in (False, True):
        assert run(score, warehouse, config).reused == reused
    rows = rows_of(warehouse, SCORES)
    new = rows.input_table == str(folder / "people.parquet")
    assert new.sum() == 25
    pd.testing.assert_frame_equal(
        rows[~new].reset_index(drop=True), rows_of(scored, SCORES), check_like=True
    )
    sizes = rows_of(warehouse, CLUSTER_SIZES)
    whole = sizes[sizes.path == "/"].set_index("input_table")
    assert sorted(whole.n) == [25, len(survey)]
    assert whole.weight[str(folder / "people.parquet")] == 25, "without weights everyone counts 1"


# ---- a row at a time


def test_a_person_is_placed_alike_whoever_stands_beside_them(
    spark, scored, survey, expected, place
):
    assert len(spark.read.parquet(config_of(scored).input.path).inputFiles()) == 1, "as expected is"
    people, batch = spark.createDataFrame(survey), "spark.sql.execution.arrow.maxRecordsPerBatch"
    people.orderBy(F.rand(3)).repartition(7).createOrReplaceTempView("in_seven_parts")
    assert spark.table("in_seven_parts").rdd.getNumPartitions() == 7
    alone, usual = "p0123", spark.conf.get(batch)
    people.where(f"uid = '{alone}'").createOrReplaceTempView("alone")
    spark.conf.set(batch, "11")
    try:
        seven, _ = place("in_seven_parts")
    finally:
        spark.conf.set(batch, usual)
    pd.testing.assert_frame_equal(seven, expected)
    pd.testing.assert_frame_equal(place("alone")[0], expected.loc[[alone]])


def messy(survey: pd.DataFrame) -> pd.DataFrame:
    """A hundred people with gaps, a level never seen, one without any answer, and more columns."""
    people = survey.iloc[::8].reset_index(drop=True)
    rng = np.random.default_rng(1)
    for name in QUESTIONS:
        people[name] = people[name].astype(object).where(rng.random(len(people)) > 0.2, None)
    people["member"] = people.member.astype("boolean")
    people[["tv", "radio", "web"]] = people[["tv", "radio", "web"]].astype("Int64")
    numbers = [name for name in QUESTIONS if survey[name].dtype == float]
    people[numbers] = people[numbers].astype(float)
    people.loc[5, QUESTIONS] = None
    people.loc[7, "town"] = "atlantis"
    return people.assign(
        when=datetime(2024, 2, 29), notes="none", many=[[1, 2]] * len(people)
    ).reindex(columns=sorted([*people.columns, "when", "notes", "many"], reverse=True))


def assert_left_out_is_said_once(people, batch, said):
    """No answer of these is an error: it is left out of account, and that is said."""
    extra, unknown, silent = said
    assert "3 columns are no questions of the tree and are ignored" in extra
    assert all(name in extra for name in ("when", "notes", "many")) and "vote" not in extra
    assert "'town' holds unknown levels (1 rows, such as 'atlantis')" in unknown
    assert "1 people gave no answer" in silent
    assert batch.loc[people.uid[5]].tolist() == ["/", 0, True, 1.0]


def test_table_function_and_export_place_people_alike(
    spark, explained, survey, place, exported, tmp_path
):
    people = messy(survey)
    batch, said = place(people)
    assert_left_out_is_said_once(people, batch, said)
    assert len(batch) == len(people) and batch.path.nunique() > 3
    assert batch.is_noise.any() and not batch.is_noise.all()
    score.register(spark, explained.place)
    spark.read.parquet(f"{tmp_path}/people-0.parquet").createOrReplaceTempView("people")
    query = "SELECT uid, reclust_score(struct(*)) AS s FROM people"
    by_function = spark.sql(f"SELECT uid, s.* FROM ({query})").toPandas()
    assert spark.sql("SELECT reclust_score(struct(*)).path FROM people").count() == len(people)
    with pytest.warns(UserWarning, match="atlantis"):
        by_pandas = exported.score(people, id="uid")
    with pytest.warns(UserWarning, match="atlantis"):
        by_arrow = exported.score(pa.Table.from_pandas(people), id="uid").to_pandas()
    for found in (by_function, by_pandas, by_arrow):
        found = found.set_index("uid").sort_index().rename_axis("row_id")
        pd.testing.assert_frame_equal(found[PLACE], batch)


def test_a_csv_is_scored_as_the_same_table_in_parquet(survey, expected, place, tmp_path):
    survey.to_csv(tmp_path / "survey.csv", index=False)
    places, said = place(f"{tmp_path}/survey.csv")
    pd.testing.assert_frame_equal(places, expected)
    assert not said


# ---- what does not fit


def changed(survey: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "missing column":
        return survey.drop(columns="rooms")
    if how == "unknown level":
        return survey.assign(town=survey.town.where(survey.index % 3 > 0, "atlantis"))
    if how == "text":
        return survey.assign(hours=survey.hours.astype(str).where(survey.index % 3 > 0, "many"))
    if how == "other numbers":
        return survey.assign(hours=survey.hours * 12)
    return survey


MISFITS = [
    ("missing column", "'rooms' is not in the table"),
    ("unknown level", "'town' holds unknown levels (264 rows, such as 'atlantis')"),
    ("text", "'hours' holds texts, not numbers (264 rows, such as 'many')"),
    ("other numbers", "'hours' is in other units, it seems"),
    ("other unit", "'age' is in months, the tree's in years"),
]


@pytest.mark.parametrize(("how", "told"), MISFITS, ids=[how for how, _ in MISFITS])
def test_what_does_not_fit_is_refused_where_that_is_wished(
    how, told, refusing, survey, score_it, tmp_path, caplog
):
    more = ["score.unknown=error"] + ([other_codebook(tmp_path)] if how == "other unit" else [])
    with caplog.at_level(logging.WARNING, LOG):
        status, said = score_it(refusing, changed(survey, how), *more)
    assert status == 3
    assert not [text for text in caplog.messages if "no questions of the tree" in text]
    assert_four_facts(said, f"column {told}")
    assert "score.unknown=missing" in said
    assert not refusing.exists(SCORES.name), "nothing is written"


def test_what_does_not_fit_is_taken_for_no_answer_else(survey, place, tmp_path):
    people, told = survey, []
    for how, words in MISFITS:
        if how != "other numbers":
            people, told = changed(people, how), [*told, words]
    places, said = place(people, other_codebook(tmp_path))
    (misfit,) = [text for text in said if "does not fit" in text]
    assert all(f"column {words}" in misfit for words in told)
    gone = survey.assign(
        town=survey.town.where(people.town != "atlantis"),
        hours=survey.hours.where(people.hours != "many"),
        age=np.nan,
        rooms=np.nan,
    )
    without, warned = place(gone)
    assert not warned
    pd.testing.assert_frame_equal(places, without)


def test_numbers_in_other_units_are_taken_for_no_answer(survey, place, exported):
    places, said = place(changed(survey, "other numbers"))
    assert len(said) == 1 and "'hours' is in other units" in said[0]
    gone = exported.score(survey.assign(hours=np.nan), id="uid").set_index("uid")
    pd.testing.assert_frame_equal(places, gone[PLACE].sort_index().rename_axis("row_id"))


# ---- what cannot be scored


def broken(survey: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "empty":
        return survey.iloc[:0]
    if how == "no id":
        return survey.drop(columns="uid")
    if how == "null ids":
        return survey.assign(uid=survey.uid.where(survey.index % 100 > 0))
    if how == "events":
        return pd.concat([survey, survey.iloc[:40]])
    if how == "no questions":
        return survey[["uid", "w", "vote"]]
    weights = {"null weight": np.nan, "negative weight": -1.0}[how]
    return survey.assign(w=survey.w.where(survey.index != 7, weights))


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("empty", "has no rows"),
        ("no id", "column 'uid' is not in the table"),
        ("null ids", "8 of 790 rows have no id"),
        ("events", "40 ids stand more than once"),
        ("no questions", "has no column of the questionnaire"),
        ("null weight", "weight column 'w': 1 rows hold no number"),
        ("negative weight", "weight column 'w': 1 rows hold no number"),
    ],
)
def test_a_table_that_cannot_be_scored_ends_with_3(how, found, refusing, survey, score_it):
    status, said = score_it(refusing, broken(survey, how))
    assert status == 3
    assert_four_facts(said, found)
    assert not refusing.exists(SCORES.name), "nothing is written"
    assert last_run(refusing, "score").status == "failed"


def damaged(models: pd.DataFrame, how: str) -> tuple[pd.DataFrame, str]:
    """Return the models table with something wrong, and the cluster whose model it is."""
    models, path, other = models.set_index("path"), "/001/002/", "/001/001/"
    if how == "missing":
        return models.drop(index=path).reset_index(), path
    blob = models.model[path]
    if how == "another's":
        blob = models.model[other]
    if how == "truncated":
        blob = blob[: len(blob) // 2]
    if how.startswith("pickle"):
        blob = pickle.dumps({"model": "trust me"})
    models.at[path, "model"] = blob
    if how in ("another's", "pickle with its digest"):
        models.at[path, "digest"] = digest_of(blob)
    return models.reset_index(), path


@pytest.mark.parametrize(
    "how", ["missing", "truncated", "pickle", "pickle with its digest", "another's"]
)
def test_a_model_that_cannot_be_used_is_named(how, explained, survey, score_it, tmp_path):
    warehouse = copied(explained, tmp_path)
    folder = Path(warehouse.place, MODELS.name)
    table = DeltaTable(folder).to_pyarrow_table()
    models, path = damaged(table.to_pandas(), how)
    shutil.rmtree(folder)
    rows = pa.Table.from_pandas(models, table.schema, preserve_index=False)
    write_deltalake(folder, rows, partition_by=[TREE])
    read_at = json.loads(last_run(warehouse, "explain").output_versions)[MODELS.name]
    assert read_at == DeltaTable(folder).version(), "what is read is what was damaged"
    status, said = score_it(warehouse, survey)
    assert status == 3
    assert_four_facts(said, f"the model of {path}")
    assert str(folder) in said and "reclust explain" in said
    assert not warehouse.exists(SCORES.name)


def assert_four_facts(said: str, found: str) -> None:
    assert "error: " in said and found in said, said
    assert "\n  allowed: " in said and "\n  remedy:  " in said
    assert "Traceback" not in said
