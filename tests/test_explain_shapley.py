"""What a question adds to a prediction: Shapley values, checked by trying all subsets."""

import json
import math
from itertools import combinations

import numpy as np
import pytest

from reclust_spark.config import ExplainOptions
from reclust_spark.explain.shapley import Topic, contributions, draw, topics_of
from reclust_spark.onevsall.fit import fit_children, margins_of
from reclust_spark.onevsall.folds import plan_rows
from reclust_spark.onevsall.predict import Question, sigmoid


def levels(n):
    return {"levels": tuple(f"level {i}" for i in range(n)), "codes": tuple(map(float, range(n)))}


MIXED = (
    Question("age", "How old are you?", "numeric"),
    Question("agree", "Do you agree?", "ordinal", **levels(5)),
    Question("party", "Which party?", "nominal", **levels(3)),
    Question("town", "Which town?", "nominal", **levels(10)),
)
BLOCK = (
    Question("age", "How old are you?", "numeric"),
    Question("tv", "Which do you use?: television", "binary", block_id="media", **levels(2)),
    Question("town", "Which town?", "nominal", **levels(9)),
    Question("radio", "Which do you use?: radio", "binary", block_id="media", **levels(2)),
    Question("web", "Which do you use?: the web", "binary", block_id="media", **levels(2)),
)


def answers(questions, n, missing=0.15, seed=0):
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, len(q.levels), n) if q.levels else rng.normal(size=n)
               for q in questions]  # fmt: skip
    inputs = np.stack(columns, axis=1).astype(np.float32)
    inputs[rng.random(inputs.shape) < missing] = np.nan
    return inputs


def trained(inputs, score, questions, n_trees=5, depth=3, rate=0.3):
    rng = np.random.default_rng(1)
    odds = 5 * np.nan_to_num(score - np.nanmean(score))
    child = np.where(rng.random(len(inputs)) < sigmoid(odds), 0, -1)
    options = ExplainOptions(
        n_estimators=n_trees, max_depth=depth, learning_rate=rate, early_stopping_rounds=n_trees
    )
    plan = plan_rows(np.arange(len(inputs)) % 5, child, 1)
    return fit_children(inputs, child, 1, plan, questions, options).boosters[0]


def trees_of(booster):
    return [json.loads(tree) for tree in booster.get_dump(dump_format="json", with_stats=True)]


def splits_of(tree):
    if "leaf" in tree:
        return []
    return [tree, *(split for child in tree["children"] for split in splits_of(child))]


def expectation(tree, person, known):
    """The mean leaf: along the person's answers where they are known, by cover where not."""
    if "leaf" in tree:
        return tree["leaf"]
    children = {child["nodeid"]: child for child in tree["children"]}
    feature, condition = int(tree["split"][1:]), tree["split_condition"]
    if feature not in known:
        cover = sum(child["cover"] for child in children.values())
        return sum(c["cover"] * expectation(c, person, known) for c in children.values()) / cover
    answer = person[feature]
    if np.isnan(answer):
        way = "missing"
    elif isinstance(condition, list):
        way = "yes" if int(answer) in condition else "no"
    else:
        way = "yes" if answer < np.float32(condition) else "no"
    return expectation(children[tree[way]], person, known)


def brute_force(booster, inputs):
    """Shapley's formula as it stands in the textbook, over all subsets of the questions."""
    trees, n = trees_of(booster), inputs.shape[1]
    values = np.zeros(inputs.shape)
    for row, person in enumerate(inputs):
        worth = {known: sum(expectation(tree, person, known) for tree in trees)
                 for size in range(n + 1) for known in combinations(range(n), size)}  # fmt: skip
        for feature in range(n):
            for known in worth:
                if feature not in known:
                    chance = math.factorial(len(known)) * math.factorial(n - len(known) - 1)
                    gain = worth[tuple(sorted((*known, feature)))] - worth[known]
                    values[row, feature] += chance / math.factorial(n) * gain
    return values


def base_margin(booster):
    model = json.loads(booster.save_config())["learner"]["learner_model_param"]
    share = float(model["base_score"].strip("[]"))
    return math.log(share / (1 - share))


@pytest.fixture(scope="module")
def mixed():
    inputs = answers(MIXED, 900)
    age, agree, party, town = inputs.T
    by_town = np.isin(town, [1, 4, 7]) + 0.5 * np.isin(town, [0, 9])
    score = age + (party == 1) * (agree - 1) + 2 * by_town - 1.5 * np.isnan(agree)
    return inputs, trained(inputs, score, MIXED)


def test_the_model_under_test_splits_on_every_kind_and_sends_missing_answers_both_ways(mixed):
    splits = [split for tree in trees_of(mixed[1]) for split in splits_of(tree)]
    sizes = {feature: [len(split["split_condition"]) for split in splits
                       if split["split"] == feature] for feature in ("f2", "f3")}  # fmt: skip
    assert {split["split"] for split in splits} == {"f0", "f1", "f2", "f3"}
    assert set(sizes["f2"]) == {1}, "three levels: one against the others"
    assert max(sizes["f3"]) > 1, "ten levels: some against the others"
    assert {split["missing"] == split["yes"] for split in splits} == {True, False}


