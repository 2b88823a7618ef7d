"""One-vs-all models: who trains, tunes and tests; calibration, thresholds; placing people."""

import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reclust_spark.config import ExplainOptions
from reclust_spark.onevsall.fit import fit_children, margins_of, named
from reclust_spark.onevsall.folds import SMALL, deal_folds, plan_rows
from reclust_spark.onevsall.judge import (
    calibrate,
    calibration_error,
    choose_thresholds,
    judge,
    set_rule,
)
from reclust_spark.onevsall.predict import (
    Model,
    ModelError,
    Question,
    Scorer,
    decide,
    digest_of,
    fingerprint_of,
    load_booster,
    merge,
    sigmoid,
)

TOWNS = Question("town", "Which town?", "nominal", levels=tuple("abcdefghij"))
QUESTIONS = (
    Question("age", "How old are you?", "numeric"),
    Question("agree", "Do you agree?", "ordinal", levels=tuple("12345")),
    TOWNS,
    Question("party", "Which party?", "nominal", levels=("r", "g", "b")),
    Question("visits", "How often?", "count"),
)


def answers(n, seed=0, missing=0.15):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(45, 15, n), rng.integers(0, 5, n), rng.integers(0, 10, n),
               rng.integers(0, 3, n), rng.poisson(4, n)]  # fmt: skip
    inputs = np.stack(columns, axis=1).astype(np.float32)
    inputs[rng.random(inputs.shape) < missing] = np.nan
    return inputs


def a_model(path, parent, blob, threshold, calibration):
    return Model(path, parent, blob, threshold, calibration, digest_of(blob))


def models_of(n_children, parent="/", n=1500, seed=0, questions=QUESTIONS):
    """Models of children that the town and the age tell apart, some better than others."""
    rng, inputs = np.random.default_rng(seed), answers(n, seed)
    place = np.nan_to_num(inputs[:, 2], nan=9) + (np.nan_to_num(inputs[:, 0]) > 50)
    child = (place % (n_children + 1)).astype(np.intp)
    child = np.where(rng.random(n) < 0.2, rng.integers(0, n_children + 1, n), child) - 1
    plan = plan_rows(deal_folds(child.astype(str).astype(object)), child, n_children)
    fitted = fit_children(inputs, child, n_children, plan, questions, ExplainOptions())
    rule = judge(fitted.margins, child, plan).rule
    paths = [f"{parent}{k + 1:03d}/" for k in range(n_children)]
    return [
        a_model(path, parent, named(booster, path, questions), threshold, (slope, intercept))
        for path, booster, threshold, slope, intercept in zip(
            paths, fitted.boosters, rule.thresholds, rule.slopes, rule.intercepts, strict=True
        )
    ]


@pytest.fixture(scope="module")
def tree():
    """Ten clusters, the third of which has three of its own."""
    return [*models_of(10), *models_of(3, "/003/", seed=1)]


# ---- folds


STRATA = st.lists(st.sampled_from(["/001/", "/002/", "/002/001/", "/002/002/", "/", "/002/noise"]))


@given(STRATA)
def test_every_stratum_is_dealt_three_to_one_to_one_within_a_row(strata):
    strata = np.array(strata, dtype=object)
    folds = deal_folds(strata)
    for stratum in set(strata):
        sizes = np.bincount(folds[strata == stratum], minlength=5)
        assert sizes.max() - sizes.min() <= 1
        n = sizes.sum()
        for used, share in ((sizes[[0, 2, 4]].sum(), 0.6), (sizes[1], 0.2), (sizes[3], 0.2)):
            assert abs(used - share * n) <= 1


@given(STRATA, st.integers(0, 60), st.integers(0, 60))
def test_who_is_held_out_is_held_out_at_every_depth(strata, seen_above, seen_below):
    """Each node sees the first of its rows; whom both see has the same fold in both."""
    people = np.arange(len(strata))
    inside = np.array([place.startswith("/002/") for place in strata], dtype=bool)
    strata = np.array(strata, dtype=object)
    above, below = people[:seen_above], people[inside][:seen_below]
    fold_above = dict(zip(above, deal_folds(strata[above]), strict=True))
    fold_below = dict(zip(below, deal_folds(strata[below]), strict=True))
    for person in fold_above.keys() & fold_below.keys():
        assert fold_above[person] == fold_below[person]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 2)), min_size=1, max_size=60))
