"""`reclust explain` on Spark, and what people ask of it: show, label, tree.

The planted survey and its warehouses are those of the tests of score as well.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from reclust_spark.config import Config, load_config
from reclust_spark.explain import stage as explain
from reclust_spark.explain.stage import read_labels
from reclust_spark.onevsall.folds import TEST, deal_folds
from reclust_spark.onevsall.predict import Scorer, read_people
from reclust_spark.prepare import stage as prepare
from reclust_spark.score import stage as score
from reclust_spark.score.stage import read_models
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    CONFUSION,
    EXPLANATIONS,
    FEATURES,
    LABELS,
    METRICS,
    MODELS,
    NODES,
    PREPARED,
    RUNS,
    SCORES,
    SHAP_VALUES,
    TREE,
)
from reclust_spark.warehouse.runs import Ledger, choose_tree
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom import stage as zoom

QUICK = (
    "zoom.n_neighbors=15",
    "zoom.n_epochs=60",
    "zoom.max_depth=2",
    "zoom.root_min_cluster_size=200",
    "zoom.min_cluster_size=80",
)
SEEN = 400
LIMITED = f"explain.max_fit_rows={SEEN * 3 // 5}"
TOGETHER = ("explain.max_fit_rows=null", "explain.max_task_rows=500")
BARRIER = "reclust_spark.explain.barrier"
WRITTEN = (MODELS, CONFUSION, EXPLANATIONS, SHAP_VALUES, LABELS)
GIVEN = "the valley"
CODEBOOK = """
questions:
  age: {question: "How old are you?", short: age, unit: years}
  hours: "How many hours do you work in a week?"
  trust: {question: "Do you trust others?", missing_codes: [9]}
  faith:
    question: "How often do you pray?"
    levels: {1: never, 2: seldom, 3: sometimes, 4: often, 5: daily}
  town: "Where do you live?"
blocks:
  news:
    question: "Where do you get your news?"
    columns: {tv: television, radio: radio, web: the web}
"""


def planted_survey() -> pd.DataFrame:
    """Three groups, the first of two halves, and a few people who answer like anyone."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(5), [140, 140, 240, 240, 30])
    n, stray = len(group), group == 4

    def around(centres, spread):
        return np.array([*centres, 0.0])[group] + spread * rng.normal(size=n)

    def scale(centres):
        return np.clip(np.rint(around(centres, 0.3)), 1, 5)

    def often(words, share, others):
        own = np.array([*words, others[-1]])[group]
        return np.where(rng.random(n) < share, own, rng.choice(others, n))

    def chosen(shares):
        return rng.random(n) < np.array([*shares, 0.5])[group]

    people = pd.DataFrame(
        {
            "age": around([30, 30, 50, 70], 3),
            "hours": around([40, 40, 10, 25], 3),
            "income": around([6.5, 7.3, 4, 10], 0.35),
            "sleep": around([6, 6, 7.5, 9], 0.3),
            "rooms": around([2, 2.8, 6.5, 4.5], 0.35),
            "trips": around([5, 5, 1, 9], 0.7),
            "trust": scale([1, 1, 5, 3]),
            "order": scale([5, 5, 3, 1]),
            "faith": scale([2, 3, 5, 1]),
            "town": often(["port", "port", "hill", "dale"], 0.95, ["port", "hill", "dale", "moor"]),
            "car": often(["yes", "yes", "no", "yes"], 0.97, ["yes", "no"]),
            "member": chosen([1, 1, 0, 0]),
            "tv": chosen([0.02, 0.02, 0.98, 0.02]).astype(int),
            "radio": chosen([0.02, 0.02, 0.98, 0.98]).astype(int),
            "web": chosen([0.98, 0.98, 0.02, 0.02]).astype(int),
        }
    )
    for name in people:
        people.loc[stray, name] = rng.permutation(people.loc[~stray, name])[: stray.sum()]
    for name in ("age", "trust", "town", "car"):
        people.loc[rng.random(n) < 0.05, name] = None
    people.loc[rng.random(n) < 0.03, "trust"] = 9
    return people.assign(
        w=rng.uniform(0.5, 2, n),
        vote=rng.choice(["x", "y"], n),
        uid=[f"p{i:04d}" for i in range(n)],
    )


