"""People are not grouped by what they skipped, and nobody's answers depend on the rows beside."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from reclust_spark.prepare.impute import Pool, impute, pool_size
from reclust_spark.prepare.learn import prepare_table


def four_groups(people: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Twelve questions of all kinds that tell four groups apart, without gaps."""
    rng = np.random.default_rng(seed)
    group = rng.integers(4, size=people)
    columns: dict[str, np.ndarray] = {}
    for i in range(5):
        middle = rng.permutation([1.5, 2.5, 3.5, 4.5])[group]
        columns[f"o{i}"] = np.clip(np.rint(middle + rng.normal(0, 0.8, people)), 1, 5)
    for i in range(3):
        yes = rng.permutation([0.1, 0.3, 0.7, 0.9])[group]
        columns[f"b{i}"] = (rng.random(people) < yes).astype(float)
    for i in range(2):
        towns = np.array(["n", "e", "s", "w"], dtype=object)
        columns[f"t{i}"] = towns[
            np.where(rng.random(people) < 0.7, group, rng.integers(4, size=people))
        ]
    for i in range(2):
        columns[f"x{i}"] = rng.permutation([-2.0, -0.7, 0.7, 2.0])[group] + rng.normal(size=people)
    return pd.DataFrame(columns), group


def told_apart(features: np.ndarray, who: np.ndarray) -> float:
    """How well a strong classifier tells from the features who is meant: .5 is not at all."""
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    guessed = cross_val_predict(model, features, who, cv=3, method="predict_proba")[:, 1]
    return float(roc_auc_score(who, guessed))


def names(n: int) -> list[str]:
    return [f"p{i:05d}" for i in range(n)]


def test_who_skipped_at_random_looks_like_the_others() -> None:
    frame, _ = four_groups(4000, 1)
    gaps = np.random.default_rng(2).random(frame.shape) < 0.2
    _, people = prepare_table(frame.mask(gaps), names(4000))
    many = gaps.sum(axis=1) > np.median(gaps.sum(axis=1))
    assert told_apart(people.features, many) < 0.56


def test_who_skipped_a_module_is_no_island() -> None:
    frame, _ = four_groups(4000, 3)
    module = ["o0", "o1", "b0", "t0", "x0"]
    without = np.random.default_rng(4).random(4000) < 0.25
    gaps = frame.copy()
    gaps.loc[without, module] = None
    preparation, people = prepare_table(gaps, names(4000))
    assert told_apart(people.features, without) < 0.56
    slots = np.flatnonzero(np.isin(preparation.encoder.positions, [0, 1]))
    spread = people.features[without][:, slots].std(axis=0) / people.features[~without][
        :, slots
    ].std(axis=0)
    assert np.all(np.abs(spread - 1) < 0.1)
    filled_centre = np.where(without[:, None], 0, people.features)
    assert told_apart(filled_centre, without) > 0.95


def test_what_is_filled_fits_the_person() -> None:
    frame, group = four_groups(4000, 5)
    gaps = frame.copy()
    gaps["x0"] = frame["x0"].where(np.arange(4000) % 3 > 0)
    _, people = prepare_table(gaps, names(4000))
    skipped = gaps["x0"].isna().to_numpy()
    given_x = people.features[:, -2]
    for one in range(4):
        mine = given_x[skipped & (group == one)].mean()
        others = given_x[~skipped & (group == one)].mean()
        assert abs(mine - others) < 0.15


def test_a_module_comes_from_one_person() -> None:
    rng = np.random.default_rng(6)
    secret = rng.integers(0, 1000, 3000) + 0.5
    frame = pd.DataFrame({"a": secret, "b": secret * 3, "c": rng.integers(1, 6, 3000)})
    without = rng.random(3000) < 0.3
    frame.loc[without, ["a", "b"]] = None
    _, people = prepare_table(frame, names(3000))
    assert np.allclose(people.features[:, 0], people.features[:, 1], atol=1e-3)
    assert len(np.unique(people.features[without, 0])) > 300


@pytest.fixture(scope="module")
def survey() -> tuple[np.ndarray, np.ndarray, Pool]:
    frame, _ = four_groups(1500, 7)
    frame = frame.mask(np.random.default_rng(8).random(frame.shape) < 0.3)
    preparation, _ = prepare_table(frame, names(1500))
    import pyarrow as pa

    from reclust_spark.prepare.questions import answers_of

    table = pa.Table.from_pandas(frame, preserve_index=False)
    encoder = preparation.encoder
    features = encoder.features(answers_of(table, encoder.questions))
    return features, np.array(names(1500), dtype=object), preparation.pool


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 1499), min_size=1, max_size=300, unique=True))
def test_a_persons_result_does_not_depend_on_the_batch(survey, rows: list[int]) -> None:
    features, ids, pool = survey
    whole = impute(features, ids, pool)
    assert np.array_equal(impute(features[rows], ids[rows], pool), whole[rows])


def test_complete_rows_are_left_alone_and_no_gap_remains(survey) -> None:
    features, ids, pool = survey
    result = impute(features, ids, pool)
    assert not np.isnan(result).any()
    given_answers = ~np.isnan(features)
    assert np.array_equal(result[given_answers], features[given_answers])


def test_another_seed_draws_other_donors(survey) -> None:
    features, ids, pool = survey
    other = Pool(pool.features, pool.hashes, pool.positions, pool.fill, pool.seed + 1)
    gaps = np.isnan(features)
    same = impute(features, ids, pool)[gaps] == impute(features, ids, other)[gaps]
    assert 0.1 < same.mean() < 0.9


def test_ties_do_not_favour_the_first_donors() -> None:
    frame = pd.DataFrame({"c": np.repeat([1, 2], 1000), "secret": np.arange(2000) + 0.5})
    frame.loc[::2, "secret"] = None
    _, people = prepare_table(frame, names(2000))
    filled = people.features[::2, 1]
    assert len(np.unique(filled[:500])) > 250


def test_a_person_without_any_answer_and_a_question_that_no_donor_answered() -> None:
    positions = np.array([0, 1, 1])
    features = np.array([[1, 2, 3], [4, 5, 6], [7, np.nan, np.nan]], dtype=np.float32)
    pool = Pool(features, np.arange(3, dtype=np.uint64), positions, np.zeros(3), 0)
    nothing = np.full((1, 3), np.nan, dtype=np.float32)
    filled = impute(nothing, np.array(["x"], dtype=object), pool)
    assert filled[0, 0] in (1, 4, 7)
    assert tuple(filled[0, 1:]) in {(2, 3), (5, 6)}
    unknown = np.array([[1, np.nan, np.nan]], dtype=np.float32)
    none = Pool(features[2:], np.arange(1, dtype=np.uint64), positions, np.array([0, 8.0, 9.0]), 0)
    assert impute(unknown, np.array(["x"], dtype=object), none).tolist() == [[1, 8, 9]]


def test_the_pool_is_bounded() -> None:
    assert pool_size(20) == 5000
    assert pool_size(4000) == 1000
    assert pool_size(0) == 5000