def test_a_small_node_holds_everyone_out_once(rows):
    folds, child = np.array(rows, dtype=np.intp).reshape(-1, 2).T
    plan = plan_rows(folds, child, 3)
    everyone = list(range(len(rows)))
    assert plan.refit
    assert plan.test.tolist() == everyone
    assert plan.final.tolist() == everyone
    for part in plan.rounds:
        assert sorted([*part.train, *part.stop, *part.held_out]) == everyone
    for part in plan.judged:
        assert len(part.test)
        assert sorted([*part.tune, *part.test]) == everyone


@given(st.integers(0, 200), st.integers(0, 4))
def test_a_larger_node_trains_tunes_and_tests_on_different_rows(n_noise, shift):
    child = np.repeat([0, 1, -1], [SMALL, SMALL + 50, n_noise])
    folds = (np.arange(len(child)) + shift) % 5
    plan = plan_rows(folds, child, 2)
    ((train, stop, held_out),) = plan.rounds
    ((tune, test),) = plan.judged
    assert not plan.refit
    assert sorted([*train, *stop, *held_out]) == list(range(len(child)))
    assert plan.final.tolist() == tune.tolist() == stop.tolist()
    assert plan.test.tolist() == test.tolist() == held_out.tolist()
    assert len(train) == pytest.approx(0.6 * len(child), abs=2)
    assert len(test) == pytest.approx(0.2 * len(child), abs=1)


@pytest.mark.parametrize(("size", "is_small"), [(SMALL - 1, True), (SMALL, False), (0, True)])
def test_the_smallest_child_decides_whether_a_node_is_small(size, is_small):
    child = np.repeat([0, 1], [500, size])
    plan = plan_rows(np.arange(len(child)) % 5, child, 2)
    assert plan.refit == is_small
    assert not plan_rows(np.arange(len(child)) % 5, child, 2, may_refit=False).refit


# ---- calibration and thresholds


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -1.5), (2.5, 1.0)])
def test_calibration_finds_the_sigmoid_that_margins_were_drawn_from(slope, intercept):
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 2, 50_000)
    inside = rng.random(50_000) < sigmoid(slope * margins + intercept)
    assert calibrate(margins, inside) == pytest.approx((slope, intercept), rel=0.05, abs=0.05)


def test_separable_margins_have_a_finite_calibration():
    margins = np.repeat([-3.0, 2.0], [50, 10])
    slope, intercept = calibrate(margins, margins > 0)
    assert 0 < slope < 10
    low, high = sigmoid(slope * np.array([-3.0, 2.0]) + intercept)
    assert low == pytest.approx(1 / 52, abs=1e-3), "Platt's targets"
    assert high == pytest.approx(11 / 12, abs=1e-3)


@pytest.mark.parametrize("inside", [[0, 0, 0], [1, 1, 1]])
def test_one_class_leaves_margins_as_they_are(inside):
    assert calibrate(np.array([-1.0, 0.0, 2.0]), np.array(inside, dtype=bool)) == (1.0, 0.0)


def test_calibration_never_turns_the_order_around():
    margins = np.linspace(-1, 1, 100)
    assert calibrate(margins, margins < 0)[0] > 0
    assert calibrate(np.zeros(100), margins < 0) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("people", "threshold"),
    [
        # (probability of child 0, true child): child 1 gets less than that
        ([(0.9, 0), (0.8, 0), (0.6, -1), (0.55, 0)], 0.7),  # halfway to the noise
        ([(0.9, 0), (0.8, 1), (0.7, 0)], 0.7),  # a sibling is wrong either way; nobody is left
        ([(0.9, 0), (0.8, 1), (0.6, -1)], 0.85),
        ([(0.9, -1), (0.8, 0), (0.7, 0), (0.6, 0), (0.5, -1)], 0.55),  # one wrong, three right
        ([(0.9, 0), (0.7, 0), (0.7, -1)], 0.8),  # of the same probability: together or not at all
        ([(0.8, 0), (0.8, 0), (0.8, -1)], 0.8),
        ([(0.8, 0), (0.8, -1)], 0.5),  # none gained
        ([(0.9, -1), (0.8, 1)], 0.5),
        ([], 0.5),  # nobody is nearest
    ],
)
def test_a_threshold_is_where_most_are_placed_right(people, threshold):
    first, child = np.array([*people, (0.01, 1)], dtype=float).T
    probabilities = np.stack([first, np.where(first < 0.1, 0.99, first / 2)], axis=1)
    found = choose_thresholds(probabilities, child.astype(int))[0]
    assert found == pytest.approx(threshold, rel=1e-4)


