"""What is learned of one split: the planted questions lead, and no figure flatters itself."""

import numpy as np
import pytest

from reclust_spark.config import ExplainOptions
from reclust_spark.explain.node import NodePeople, explain_node
from reclust_spark.explain.shapley import contributions, topics_of
from reclust_spark.onevsall.fit import fit_children
from reclust_spark.onevsall.folds import Plan, Round, deal_folds
from reclust_spark.onevsall.predict import Model, Question, load_booster

SCALE = {"levels": tuple("12345"), "codes": (1.0, 2.0, 3.0, 4.0, 5.0)}
OPTIONS = ExplainOptions()
FIGURES = ("threshold", "auc", "average_precision", "f1", "brier", "calibration_error")


def scales(n):
    return tuple(Question(f"q{i}", f"Question {i}?", "ordinal", **SCALE) for i in range(n))


def numbers(n):
    return tuple(Question(f"x{i}", f"Number {i}?", "numeric") for i in range(n))


def people_of(child, inputs, seed=0):
    """People of child 0, 1, 2 … or −1, the noise, in a random order."""
    order = np.random.default_rng(seed).permutation(len(child))
    paths = np.array([f"/{k + 1:03d}/" if k >= 0 else "/" for k in child[order]], dtype=object)
    ids = np.array([f"p{i:05d}" for i in order], dtype=object)
    return NodePeople(
        ids, paths, paths == "/", np.ones(len(order)), inputs[order].astype(np.float32)
    )


def explained(child, inputs, questions, seed=0, options=OPTIONS):
    children = [f"/{k + 1:03d}/" for k in range(max(child) + 1)]
    return explain_node("/", children, people_of(child, inputs, seed), questions, options)


def leading(found, path, n=3):
    rows = [row for row in found.explanations if row["path"] == path]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    values = [row["mean_abs_shap"] for row in rows]
    assert values == sorted(values, reverse=True)
    return {row["source_column"]: row["direction"] for row in rows[:n]}