_home: list[Path] = []
"""Where the planted survey and its warehouses are, once there are any."""


def planted(
    stage: str, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Warehouse]:
    """Return the planted survey's folder, and its warehouse as a stage left it: not to be changed.

    zoomed, explained, and of that scored; limited: a name given, explained again with fewer
    people. Each is made once in a session.
    """
    if not _home:
        _home.append(tmp_path_factory.mktemp("planted"))
        planted_survey().to_parquet(_home[0] / "survey.parquet")
        (_home[0] / "codebook.yaml").write_text(CODEBOOK)
    place = _home[0] / stage
    warehouse = Warehouse(spark, str(place))
    if place.exists():
        return _home[0], warehouse
    before = {"explained": "zoomed", "scored": "explained", "limited": "explained"}
    if stage in before:
        shutil.copytree(planted(before[stage], spark, tmp_path_factory)[1].place, place)
    config = config_of(warehouse)
    if stage == "zoomed":
        run(prepare, warehouse, config)
        run(zoom, warehouse, config_of(warehouse, *QUICK))
    if stage == "explained":
        run(explain, warehouse, config)
    if stage == "scored":
        run(score, warehouse, config)
    if stage == "limited":
        explain.set_label(warehouse, None, "/002/", GIVEN)
        run(explain, warehouse, config_of(warehouse, LIMITED))
    return _home[0], warehouse


def settings_of(warehouse: Warehouse, *more: str) -> list[str]:
    survey = [
        f"warehouse={warehouse.place}",
        f"input.path={_home[0]}/survey.parquet",
        f"input.codebook={_home[0]}/codebook.yaml",
        "input.id=uid",
        "input.weight=w",
        "input.outside=vote",
    ]
    return [*survey, *more]


def config_of(warehouse: Warehouse, *more: str) -> Config:
    return load_config(settings=settings_of(warehouse, *more), environment={})


def run(stage, warehouse: Warehouse, config: Config):
    return stage.run(warehouse, config, Ledger(warehouse, config))


def copied(warehouse: Warehouse, tmp_path: Path) -> Warehouse:
    """A copy of a warehouse for a test to change."""
    place = tmp_path / "warehouse"
    shutil.copytree(warehouse.place, place)
    return Warehouse(warehouse.spark, str(place))


def rows_of(warehouse: Warehouse, table, version: int = 1) -> pd.DataFrame:
    frame = warehouse.read(table, version).toPandas()
    keys = [key for key in (*table.key, "rank") if key in frame]
    return frame.sort_values(keys, ignore_index=True)


def last_run(warehouse: Warehouse, stage: str):
    runs = warehouse.read(RUNS).where(F.col("stage") == stage)
    return runs.orderBy(F.desc("finished_at")).first()


def answers_of(warehouse: Warehouse, people: pd.DataFrame):
    """Return a tree's scorer, and the inputs of people to it."""
    models = read_models(warehouse, choose_tree(warehouse, None))
    table = pa.Table.from_pandas(people, preserve_index=False)
    read = read_people(table, models.questions)
    assert not read.mismatches
    return Scorer(models.questions, models.models), read.inputs