@given(
    st.lists(
        st.tuples(st.tuples(*[st.integers(0, 20)] * 3), st.integers(-1, 2)),
        min_size=1,
        max_size=40,
    )
)
def test_no_other_threshold_places_more_right(people):
    probabilities = np.array([p for p, _ in people]) / 20
    child = np.array([c for _, c in people])
    thresholds, best = choose_thresholds(probabilities, child), probabilities.argmax(axis=1)
    for k in range(3):
        nearest, mine = probabilities[best == k, k], child[best == k]

        def right(threshold, nearest=nearest, mine=mine, k=k):
            taken = nearest >= threshold
            return (mine[taken] == k).sum() + (mine[~taken] == -1).sum()

        most = max((right(t) for t in [*nearest, 2.0]), default=0)
        assert 0 <= thresholds[k] <= 1
        if most > right(2.0):
            assert right(thresholds[k]) == most
        else:
            assert thresholds[k] == 0.5


def test_the_most_probable_child_takes_a_person_at_its_threshold_or_above():
    probabilities = np.array([[0.6, 0.3], [0.5, 0.7], [0.5, 0.5], [0.49, 0.48], [0.2, 0.69]])
    assert decide(probabilities, np.array([0.5, 0.7])).tolist() == [0, 1, 0, -1, -1]


def test_the_calibration_error_is_the_gap_between_said_and_seen():
    rng = np.random.default_rng(0)
    probability = rng.random(50_000)
    assert calibration_error(probability, rng.random(50_000) < probability) < 0.01
    inside = np.arange(1000) % 10 < 3
    assert calibration_error(np.full(1000, 0.8), inside) == pytest.approx(0.5, abs=0.01)
    assert calibration_error(inside.astype(float), inside) == 0
    assert calibration_error(1.0 - inside, inside) == 1
    assert calibration_error(np.array([0.2]), np.array([True])) == pytest.approx(0.8)


@pytest.mark.parametrize("sizes", [(400, 300, 300), (60, 300, 40)])
def test_a_rule_is_measured_on_rows_that_had_no_part_in_it(sizes):
    """Labels of the test rows are turned around: rules stay as they are, figures do not."""
    rng = np.random.default_rng(0)
    child = rng.permutation(np.repeat([0, 1, -1], sizes))
    margins = rng.normal(size=(len(child), 2)) + 2.0 * (child[:, None] == [0, 1])
    plan = plan_rows(deal_folds(child.astype(str).astype(object)), child, 2)
    verdict = judge(margins, child, plan)
    for part in plan.judged:
        rule = set_rule(margins[part.tune], child[part.tune])
        placed = decide(rule.probabilities(margins[part.test]), rule.thresholds)
        assert verdict.decided[np.isin(verdict.test, part.test)].tolist() == placed.tolist()
    assert verdict.figures[0].n_test == len(plan.test)
    assert all(figures.auc > 0.85 for figures in verdict.figures)


# ---- one booster of many


@pytest.mark.parametrize("n_children", [1, 2, 10])
def test_joined_models_say_what_each_of_them_says_alone(n_children):
    models, inputs = models_of(n_children), answers(500, seed=9)
    inputs[0] = np.nan
    boosters = [load_booster(model, 5) for model in models]
    margins = margins_of(boosters, inputs, QUESTIONS)
    slopes, intercepts = np.array([model.calibration for model in models]).T
    found = merge(models, QUESTIONS).probabilities(inputs)
    assert found.shape == (500, n_children)
    assert found == pytest.approx(sigmoid(slopes * margins + intercepts), abs=1e-5)
    assert np.ptp(found, axis=0).min() > 0.2, "they do say something"