def planted(seed):
    """500 of 2,000: in the middle of q2, high in q5, low in q9; 85 % follow each of these."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 5, size=(2000, 12)).astype(np.float32)
    for question, answers in ((2, [2, 2]), (5, [3, 4]), (9, [0, 1])):
        follow = rng.random(500) < 0.85
        inputs[:500, question][follow] = rng.choice(answers, follow.sum())
    inputs[rng.random(inputs.shape) < 0.1] = np.nan
    return np.repeat([0, 1, -1], [500, 1000, 500]), inputs


@pytest.mark.parametrize("seed", range(20))
def test_the_three_planted_questions_lead_in_the_right_direction(seed):
    found = explained(*planted(seed), scales(12), seed)
    assert leading(found, "/001/") == {"q2": "middle", "q5": "higher", "q9": "lower"}


@pytest.mark.parametrize("seed", range(3))
def test_a_number_and_a_level_that_make_a_cluster_lead_too(seed):
    rng = np.random.default_rng(seed)
    towns = Question("town", "Which town?", "nominal", levels=tuple("abcdefgh"))
    questions = (*scales(8), Question("age", "How old?", "numeric", unit="years"), towns)
    inputs = rng.integers(0, 5, size=(1500, 10)).astype(np.float32)
    inputs[:, 8], inputs[:, 9] = rng.normal(45, 15, 1500), rng.integers(0, 8, 1500)
    inputs[:400, 8] = rng.normal(70, 8, 400)
    inputs[:400, 9][rng.random(400) < 0.7] = 3
    inputs[rng.random(inputs.shape) < 0.1] = np.nan
    found = explained(np.repeat([0, 1], [400, 1100]), inputs, questions)
    assert leading(found, "/001/", 2) == {"age": "higher", "town": "level:d"}
    ages = next(row for row in found.explanations if row["source_column"] == "age")
    assert ages["cluster_value"].endswith(" years")
    assert ages["lift"] > 2


def test_a_multi_select_is_ranked_as_a_whole():
    rng = np.random.default_rng(0)
    questions = tuple(
        Question(f"m{i}", f"Which?: {i}", "binary", levels=("0", "1"), block_id="m")
        for i in range(3)
    ) + scales(2)
    inputs = rng.integers(0, 2, size=(800, 5)).astype(np.float32)
    child = np.where(inputs[:, 0] + rng.normal(0, 0.5, 800) > 0.5, 0, 1)
    people = people_of(child, inputs)
    found = explain_node("/", ["/001/", "/002/"], people, questions, OPTIONS)
    row = found.explanations[0]
    assert (row["source_column"], row["question"], row["direction"]) == ("m", "Which?", "level:0")
    booster = load_booster(
        Model(**{name: found.models[0][name] for name in Model._fields}), len(questions)
    )
    shap = contributions(booster, people.inputs, questions, topics_of(questions))[:, 0]
    inside = people.paths == "/001/"
    halves = (np.abs(shap[inside]).mean(), np.abs(shap[~inside]).mean())
    assert row["mean_abs_shap"] == pytest.approx(np.mean(halves), rel=1e-4), "all are drawn"


def test_noise_is_what_a_model_learns_to_turn_away():
    rng = np.random.default_rng(0)
    child = np.repeat([0, 1, -1], [600, 600, 600])
    centres = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0]])[child]
    inputs = np.concatenate([centres, np.zeros((1800, 2))], axis=1) + rng.normal(size=(1800, 4))
    found = explained(child, inputs, numbers(4))
    share = {(row["path"], row["other_path"]): row["share"] for row in found.confusion}
    assert share["/", "/"] > 0.85
    assert share["/001/", "/001/"] > 0.85
    assert share["/002/", "/002/"] > 0.85
    assert found.agreement > 0.85


@pytest.mark.parametrize("sizes", [(1500, 900, 600), (60, 240), (40, 40, 40)])
def test_models_of_random_labels_do_not_claim_to_know_anything(sizes):
    """The models learn their training rows by heart; the figures are of other rows."""
    base, aucs, gaps = np.array(sizes) / sum(sizes), [], []
    options = ExplainOptions(max_depth=8, early_stopping_rounds=60)
    for seed in range(3):
        inputs = np.random.default_rng(seed).normal(size=(sum(sizes), 6))
        child = np.repeat(np.arange(len(sizes)), sizes)
        found = explained(child, inputs, numbers(6), seed, options)
        aucs += [model["auc"] for model in found.models]
        gaps += [model["brier"] - share * (1 - share)
                 for model, share in zip(found.models, base, strict=True)]  # fmt: skip
        assert found.agreement < 0.1 + base.max()
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.08)
    assert np.mean(gaps) == pytest.approx(0, abs=0.03), "as if everyone had the base rate"


@pytest.mark.parametrize(("sizes", "share"), [((300, 200), 0.2), ((300, 99), 1.0)])
def test_figures_are_of_a_fifth_of_the_rows_or_of_all_out_of_fold(sizes, share):
    child = np.repeat([0, 1], sizes)
    found = explained(child, np.random.default_rng(0).normal(size=(len(child), 3)), numbers(3))
    n_test = {model["n_test"] for model in found.models} | {len(found.held_out["row_id"])}
    assert n_test == {round(share * len(child))}
    assert len(set(found.held_out["row_id"])) == round(share * len(child))
    assert sum(row["n"] for row in found.confusion) == round(share * len(child))


def test_a_stored_model_knows_nothing_of_the_rows_it_is_measured_on():
    child = np.repeat([0, 1, -1], [300, 300, 100])
    inputs = np.random.default_rng(0).normal(size=(700, 3)) + child[:, None]
    people = people_of(child, inputs)
    before = explain_node("/", ["/001/", "/002/"], people, numbers(3), OPTIONS)
    held_out = np.isin(people.ids, before.held_out["row_id"])
    assert held_out.sum() == 140
    changed = people._replace(inputs=np.where(held_out[:, None], 0, -people.inputs) * -1)
    after = explain_node("/", ["/001/", "/002/"], changed, numbers(3), OPTIONS)
    for one, other in zip(before.models, after.models, strict=True):
        for name in ("model", "threshold", "calibration"):
            assert one[name] == other[name]
        assert one["auc"] > 0.7
        assert other["auc"] == 0.5


@pytest.mark.parametrize("noise", [0, 30])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_child_of_few_people_is_no_error(size, noise):
    rng = np.random.default_rng(size)
    child = np.repeat([0, 1, -1], [200, size, noise])
    inputs = rng.normal(size=(len(child), 4)) + 3 * (child == 1)[:, None]
    found = explained(child, inputs, numbers(4))
    assert [model["path"] for model in found.models] == ["/001/", "/002/"]
    for model in found.models:
        measured = [model[name] for name in FIGURES] + list(model["calibration"])
        assert all(value is None or np.isfinite(value) for value in measured)
        assert 0 <= model["threshold"] <= 1
        assert load_booster(
            Model(**{name: model[name] for name in Model._fields}), 4
        ).num_boosted_rounds()
    assert {row["path"] for row in found.confusion} >= {"/001/", "/002/"}


@pytest.mark.filterwarnings("ignore:.*Empty dataset")
@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (1,) * 10, (5,)])
def test_a_node_of_few_people_is_no_error_either(sizes):
    child = np.repeat(np.arange(len(sizes)), sizes)
    found = explained(child, np.random.default_rng(0).normal(size=(len(child), 2)), numbers(2))
    assert len(found.models) == len(sizes)
    assert 0 <= found.agreement <= 1


def test_a_question_that_all_answer_alike_or_nobody_answers_explains_nothing():
    child, inputs = planted(0)
    inputs[:, 0], inputs[:, 1] = 3, np.nan
    found = explained(child, inputs, scales(12))
    assert leading(found, "/001/") == {"q2": "middle", "q5": "higher", "q9": "lower"}
    assert not {"q0", "q1"} & {row["source_column"] for row in found.explanations}
    assert not {"q0", "q1"} & set(found.shap_values["source_column"])


def test_a_node_in_which_nobody_answered_anything_has_models_but_no_explanations():
    child = np.repeat([0, 1, -1], [150, 120, 30])
    found = explained(child, np.full((300, 3), np.nan), scales(3))
    assert found.explanations == []
    assert len(found.shap_values["shap"]) == 0
    assert [model["auc"] for model in found.models] == [0.5, 0.5]
    assert sum(row["n"] for row in found.confusion) == 60


@pytest.mark.parametrize("sizes", [(400, 300, 200), (200, 60, 3)])
def test_where_a_groups_people_were_put_adds_up_to_all_of_them(sizes):
    child = np.repeat([0, 1, -1], sizes)
    inputs = np.random.default_rng(0).normal(size=(len(child), 3)) + child[:, None]
    found = explained(child, inputs, numbers(3))
    for place in ("/001/", "/002/", "/"):
        rows = [row for row in found.confusion if row["path"] == place]
        assert [row["other_path"] for row in rows] == ["/001/", "/002/", "/"]
        assert sum(row["share"] for row in rows) == pytest.approx(1)
        n = sum(row["n"] for row in rows)
        assert all(row["share"] == row["n"] / n for row in rows)
    right = sum(row["n"] for row in found.confusion if row["path"] == row["other_path"])
    assert found.agreement == pytest.approx(right / len(found.held_out["row_id"]))
    assert found.held_out["agrees"].mean() == found.agreement


def test_values_of_single_people_are_their_own():
    child, inputs = planted(0)
    people = people_of(child, inputs)
    options = ExplainOptions(shap_rows=100)
    found = explain_node("/", ["/001/", "/002/"], people, scales(12), options)
    shown = found.shap_values
    assert {len(column) for column in shown.values()} == {2 * 10 * 100}
    place = {person: i for i, person in enumerate(people.ids)}
    for i in range(0, 2000, 97):
        answer = people.inputs[place[shown["row_id"][i]], int(shown["source_column"][i][1:])]
        assert np.array_equal(shown["answer"][i], answer, equal_nan=True)
    drawn = [person for person, path in zip(shown["row_id"], shown["path"], strict=True)
             if path == "/001/"]  # fmt: skip
    own = np.array([people.paths[place[person]] == "/001/" for person in drawn])
    assert own.mean() == 0.5


def test_a_deeper_node_counts_grandchildren_to_their_child():
    child, inputs = planted(3)
    at_root = people_of(child, inputs)
    below = np.where(np.arange(2000) % 2 == 0, "001/", "002/").astype(object)
    moved = np.array(["/007" + path for path in at_root.paths], dtype=object)
    split = np.where(moved == "/007/002/", moved + below, moved)
    people = at_root._replace(paths=split)
    found = explain_node("/007/", ["/007/001/", "/007/002/"], people, scales(12), OPTIONS)
    assert leading(found, "/007/001/") == {"q2": "middle", "q5": "higher", "q9": "lower"}
    assert {row["path"] for row in found.confusion} == {"/007/001/", "/007/002/", "/007/"}
    assert set(found.held_out["depth"]) == {1}


@pytest.mark.parametrize("sizes", [(300, 200, 100), (200, 30, 20)])
def test_the_same_rows_give_the_same_models(sizes):
    child = np.repeat([0, 1, -1], sizes)
    inputs = np.random.default_rng(0).normal(size=(len(child), 5)) + child[:, None]
    one = explained(child, inputs, numbers(5))
    explained(*planted(1), scales(12))
    other = explained(child, inputs.copy(order="F"), numbers(5))
    assert one.models == other.models
    assert one.confusion == other.confusion
    assert one.explanations == other.explanations
    assert np.array_equal(one.shap_values["shap"], other.shap_values["shap"])


def test_models_that_were_fitted_elsewhere_are_judged_on_rows_they_have_not_seen():
    """Also where a child has few people among these: out of fold would be of no use."""
    rng = np.random.default_rng(0)
    child = np.repeat([0, 1], [920, 80])
    people = people_of(child, rng.normal(size=(1000, 6)))
    first = explain_node("/", ["/001/", "/002/"], people, numbers(6), OPTIONS)
    assert first.models[0]["n_test"] == 1000
    labels, folds = (people.paths == "/002/").astype(np.intp), deal_folds(people.paths)
    train, tune, test = (np.flatnonzero(np.isin(folds, f)) for f in ([0, 2, 4], [1], [3]))
    plan = Plan((Round(train, tune, test),), (), tune, refit=False)
    options = ExplainOptions(max_depth=8, early_stopping_rounds=60)
    boosters = fit_children(people.inputs, labels, 2, plan, numbers(6), options).boosters
    found = explain_node("/", ["/001/", "/002/"], people, numbers(6), options, boosters)
    assert [model["n_test"] for model in found.models] == [len(test), len(test)]
    assert [model["n_train"] for model in found.models] == [len(train), len(train)]
    assert sorted(found.held_out["row_id"]) == sorted(people.ids[test])
    assert all(model["auc"] < 0.8 for model in found.models)
