"""The pure parts of a report: colours, swarms, maps, pictures, outside questions."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from reclust_spark.errors import ConfigError
from reclust_spark.explain.shapley import Topic
from reclust_spark.onevsall.predict import Question
from reclust_spark.report.colours import colour_of, contrast, text_on
from reclust_spark.report.content import CellKey, name_of
from reclust_spark.report.outside import outside_of
from reclust_spark.report.pictures import added, check_shape, pictures_of, sums_of
from reclust_spark.report.samples import Rank, maps_of, swarms_of
from reclust_spark.report.swarms import CHOSEN, NOT_CHOSEN, OTHERS, swarm_of

NAN = np.nan
LEVELS = ("1", "2", "3")


def question(name: str, kind: str, labels=("low", "middle", "high"), **more) -> Question:
    levels = None if kind in ("numeric", "count") else LEVELS[: len(labels)]
    row = {"position": 0, "source_column": name, "question": f"{name}?", "kind": kind}
    row |= {"levels": levels, "labels": None if levels is None else labels, "codes": None}
    return Question.of(row | {"missing_codes": None, "unit": None, "block_id": None} | more)


# ---- colours


def test_a_cluster_has_a_colour_and_its_children_shades_of_it():
    tops = [colour_of(f"/{i:03d}/") for i in range(1, 9)]
    assert len(set(tops)) == 8
    children = [colour_of(f"/002/{i:03d}/") for i in range(1, 7)]
    assert len({*children, tops[1]}) == 7
    assert all(hue_gap(child, tops[1]) < 45 for child in children)
    assert hue_gap(tops[0], tops[1]) > 60


@pytest.mark.parametrize("path", ["/", "/001/", "/008/", "/020/", "/004/007/", "/007/003/002/"])
def test_colours_are_seen_on_light_and_dark_and_can_be_written_on(path):
    colour = colour_of(path)
    assert contrast(colour, "#FFFFFF") > 1.3
    assert contrast(colour, "#16181D") > 2
    assert contrast(colour, text_on(colour)) >= 4.5


def test_many_clusters_below_one_still_differ():
    colours = [colour_of(f"/001/{i:03d}/") for i in range(1, 13)]
    for one, other in itertools.combinations(colours, 2):
        assert one != other


def hue_gap(one: str, other: str) -> float:
    import colorsys

    hues = [
        colorsys.rgb_to_hls(*(int(c[at : at + 2], 16) / 255 for at in (1, 3, 5)))[0] * 360
        for c in (one, other)
    ]
    gap = abs(hues[0] - hues[1])
    return min(gap, 360 - gap)


def test_paths_as_people_say_them():
    assert [name_of(path) for path in ("/", "/003/", "/003/012/")] == ["everyone", "3", "3.12"]


# ---- swarms


def test_a_swarm_is_sorted_by_value_and_shaded_from_low_to_high():
    asked = (question("age", "numeric"),)
    swarm = swarm_of(
        Topic("age", "age?", (0,)), asked, np.array([50.0, NAN, 20, 80]), np.array([0.5, 0, -1, 2]),
        None,
    )  # fmt: skip
    assert swarm.shap.tolist() == [-1, 0, 0.5, 2]
    np.testing.assert_allclose(swarm.shade, [0, NAN, 0.5, 1], equal_nan=True)
    assert (swarm.low, swarm.high) == ("20", "80")
    assert [swarm.words[i] if i >= 0 else None for i in swarm.word] == ["20", None, "50", "80"]


def test_one_far_answer_does_not_take_all_colours():
    answers = np.array([*range(100), 10_000.0])
    swarm = swarm_of(
        Topic("age", "age?", (0,)), (question("age", "numeric"),), answers, answers, None
    )
    assert swarm.shade[50] == pytest.approx(0.5, abs=0.05)
    assert swarm.shade[-1] == 1


def test_levels_are_shaded_by_the_one_that_leads():
    asked = (question("town", "nominal"),)
    answers, shap = np.array([0.0, 1, 2, NAN]), np.arange(4.0)
    swarm = swarm_of(Topic("town", "town?", (0,)), asked, answers, shap, "middle")
    np.testing.assert_array_equal(swarm.shade, [0, 1, 0, NAN])
    assert (swarm.low, swarm.high) == (OTHERS, "middle")
    both = (question("car", "binary", ("no", "yes")),)
    swarm = swarm_of(Topic("car", "car?", (0,)), both, np.array([0.0, 1]), np.arange(2.0), "no")
    assert (swarm.low, swarm.high, swarm.shade.tolist()) == ("yes", "no", [1, 0])


def test_options_are_chosen_or_not():
    asked = tuple(question(name, "binary", ("no", "yes")) for name in ("tv", "web"))
    topic = Topic("news", "Where from?", (0, 1), ("television", "the web"))
    swarm = swarm_of(topic, asked, np.array([0.0, 1]), np.array([1.0, 2]), "the web")
    assert swarm.words == (NOT_CHOSEN, CHOSEN)
    assert (swarm.question, swarm.high) == ("Where from?", "the web")


def test_swarms_come_by_rank_and_those_without_one_are_left_out():
    asked = (question("a", "numeric"), question("b", "numeric"), question("c", "numeric"))
    topics = [Topic(q.source_column, q.question, (i,)) for i, q in enumerate(asked)]
    sample = pa.table(
        {
            "path": ["/001/"] * 3 + ["/002/"],
            "source_column": ["a", "b", "c", "a"],
            "answer": [1.0, 2, 3, 4],
            "shap": [0.1, 0.2, 0.3, 0.4],
        }
    )
    ranks = {("/001/", "a"): Rank(2, "higher"), ("/001/", "b"): Rank(1, None)}
    found = swarms_of(sample, ranks, topics, asked)
    assert list(found) == ["/001/"]
    assert [swarm.source_column for swarm in found["/001/"]] == ["b", "a"]
    assert swarms_of(sample.slice(0, 0), ranks, topics, asked) == {}


def test_maps_know_the_number_of_the_child():
    sample = pa.table(
        {
            "path": ["/", "/", "/003/"],
            "x": pa.array([1, 2, 3], pa.float32()),
            "y": pa.array([4, 5, 6], pa.float32()),
            "child_path": pa.array(["/003/", None, "/003/012/"], pa.string()),
        }
    )
    maps = maps_of(sample, {"/": 900, "/003/": 300})
    assert maps["/"].child.tolist() == [3, 0]
    assert maps["/003/"].child.tolist() == [12]
    assert (maps["/003/"].n_all, maps["/"].y.tolist()) == (300, [4, 5])


# ---- pictures


def test_a_clusters_image_is_the_weighted_mean_of_all_below_it():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 200, (60, 6)).astype(np.float32)
    images[3, 2] = NAN
    weights = rng.uniform(1, 3, 60)
    paths = np.array(["/001/", "/002/", "/"], dtype=object)[np.arange(60) % 3]
    halves = [sums_of(paths[:30], images[:30], weights[:30])]
    halves += [sums_of(paths[30:], images[30:], weights[30:])]
    merged = [added(one, other) for one, other in zip(*halves, strict=True)]
    for parts in (merged, halves[0] + halves[1]):
        pictures = pictures_of(parts, {"/001/": images[0]}, (2, 3))
        assert set(pictures) == {"/", "/001/", "/002/"}
        low, high = np.nanmin(images), np.nanmax(images)
        for path, inside in (("/", paths != ""), ("/002/", paths == "/002/")):
            mean = np.ma.average(
                np.ma.masked_invalid(images[inside]), axis=0, weights=weights[inside]
            )
            expected = np.rint(255 * (mean - low) / (high - low)).reshape(2, 3)
            assert np.abs(pictures[path].mean.astype(int) - expected).max() <= 1
        assert pictures["/002/"].medoid is None
        assert pictures["/001/"].medoid.shape == (2, 3)


def test_an_image_of_another_size_is_refused():
    check_shape((28, 28), 784)
    with pytest.raises(ConfigError, match=r"report\.image: 28 × 27 .* 784"):
        check_shape((28, 27), 784)


# ---- outside questions


def row(path, level, order, by=("", "", None), value=0.5, statistic="share"):
    by_question, by_level, by_order = by
    return {
        "path": path, "question": "vote", "question_text": "Voted for?", "level": level,
        "level_order": order, "by_question": by_question, "by_text": by_question.title(),
        "by_level": by_level, "by_order": by_order, "statistic": statistic, "value": value,
        "population_value": 0.4, "index": 125.0, "ci_low": 0.4, "ci_high": 0.6, "confidence": 0.9,
        "n": 100, "n_eff": 90.0, "q_value": 0.01, "suppressed": value is None,
        "input_table": "s3a://bucket/usage.parquet",
    }  # fmt: skip


def test_outside_questions_keep_the_order_of_their_levels():
    rows = [
        row("/001/", "never", 2),
        row("/001/", "always", 0),
        row("/001/", "often", 1, value=None),
        row("/", "always", 0, ("state", "Utah", 1)),
        row("/", "always", 0, ("state", "Ohio", 0)),
    ]
    alone, crossed = outside_of(rows)
    assert alone.levels == ("always", "often", "never")
    assert alone.by_question == "" and alone.by_levels == ()
    assert alone.cells[CellKey("/001/", "", "often", "share")].suppressed
    assert alone.cells[CellKey("/001/", "", "never", "share")].index100 == 125
    assert crossed.by_levels == ("Ohio", "Utah")
    assert (crossed.by_text, crossed.input_table) == ("State", "usage.parquet")
    assert alone.confidence == 0.9
    assert outside_of([]) == ()


def test_a_number_has_a_mean_and_a_median_and_no_levels():
    rows = [row("/", "", None, statistic=name) for name in ("median", "mean")]
    (asked,) = outside_of(rows)
    assert asked.statistics == ("mean", "median")
    assert asked.levels == ()