def test_joined_models_keep_their_children_and_thresholds_in_order():
    models = models_of(3)[::-1]
    split = merge(models, QUESTIONS)
    assert split.children == ("/003/", "/002/", "/001/")
    assert split.thresholds.tolist() == [model.threshold for model in models]
    again = merge(models[::-1], QUESTIONS)
    inputs = answers(50)
    assert np.array_equal(split.probabilities(inputs), again.probabilities(inputs)[:, ::-1])


# ---- placing people


def test_people_walk_down_as_far_as_a_child_takes_them(tree):
    inputs = answers(800, seed=5)
    placed = Scorer(QUESTIONS, tree).place(inputs)
    probabilities = {
        parent: merge([m for m in tree if m.parent_path == parent], QUESTIONS).probabilities(inputs)
        for parent in ("/", "/003/")
    }
    seen = set()
    for i in range(len(inputs)):
        path, chance, is_noise = "/", 1.0, False
        while path in probabilities and not is_noise:
            siblings = [model for model in tree if model.parent_path == path]
            best = int(probabilities[path][i].argmax())
            if probabilities[path][i, best] < siblings[best].threshold:
                is_noise = True
            else:
                chance *= probabilities[path][i, best]
                path = siblings[best].path
        assert (placed.path[i], placed.is_noise[i]) == (path, is_noise)
        assert placed.probability[i] == pytest.approx(chance)
        seen.add((path, is_noise))
    assert {("/", True), ("/003/", True), ("/001/", False)} <= seen
    assert any(path.startswith("/003/0") for path, _ in seen)


def test_a_person_alone_in_a_batch_or_in_any_order_is_placed_to_the_bit_alike(tree):
    scorer, inputs = Scorer(QUESTIONS, tree), answers(700, seed=6)
    inputs[3] = np.nan
    whole = scorer.place(inputs)
    order = np.random.default_rng(0).permutation(700)
    layouts = [
        (scorer.place(inputs[order]), order),
        (scorer.place(np.asfortranarray(inputs)), np.arange(700)),
        (scorer.place(inputs[::3]), np.arange(700)[::3]),
        *((scorer.place(inputs[i : i + 1]), [i]) for i in range(0, 700, 3)),
        *((scorer.place(inputs[i : i + 65]), np.arange(i, i + 65)) for i in range(0, 600, 50)),
    ]
    for part, rows in layouts:
        assert part.path.tolist() == whole.path[rows].tolist()
        assert part.is_noise.tolist() == whole.is_noise[rows].tolist()
        assert part.probability.tobytes() == whole.probability[rows].tobytes()


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 99), max_size=30))
def test_who_is_beside_a_person_is_of_no_consequence(tree, rows):
    scorer, inputs = Scorer(QUESTIONS, tree[:10]), answers(100, seed=7)
    part, whole = scorer.place(inputs[rows]), scorer.place(inputs)
    assert part.path.tolist() == whole.path[rows].tolist()
    assert part.probability.tobytes() == whole.probability[rows].tobytes()


def test_a_person_without_any_answer_stays_at_the_root(tree):
    placed = Scorer(QUESTIONS, tree).place(np.full((2, 5), np.nan, dtype=np.float32))
    assert placed.path.tolist() == ["/", "/"]
    assert placed.is_noise.all()
    assert placed.probability.tolist() == [1.0, 1.0]


def test_nobody_can_be_placed_too(tree):
    placed = Scorer(QUESTIONS, tree).place(np.zeros((0, 5), dtype=np.float32))
    assert [len(values) for values in placed] == [0, 0, 0]


def test_a_walk_can_be_stopped_at_a_depth(tree):
    scorer, inputs = Scorer(QUESTIONS, tree), answers(300, seed=8)
    inputs[0] = np.nan
    deep, flat, none = (scorer.place(inputs, depth) for depth in (None, 1, 0))
    assert {path.count("/") - 1 for path in deep.path} == {0, 1, 2}
    assert [path[:5] for path in deep.path] == flat.path.tolist()
    assert not flat.is_noise[flat.path == "/003/"].any()
    assert set(none.path) == {"/"}
    assert not none.is_noise[1:].any()