@pytest.fixture(scope="module")
def zoomed(spark, tmp_path_factory) -> Warehouse:
    return planted("zoomed", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def explained(spark, tmp_path_factory) -> Warehouse:
    return planted("explained", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def limited(spark, tmp_path_factory) -> Warehouse:
    return planted("limited", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    return planted_survey()


@pytest.fixture(scope="module")
def two_trees(zoomed, tmp_path_factory) -> Warehouse:
    """The survey's tree, and a newer one of one node; neither is explained."""
    warehouse = copied(zoomed, tmp_path_factory.mktemp("two_trees"))
    result = run(zoom, warehouse, config_of(warehouse, *QUICK, "zoom.max_depth=0"))
    assert result.version == 2
    return warehouse


def test_every_child_of_a_split_node_is_explained_and_nothing_else(explained):
    nodes = rows_of(explained, NODES)
    splits = set(nodes.path[nodes.n_children > 0])
    children = nodes[nodes.parent_path.notna()]
    assert splits > {"/"} and len(splits) < len(children), "two levels, of which some are leaves"
    assert set(children.parent_path) == splits
    parents = dict(zip(children.path, children.parent_path, strict=True))
    models = rows_of(explained, MODELS)
    assert dict(zip(models.path, models.parent_path, strict=True)) == parents
    assert set(rows_of(explained, EXPLANATIONS).path) == set(parents)
    assert set(rows_of(explained, SHAP_VALUES).path) == set(parents)
    labels = rows_of(explained, LABELS)
    assert sorted(labels.path) == sorted(nodes.path) and set(labels.source) == {"model"}
    assert labels.label.str.strip().str.len().between(1, 120).all()
    confusion = rows_of(explained, CONFUSION)
    for split, rows in confusion.groupby("parent_path"):
        siblings = {path for path, above in parents.items() if above == split}
        assert set(rows.other_path) == siblings | {split}, "noise goes by the node's own path"
        assert siblings <= set(rows.path) <= siblings | {split}
        assert rows.groupby("path").share.sum().to_numpy() == pytest.approx(1.0)
        assert {rows.n.sum()} == set(models.n_test[models.parent_path == split])
    assert set(confusion.parent_path) == splits


def test_only_questions_are_explained_and_options_of_one_together(explained, survey):
    kept_out = {"uid", "w", "vote", "tv", "radio", "web"}
    asked = set(survey.columns) - kept_out | {"news"}
    rows = rows_of(explained, EXPLANATIONS)
    assert set(rows.source_column) <= asked
    assert set(rows_of(explained, SHAP_VALUES).source_column) <= asked
    texts = dict(zip(rows.source_column, rows.question, strict=True))
    assert texts["news"] == "Where do you get your news?" and texts["income"] == "income"


def test_ranks_start_at_one_and_importance_falls_with_them(explained):
    for path, rows in rows_of(explained, EXPLANATIONS).groupby("path"):
        rows = rows.sort_values("rank")
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1)), path
        assert rows.mean_abs_shap.is_monotonic_decreasing and rows.mean_abs_shap.min() > 0


def test_the_populations_answer_is_the_weighted_typical_one_wherever_it_stands(explained, survey):
    rows = rows_of(explained, EXPLANATIONS)
    assert (rows.groupby("source_column").population_value.nunique(dropna=False) == 1).all()
    below_root = rows[rows.path.str.count("/") == 2]
    assert (below_root.parent_value == below_root.population_value).all()
    found = dict(zip(rows.source_column, rows.population_value, strict=True))
    assert found["town"] == survey.groupby("town").w.sum().idxmax()
    half = survey.dropna(subset="age").sort_values("age")
    median = half.age[half.w.cumsum() >= half.w.sum() / 2].iloc[0]
    assert found["age"] == f"{median:.3g} years"
    faith = survey.groupby("faith").w.sum().cumsum() / survey.w.sum()
    words = {1.0: "never", 2.0: "seldom", 3.0: "sometimes", 4.0: "often", 5.0: "daily"}
    assert found["faith"] == words[faith.index[faith >= 0.5][0]]


def test_plain_xgboost_reads_the_models_and_finds_the_clusters_people(explained, survey):
    _, inputs = answers_of(explained, survey)
    places = rows_of(explained, ASSIGNMENTS).set_index("row_id").path.loc[survey.uid]
    for row in rows_of(explained, MODELS).itertuples():
        booster = xgboost.Booster(model_file=bytearray(row.model))
        assert booster.num_features() == inputs.shape[1]
        among = places.str.startswith(row.parent_path).to_numpy()
        types = booster.feature_types
        matrix = xgboost.DMatrix(inputs[among], feature_types=types, enable_categorical=True)
        inside = places[among].str.startswith(row.path).to_numpy()
        chance = booster.predict(matrix)
        assert np.median(chance[inside]) > 0.8 and np.median(chance[~inside]) < 0.2, row.path


def by_hash(warehouse: Warehouse) -> pd.DataFrame:
    """The people of a tree in the order in which their nodes sample them."""
    order = F.xxhash64(F.lit(explain.HASH_SEED), F.col("row_id")).alias("hash")
    places = warehouse.read(ASSIGNMENTS, 1).select("row_id", "path", "is_noise", order).toPandas()
    return places.sort_values(["hash", "row_id"], ignore_index=True)


@pytest.mark.parametrize("which", ["explained", "limited"])
def test_agreement_by_depth_is_that_of_scoring_who_was_held_out(which, request, survey):
    """Held out at the root is held out below: else depth 2 would flatter those trained on."""
    warehouse = request.getfixturevalue(which)
    run_id = last_run(warehouse, "explain").run_id
    metrics = warehouse.read(METRICS).where(F.col("run_id") == run_id).toPandas()
    figures = {(row.path, row.name): row.value for row in metrics.itertuples(index=False)}
    seen = by_hash(warehouse)[: SEEN if which == "limited" else None]
    strata = (seen.path + seen.is_noise.map({True: "noise", False: ""})).to_numpy()
    held_out = seen[deal_folds(strata) == TEST]
    scorer, inputs = answers_of(warehouse, survey.set_index("uid", drop=False).loc[held_out.row_id])
    placed = scorer.place(inputs)
    same = (placed.path == held_out.path) & (placed.is_noise == held_out.is_noise)
    top = scorer.place(inputs, max_depth=1)
    same_top = (top.path == held_out.path.str[:5]) & (
        top.is_noise == (held_out.is_noise & (held_out.path == "/"))
    )
    assert figures["/", "agreement_depth_1"] == figures["/", "agreement"] == same_top.mean()
    assert figures["/", "agreement_depth_2"] == same.mean() > 0.85
    assert {path for path, name in figures if name == "agreement"} == set(
        rows_of(warehouse, MODELS).parent_path
    )


def test_a_node_trains_on_at_most_max_fit_rows_the_first_by_hash(explained, limited):
    models = rows_of(limited, MODELS)
    root = models[models.parent_path == "/"]
    # of five folds three are for training, one for testing, and one more is for tuning
    assert (root.n_train <= SEEN * 3 // 5 * 1.02).all()
    assert ((root.n_train + root.n_test) * 5 / 4 <= SEEN * 1.02).all()
    assert ((root.n_train + root.n_test) * 5 / 4 >= SEEN * 0.98).all()
    first = set(by_hash(limited).row_id[:SEEN])
    shap = rows_of(limited, SHAP_VALUES)
    assert set(shap.row_id[shap.path.isin(root.path)]) <= first
    below = models.path[models.parent_path != "/"]
    whole = rows_of(explained, MODELS).set_index("path").model
    assert len(below) and (models.set_index("path").model[below] == whole[below]).all(), (
        "a node of fewer people is not touched"
    )


def test_another_setting_replaces_the_rows_of_the_same_tree(explained, limited):
    assert last_run(limited, "explain").status == "complete"
    for table in (MODELS, EXPLANATIONS):
        assert limited.read(table).select(TREE).distinct().count() == 1
    before, after = rows_of(explained, MODELS), rows_of(limited, MODELS)
    assert after.path.tolist() == before.path.tolist()
    assert (after.model[after.parent_path == "/"] != before.model[before.parent_path == "/"]).all()


def test_explaining_again_keeps_the_analysts_name(limited):
    assert read_labels(limited, 1)["/002/"] == GIVEN
    labels = rows_of(limited, LABELS)
    assert labels[labels.path == "/002/"].source.tolist() == ["analyst", "model"]
    assert (labels.source == "model").sum() == limited.read(NODES, 1).count()
    given = labels[labels.source == "analyst"]
    assert given.author.str.len().gt(0).all()


def test_the_first_setting_again_makes_the_first_models_whatever_the_order_and_the_partitions(
    zoomed, explained, limited, tmp_path
):
    warehouse = copied(limited, tmp_path)
    for table in (FEATURES, ASSIGNMENTS):
        shutil.rmtree(f"{warehouse.place}/{table.name}")
        mixed = zoomed.read(table, 1).drop(PREPARED, TREE).orderBy(F.rand(7)).repartition(5)
        warehouse.write_version(table, mixed, 1)
        assert len(warehouse.read(table).inputFiles()) == 5
    config = config_of(warehouse)
    back = run(explain, warehouse, config)
    assert (back.version, back.reused) == (1, False), "the rows that were there are gone"
    same_tables(warehouse, explained)
    before = [warehouse.delta_version(table) for table in (*WRITTEN, METRICS)]
    again = run(explain, warehouse, config)
    assert again.reused and last_run(warehouse, "explain").status == "reused"
    assert [warehouse.delta_version(table) for table in (*WRITTEN, METRICS)] == before


def same_tables(one: Warehouse, other: Warehouse) -> None:
    for table in (MODELS, CONFUSION, EXPLANATIONS, SHAP_VALUES):
        pd.testing.assert_frame_equal(rows_of(one, table), rows_of(other, table))


def test_a_large_node_is_fitted_by_all_executors_and_places_people_alike(
    zoomed, explained, survey, tmp_path, caplog
):
    warehouse = copied(zoomed, tmp_path)
    with caplog.at_level(logging.INFO, BARRIER):
        run(explain, warehouse, config_of(warehouse, *TOGETHER))
    models, alone = (rows_of(place, MODELS) for place in (warehouse, explained))
    assert models.path.tolist() == alone.path.tolist()
    at_root = models.parent_path == "/"
    n = at_root.sum()
    said = [record.getMessage() for record in caplog.records if record.name == BARRIER]
    assert said == [f"child {k + 1} of {n} fitted on 2 workers" for k in range(n)]
    assert (models.auc - alone.auc).abs()[at_root].max() <= 0.02
    assert (models.model == alone.model)[~at_root].all(), "a small node is a task's as before"
    placed = []
    for place in (warehouse, explained):
        scorer, inputs = answers_of(place, survey)
        placed.append(scorer.place(inputs, max_depth=1))
    same = (placed[0].path == placed[1].path) & (placed[0].is_noise == placed[1].is_noise)
    assert same.mean() >= 0.9, "who is less sure than anyone seen is left by one and not the other"
    taken = ~(placed[0].is_noise | placed[1].is_noise)
    assert taken.mean() > 0.9 and same[taken].mean() >= 0.98


def test_a_tree_of_one_node_is_explained_shown_and_scored(two_trees, tmp_path, survey, reclust):
    warehouse = copied(two_trees, tmp_path)
    assert run(explain, warehouse, config_of(warehouse)).version == 2
    for table in (MODELS, CONFUSION, EXPLANATIONS, SHAP_VALUES):
        assert warehouse.read(table).count() == 0
    assert read_labels(warehouse, 2) == {"/": "everyone"}
    status, shown, _ = reclust(warehouse, "show", "/")
    assert status == 0
    assert f"{len(survey)} people, 100.0% of everyone" in shown and "everyone" in shown
    assert run(score, warehouse, config_of(warehouse)).version == 2
    scores = rows_of(warehouse, SCORES, 2)
    assert sorted(scores.row_id) == sorted(survey.uid)
    assert set(scores.path) == {"/"} and not scores.is_noise.any()
    assert (scores.probability == 1).all()


def test_show_before_explain_says_what_to_run(two_trees, reclust):
    status, _, said = reclust(two_trees, "show", "/")
    assert status == 3
    assert "has not been explained" in said and "reclust explain" in said


@pytest.mark.parametrize(
    "words",
    [("show", "/"), ("explain",), ("score",), ("export", "{}"), ("tree",), ("label", "/", "all")],
    ids=lambda words: words[0],
)
def test_a_tree_that_does_not_exist_ends_with_3_and_names_those_there_are(
    words, two_trees, reclust, tmp_path
):
    words = [word.format(tmp_path / "export") for word in words]
    status, _, said = reclust(two_trees, *words, settings=["tree_version=9"])
    assert status == 3
    assert "no complete tree 9" in said and "\n  allowed: 1, 2\n" in said
    assert not (tmp_path / "export").exists()


def test_tree_names_its_clusters_once_they_are_explained(zoomed, explained, limited, reclust):
    label = read_labels(explained, 1)["/002/"]
    assert label not in reclust(zoomed, "tree")[1]
    assert label in reclust(explained, "tree")[1]
    printed = reclust(limited, "tree")[1]
    assert GIVEN in printed and label not in printed


@pytest.mark.parametrize("path", ["/002/", "/001/001/"])
def test_show_says_who_a_cluster_is(path, explained, reclust):
    status, shown, _ = reclust(explained, "show", path)
    assert status == 0
    node = rows_of(explained, NODES).set_index("path").loc[path]
    assert f"{path}  {read_labels(explained, 1)[path]}" in shown
    assert f"{node.n_rows} people, {node.share:.1%} of everyone, {node.parent_share:.1%}" in shown
    answers = rows_of(explained, EXPLANATIONS)
    for row in answers[(answers.path == path) & (answers["rank"] <= 5)].itertuples():
        line = next(line for line in shown.splitlines() if line.startswith(row.question))
        told = line.removeprefix(row.question)
        assert (row.direction or "") in told and f"{row.mean_abs_shap:.2f}" in told
        assert row.cluster_value in told and row.population_value in told
    confusion = rows_of(explained, CONFUSION)
    for row in confusion[(confusion.path == path)].itertuples():
        place = "here" if row.other_path == path else f"in {row.other_path}"
        where = "in none" if row.other_path == node.parent_path else place
        line = rf"(?m)^{re.escape(where)} +{row.share:.0%}"
        assert bool(re.search(line, shown)) == (row.share >= 0.02 or where == "here"), where


def test_show_of_a_split_cluster_gives_its_splits_agreement(explained, reclust):
    metrics = explained.read(METRICS).where("name = 'agreement' AND path = '/'").first()
    status, shown, _ = reclust(explained, "show", "/")
    assert status == 0
    assert f"models and fit agree for {metrics.value:.0%}" in shown
    assert "at depth 1" in shown and "at depth 2" in shown
    assert "split into 3 clusters" in shown


def test_the_analysts_newest_name_takes_the_models_place(explained, tmp_path, reclust):
    warehouse = copied(explained, tmp_path)
    models_name = read_labels(warehouse, 1)["/003/"]
    assert reclust(warehouse, "label", "/003/", "first thought")[0] == 0
    assert reclust(warehouse, "label", "/003/", "  the city  ")[0] == 0
    labels = read_labels(warehouse, 1)
    assert labels["/003/"] == "the city" != models_name
    assert labels["/002/"] == read_labels(explained, 1)["/002/"], "the others keep theirs"
    assert "/003/  the city" in reclust(warehouse, "show", "/003/")[1]


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("/004/", "mine", ["'/004/'", "is not in tree 1", "/001/001/", "did you mean /00"]),
        ("/01/", "mine", ["'/01/'", "did you mean /001/?"]),
        ("/002/", "  ", ["/002/", "is blank"]),
    ],
)
def test_a_name_for_nobody_or_no_name_ends_with_3(path, name, told, explained, reclust):
    before = explained.delta_version(LABELS)
    status, _, said = reclust(explained, "label", path, name)
    assert status == 3
    assert all(text in said for text in told), said
    assert "\n  allowed: " in said and "\n  remedy:  " in said
    assert explained.delta_version(LABELS) == before
