"""A cluster's answers in words: direction, typical answers, lift; and the name made of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclust_spark.explain.describe import describe, quantile, typical, words
from reclust_spark.explain.label import LONGEST, label_clusters, shortened
from reclust_spark.explain.shapley import topics_of
from reclust_spark.onevsall.predict import Question

AGREE = Question(
    "agree",
    "Do you agree?",
    "ordinal",
    levels=tuple("12345"),
    labels=("not at all", "little", "somewhat", "mostly", "fully"),
)
AGE = Question("age", "How old are you?", "numeric", unit="years")
PARTY = Question("party", "Which party?", "nominal", levels=("r", "g", "b"))
MEDIA = tuple(
    Question(f"m{i}", f"Which do you use?: {name}", "binary", levels=("0", "1"), block_id="media")
    for i, name in enumerate(("television", "radio", "podcasts"))
)
GONE = np.nan


def described(questions, own, others, own_weights=None, other_weights=None):
    """Describe a cluster of the people `own` in a parent that also has the `others`."""
    questions = (questions,) if isinstance(questions, Question) else questions
    own, others = (np.reshape(np.array(rows, dtype=np.float32), (len(rows), len(questions)))
                   for rows in (own, others))  # fmt: skip
    weights = [np.ones(len(rows)) if given is None else np.array(given, dtype=float)
               for rows, given in ((own, own_weights), (others, other_weights))]  # fmt: skip
    inside = np.arange(len(own) + len(others)) < len(own)
    (topic,) = topics_of(questions)
    inputs = np.concatenate([own, others])
    return describe(topic, questions, inputs, inside, np.concatenate(weights))


@pytest.mark.parametrize(
    ("own", "others", "direction", "value", "parent_value", "lift"),
    [
        # 3 of 10 answer 4 or more, and 2 of these 3
        ([3, 4, 4], [0, 0, 1, 1, 2, 2, 3], "higher", "fully", "somewhat", (2 / 3) / (2 / 10)),
        ([1, 0, 0], [4, 4, 3, 3, 2, 2, 1], "lower", "not at all", "somewhat", (2 / 3) / (2 / 10)),
        # between their own quartiles, 2 and 2
        ([2, 2, 2], [0, 0, 1, 1, 3, 3, 4], "middle", "somewhat", "somewhat", 1 / (3 / 10)),
        # outside the quartiles of all ten, 1 and 3
        ([0, 0, 4, 4], [1, 1, 2, 2, 3, 3], "extremes", "not at all", "somewhat", 1 / (4 / 10)),
    ],
)
def test_an_ordinal_answer_lies_higher_lower_in_the_middle_or_at_the_extremes(
    own, others, direction, value, parent_value, lift
):
    found = described(AGREE, own, others)
    assert found[:3] == (direction, value, parent_value)
    assert found.lift == pytest.approx(lift)
    turned = described(AGREE, [4 - answer for answer in own], [4 - answer for answer in others])
    assert turned.direction == {"higher": "lower", "lower": "higher"}.get(direction, direction)
    assert turned.lift == pytest.approx(lift)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30),
)
def test_who_is_as_high_as_everyone_and_partly_higher_is_higher(people):
    """The cluster is the others with some of them moved up, which is no move to the middle."""
    values = [value for value, _ in people]
    moved = [value + up for value, up in people]
    found = described(AGE, moved, values)
    assert found.direction == ("higher" if moved != values else None)
    assert described(AGE, values, moved).direction == ("lower" if moved != values else None)


def test_ranks_decide_not_means_where_the_parent_is_skewed():
    others = [20, 25, 30, 35, 40, 10_000]
    found = described(AGE, [38, 41, 45], others)
    assert np.mean([38, 41, 45]) < np.mean(others)
    assert found[:3] == ("higher", "41 years", "38 years")
    assert found.lift == pytest.approx((2 / 3) / (3 / 9))


def test_the_middle_of_a_skewed_scale_is_its_median():
    """Nearly everyone answers 1; those of the cluster the rare 2 and 3: not the middle, higher."""
    found = described(AGREE, [1, 1, 2], [0] * 20 + [3, 4])
    assert found[:3] == ("higher", "little", "not at all")
    assert found.lift == pytest.approx(1 / (5 / 25))


@pytest.mark.parametrize(
    ("question", "answers"), [(AGREE, [0, 1, 2, 3, 4]), (AGE, [1.5, 2, 2]), (PARTY, [0, 1, 1])]
)
def test_a_cluster_that_answers_as_its_parent_does_has_no_direction(question, answers):
    found = described(question, answers, answers * 7)
    assert (found.direction, found.lift) == (None, None)
    assert found.cluster_value == found.parent_value


def test_weights_change_direction_typical_answers_and_lift():
    own, others = [0, 4], [1, 2, 2, 3]
    assert described(AGREE, own, others)[:3] == ("extremes", "not at all", "somewhat")
    found = described(AGREE, own, others, own_weights=[1, 9])
    assert found[:3] == ("higher", "fully", "fully")
    assert found.lift == pytest.approx(0.9 / (9 / 14))
    found = described(PARTY, [0, 1, 1], [0, 2], own_weights=[8, 1, 1])
    assert found == ("level:r", "r", "r", pytest.approx((8 / 10) / (9 / 12)))
    assert described(PARTY, [0, 1, 1], [0, 2]).direction == "level:g"


def test_people_without_weight_do_not_count():
    found = described(AGREE, [3, 4, 4], [0, 1, 2, 4], other_weights=[1, 1, 1, 0])
    assert found == described(AGREE, [3, 4, 4], [0, 1, 2])
    gone = described(AGREE, [3, 4], [0, 1], own_weights=[0, 0])
    assert gone == (None, None, "not at all", None)


def test_the_level_that_gained_most_is_named_even_where_another_is_typical():
    # r from 75 % to 60 %, g from 15 % to 40 %
    found = described(PARTY, [0, 0, 0, 1, 1], [0] * 12 + [1] + [2] * 2)
    assert found[:3] == ("level:g", "r", "r")
    assert found.lift == pytest.approx((2 / 5) / (3 / 20))


def test_a_yes_or_no_question_names_the_answer_that_gained():
    insured = Question("i", "Insured?", "binary", levels=("n", "y"), labels=("no", "yes"))
    found = described(insured, [0, 0, 0, 1], [1, 1, 1, 1])
    assert found == ("level:no", "no", "yes", pytest.approx((3 / 4) / (3 / 8)))


@pytest.mark.parametrize(
    ("question", "own", "others"),
    [(AGREE, [3, 4, 4], [0, 1, 2, 3]), (PARTY, [1, 1, 0], [0, 2, 2, 1])],
)
def test_missing_answers_are_ignored(question, own, others):
    answered = described(question, own, others)
    assert described(question, [*own, GONE, GONE], [GONE, *others, GONE, GONE]) == answered


@pytest.mark.parametrize("question", [AGREE, AGE, PARTY])
def test_a_cluster_that_did_not_answer_has_no_direction(question):
    found = described(question, [GONE, GONE], [2, 2, 1])
    assert found == (None, None, words(question, 2.0), None)
    assert described(question, [GONE, GONE], [GONE]) == (None, None, None, None)


@pytest.mark.parametrize("question", [AGREE, AGE, PARTY])
def test_a_question_that_all_answer_alike_has_no_direction(question):
    found = described(question, [2, 2], [2, 2, 2])
    assert found == (None, words(question, 2.0), words(question, 2.0), None)


def test_a_multi_select_names_the_option_they_are_ahead_in():
    found = described(MEDIA, [(1, 1, 0), (1, 1, 0), (1, 0, 0)], [(1, 0, 0)] * 4 + [(0, 0, 1)])
    assert found.direction == "level:radio"
    assert (found.cluster_value, found.parent_value) == ("television, radio", "television")
    assert found.lift == pytest.approx((2 / 3) / (2 / 8))


def test_a_cluster_that_chose_less_of_everything_is_lower():
    found = described(MEDIA, [(0, 0, 0), (0, 0, 0), (1, 0, 0)], [(1, 1, 1)] * 3)
    assert found.direction == "lower"
    assert found.cluster_value == "television (by some)"
    assert found.parent_value == "television, radio, podcasts"
    assert found.lift == pytest.approx((2 / 3) / (2 / 6)), "of having chosen nothing"


def test_who_skipped_a_multi_select_is_missing_and_who_skipped_an_option_did_not_choose_it():
    own, others = [(1, 1, 0), (1, 0, 0)], [(0, 0, 1), (0, 0, 0)]
    answered = described(MEDIA, own, others)
    assert answered.direction == "level:television"
    skipped = (GONE, GONE, GONE)
    assert described(MEDIA, [skipped, *own], [*others, skipped, skipped]) == answered
    assert described(MEDIA, [(1, 1, GONE), (1, GONE, 0)], others) == answered
    assert described(MEDIA, [skipped], others) == (None, None, "podcasts", None)
    assert described(MEDIA, [skipped], [skipped]) == (None, None, None, None)


def test_weights_count_in_a_multi_select_too():
    own, others = [(1, 0, 0), (0, 1, 0)], [(0, 0, 1)]
    assert described(MEDIA, own, others, [3, 1]).direction == "level:television"
    found = described(MEDIA, own, others, [1, 3])
    assert found.direction == "level:radio"
    assert found.lift == pytest.approx((3 / 4) / (3 / 5))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(41.0, "41 years"), (3.14159, "3.14 years"), (-7.0, "-7 years"), (12_345.6, "12,346 years")],
)
def test_a_typical_number_is_rounded_and_has_its_unit(value, shown):
    assert typical(AGE, np.array([value]), np.ones(1)) == shown


def test_a_typical_number_just_below_a_thousand_is_no_power_of_ten():
    assert words(AGE, 999.7) == "1,000 years"


def test_typical_answers_are_labels_where_there_are_any():
    assert typical(AGREE, np.array([4.0, 4.0, 0.0]), np.ones(3)) == "fully"
    assert typical(AGREE._replace(labels=None), np.array([4.0]), np.ones(1)) == "5"
    assert typical(AGREE, np.array([]), np.array([])) is None


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 5)), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_a_weighted_quantile_is_that_of_people_repeated(pairs, q):
    values, weights = np.array(pairs, dtype=float).T
    counts = weights if weights.any() else np.ones(len(values))
    repeated = np.sort(np.repeat(values, counts.astype(int)))
    place = max(0, int(np.ceil(q * len(repeated) * (1 - 1e-12))) - 1)
    assert quantile(values, weights, q) in values
    if q > 1e-9:
        assert quantile(values, weights, q) == repeated[place]


@pytest.mark.parametrize("weight", [1, 0.1, 1 / 3, 0.7])
def test_the_lower_of_two_middle_answers_is_the_median_whatever_the_unit_of_weights(weight):
    for half in range(1, 40):
        assert quantile(np.arange(2.0 * half), np.full(2 * half, weight), 0.5) == half - 1


# ---- names


def row(question, value, direction="higher", column=None):
    return {
        "source_column": column or question,
        "question": question,
        "direction": direction,
        "cluster_value": value,
    }


def test_a_name_holds_the_two_leading_answers():
    rows = [row("How old are you?", "71 years"), row("Party", "r", "level:r"), row("c", "x")]
    (name,) = label_clusters({"/001/": rows}).values()
    assert name == "How old are you? 71 years (higher) · Party: r"


def test_a_short_word_takes_the_place_of_the_question():
    names = label_clusters(
        {"/001/": [row("How old are you?", "71 years", column="age")]}, {"age": "Age"}
    )
    assert names == {"/001/": "Age: 71 years (higher)"}


def test_an_answer_that_was_not_given_is_not_in_the_name():
    rows = [row("How old are you?", None, None), row("Party", "r", "level:r")]
    assert label_clusters({"/001/": rows}) == {"/001/": "Party: r"}


@pytest.mark.parametrize("rows", [[], [row("How old are you?", None, None)]])
def test_a_cluster_without_explanations_still_has_a_name(rows):
    (name,) = label_clusters({"/001/": rows}).values()
    assert name
    assert len(name) <= LONGEST


def test_siblings_that_lead_with_the_same_answers_are_told_apart_by_the_next():
    same = [row("a", "x"), row("b", "y")]
    names = label_clusters(
        {
            "/001/": [*same, row("c", "p")],
            "/002/": [*same, row("c", "q"), row("d", "r")],
            "/003/": [*same, row("c", "q"), row("d", "s")],
        }
    )
    assert len(set(names.values())) == 3
    assert names["/001/"] == "a: x · b: y"
    assert "d: s" in names["/003/"]


def test_siblings_of_long_questions_are_told_apart_too():
    first = row("How much do you trust the people who run it?", "neither much nor little of it")
    question = "How often do you speak with others about it?"
    names = label_clusters(
        {"/001/": [first, row(question, "daily")], "/002/": [first, row(question, "never")]}
    )
    assert len(set(names.values())) == 2


def test_many_siblings_that_answer_much_alike_keep_short_names():
    rows = [row(f"Question {i} of many, in many words?", f"the answer {i}") for i in range(30)]
    names = label_clusters({f"/{k:03d}/": rows for k in range(1, 21)}).values()
    assert all(0 < len(name) <= LONGEST for name in names)


def test_siblings_that_answer_alike_share_a_name():
    names = label_clusters({"/001/": [row("a", "x")], "/002/": [row("a", "x")]})
    assert names == {"/001/": "a: x", "/002/": "a: x"}


@given(
    st.lists(
        st.tuples(
            st.text(max_size=200),
            st.text(min_size=1, max_size=200),
            st.sampled_from(["higher", "lower", "middle", "extremes", "level:", None]),
        ),
        max_size=5,
    ),
    st.text(max_size=200),
)
def test_a_name_is_never_longer_than_120_characters(answers, short):
    rows = [row(question, value, direction and direction + value * (direction == "level:"))
            for question, value, direction in answers]  # fmt: skip
    shorts = {rows[0]["source_column"]: short} if rows else None
    assert all(
        len(n) <= 120 for n in label_clusters({"/001/": rows, "/002/": rows}, shorts).values()
    )


def test_a_text_is_cut_at_the_end_of_a_word():
    assert shortened("one two three", 13) == "one two three"
    assert shortened("one two three", 12) == "one two…"
    assert shortened("Donaudampfschifffahrt", 10) == "Donaudamp…"