def test_at_depth_0_nobody_is_noise(tree):
    assert not Scorer(QUESTIONS, tree).place(np.full((1, 5), np.nan, np.float32), 0).is_noise.any()


def test_a_tree_of_one_node_keeps_everyone_at_the_root():
    inputs = answers(20)
    inputs[0] = np.nan
    placed = Scorer(QUESTIONS, []).place(inputs)
    assert set(placed.path) == {"/"}
    assert not placed.is_noise.any()
    assert set(placed.probability) == {1.0}


# ---- models that cannot be used


@pytest.fixture(scope="module")
def model():
    return models_of(1)[0]


@pytest.mark.parametrize(
    "blob",
    [
        np.random.default_rng(0).bytes(2000),
        pickle.dumps({"path": "/001/"}),
        b"{}",
        b"[1, 2]",
        b"null",
        json.dumps({"learner": {"attributes": {}}, "version": [3, 2, 0]}).encode(),
        b"   ",
        b"\0" * 100,
    ],
    ids=["random", "pickle", "no keys", "list", "null", "half a model", "blank", "zeros"],
)
def test_what_is_no_model_is_an_error_that_names_the_cluster(model, blob):
    for broken in (model._replace(model=blob), model._replace(model=blob, digest=digest_of(blob))):
        with pytest.raises(ModelError, match="/001/"):
            load_booster(broken, 5)
        with pytest.raises(ModelError, match="/001/"):
            Scorer(QUESTIONS, [broken])


LOAD = """
import pathlib, sys
from reclust_spark.onevsall.predict import Model, ModelError, digest_of, load_booster
blob = pathlib.Path(sys.argv[1]).read_bytes()
for length in map(int, sys.argv[2:]):
    try:
        load_booster(Model("/001/", "/", blob[:length], 0.5, (1.0, 0.0), digest_of(blob)), 5)
        sys.exit(f"{length} bytes are no model, and were taken for one")
    except ModelError as error:
        assert "/001/" in str(error)
"""


@pytest.mark.parametrize("lengths", [[0], range(1, 400)], ids=["empty", "truncated"])
def test_a_truncated_model_is_an_error_and_not_the_end_of_the_process(model, tmp_path, lengths):
    (tmp_path / "model").write_bytes(model.model)
    command = [sys.executable, "-c", LOAD, tmp_path / "model", *map(str, lengths)]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_model_of_another_cluster_is_refused(model):
    with pytest.raises(ModelError, match="/002/.*/001/"):
        load_booster(model._replace(path="/002/"), 5)


def test_a_model_of_another_number_of_questions_is_refused(model):
    with pytest.raises(ModelError, match="/001/.*5 questions.*4"):
        load_booster(model, 4)


@pytest.mark.parametrize(
    "questions",
    [
        (*QUESTIONS[:2], TOWNS._replace(levels=tuple("bacdefghij")), *QUESTIONS[3:]),
        (*QUESTIONS[:2], TOWNS._replace(kind="ordinal"), *QUESTIONS[3:]),
        (*QUESTIONS[:4], QUESTIONS[4]._replace(source_column="calls")),
        QUESTIONS[::-1],
    ],
    ids=["levels", "kind", "column", "order"],
)
def test_a_model_of_another_questionnaire_is_refused(model, questions):
    with pytest.raises(ModelError, match="/001/.*another questionnaire"):
        Scorer(questions, [model])


def test_words_and_labels_may_change_without_a_new_model(model):
    reworded = [q._replace(question="…", labels=None, unit="years") for q in QUESTIONS]
    assert fingerprint_of(reworded) == fingerprint_of(QUESTIONS)
    inputs = answers(20)
    one, other = (Scorer(q, [model]).place(inputs) for q in (QUESTIONS, reworded))
    assert np.array_equal(one.probability, other.probability)


def test_fingerprints_of_different_questionnaires_differ():
    q = QUESTIONS[1]
    variants = [q, q._replace(levels=tuple("1234")), q._replace(levels=None),
                q._replace(kind="nominal"), q._replace(source_column="x")]  # fmt: skip
    for one, other in itertools.combinations(variants, 2):
        assert fingerprint_of([one]) != fingerprint_of([other])