def test_contributions_are_the_shapley_values_of_the_textbook(mixed):
    inputs, booster = mixed
    people = inputs[:60]
    assert np.isnan(people).any(axis=0).all()
    found = contributions(booster, people, MIXED, topics_of(MIXED))
    assert found == pytest.approx(brute_force(booster, people), abs=1e-4)
    assert np.abs(found).mean(axis=0).min() > 0.01, "every question counts"


def test_who_answered_nothing_and_levels_that_nobody_trained_on_are_no_exception():
    inputs = answers(MIXED, 900, seed=2)
    inputs[inputs[:, 3] >= 8, 3] = 3.0
    booster = trained(inputs, inputs[:, 0] + 2 * np.isin(inputs[:, 3], [1, 4, 7]), MIXED)
    people = np.array([[np.nan] * 4, [0.5, 4, 2, 9], [np.nan, 0, np.nan, 8]], dtype=np.float32)
    found = contributions(booster, people, MIXED, topics_of(MIXED))
    assert found == pytest.approx(brute_force(booster, people), abs=1e-4)


@pytest.mark.parametrize("questions", [MIXED, BLOCK])
def test_contributions_and_expectation_add_up_to_the_margin(questions):
    inputs = answers(questions, 2000, seed=3)
    score = inputs[:, 0] + np.isin(inputs[:, 2], [0, 5]) * np.nan_to_num(inputs[:, 1])
    booster = trained(inputs, score, questions, n_trees=60, depth=6, rate=0.1)
    assert len(trees_of(booster)) > 20
    nobody = [expectation(tree, inputs[0], ()) for tree in trees_of(booster)]
    found = contributions(booster, inputs, questions, topics_of(questions))
    margins = margins_of([booster], inputs, questions)[:, 0]
    assert found.sum(axis=1) + base_margin(booster) + sum(nobody) == pytest.approx(
        margins, abs=1e-3
    )


def test_the_parts_of_a_multi_select_are_summed_person_by_person():
    inputs = answers(BLOCK, 900, missing=0.1, seed=4)
    inputs[:, 3] = np.where(np.random.default_rng(5).random(900) < 0.3, inputs[:, 1], inputs[:, 3])
    score = 0.5 * inputs[:, 0] + 2 * (inputs[:, 1] - inputs[:, 3]) + inputs[:, 4]
    booster, topics = trained(inputs, score, BLOCK), topics_of(BLOCK)
    assert [topic.source_column for topic in topics] == ["age", "media", "town"]
    parts = brute_force(booster, inputs[:60])
    found = contributions(booster, inputs[:60], BLOCK, topics)
    summed = np.stack([parts[:, 0], parts[:, [1, 3, 4]].sum(axis=1), parts[:, 2]], axis=1)
    assert found == pytest.approx(summed, abs=1e-4)
    whole, apart = np.abs(found[:, 1]).mean(), np.abs(parts[:, [1, 3, 4]]).mean(axis=0).sum()
    assert whole < 0.8 * apart, "opposite parts cancel within a person"


def test_nobody_has_no_contributions(mixed):
    assert contributions(mixed[1], mixed[0][:0], MIXED, topics_of(MIXED)).shape == (0, 4)


def options_of(*texts):
    questions = [Question(f"q{i}", text, "binary", block_id="b") for i, text in enumerate(texts)]
    (topic,) = topics_of(questions)
    return topic.question, topic.options


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which do you use?", ("television", "radio")),
        ("Which do you use?", ("television",)),
        ("Which do you use?", ("my phone", "my tablet", "my mother's phone")),
        ("Which do you use?", ("news: on paper", "news: online", "sport")),
        ("Which do you use?", ("news", "news: online")),
        ("Today: which do you use?", ("radio", "television")),
        ("Today: which do you use?", ("radio",)),
        ("Which do you use?", ("", "radio")),
        ("b", ("radio", "radar")),
    ],
)
def test_a_block_is_taken_apart_into_its_question_and_its_options(question, options):
    assert options_of(*(f"{question}: {option}" for option in options)) == (question, options)


def test_options_without_a_question_are_named_by_their_block():
    assert options_of("radio", "radar") == ("b", ("radio", "radar"))


def test_topics_stand_in_the_order_of_their_first_position_whatever_they_are_called():
    questions = [
        Question("x", "First: of all", "ordinal"),
        Question("q1", "Which?: one", "binary", block_id="b"),
        Question("b", "A column named like the block", "numeric"),
        Question("q2", "Which?: two", "binary", block_id="b"),
    ]
    assert topics_of(questions) == [
        Topic("x", "First: of all", (0,)),
        Topic("b", "Which?", (1, 3), ("one", "two")),
        Topic("b", "A column named like the block", (2,)),
    ]


def test_half_of_those_drawn_are_the_clusters_own_and_the_first_of_each():
    inside = np.arange(100) % 10 == 0
    drawn = draw(inside, 11)
    assert drawn.tolist() == [0, 1, 2, 3, 4, 5, 6, 10, 20, 30, 40]
    assert inside[draw(inside, 40)].sum() == 10, "it has no more"
    assert draw(np.zeros(3, dtype=bool), 10).tolist() == [0, 1, 2]
