"""Shares, means and medians of clusters, against formulas written out person by person."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from reclust_spark.config import PrepareOptions
from reclust_spark.crosstab import tabulate as estimating
from reclust_spark.crosstab.cells import MISSING
from reclust_spark.crosstab.design import in_parts
from reclust_spark.crosstab.questions import Asked, Sampled, asked_of
from reclust_spark.crosstab.tabulate import KEYS, SUMS, Pair, Plan, estimate, tabulate
from reclust_spark.paths import ROOT
from reclust_spark.prepare.codebook import Codebook, QuestionEntry
from reclust_spark.prepare.kinds import decide
from reclust_spark.prepare.learn import spec_of
from reclust_spark.prepare.profile import profile_column
from reclust_spark.prepare.values import NUMBER, TEXT, numbers_of
from reclust_spark.warehouse.names import MEAN, MEDIAN, SHARE

PATHS = (ROOT, "/001/", "/001/001/", "/001/002/", "/002/", "/003/")
VOTES = ["for", "against", "neither"]
BOOK = Codebook(questions={"vote": QuestionEntry(levels={vote: vote for vote in VOTES})})


class Direct(NamedTuple):
    """A ratio of a domain, worked out person by person."""

    value: float
    variance: float
    df: float
    n_eff: float


def people(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """People in strata and sampling units, one stratum with a single one; some did not answer."""
    rng = np.random.default_rng(seed)
    stratum = np.append(rng.integers(0, 3, n - 12), np.full(12, 3))
    unit = np.where(stratum == 3, 0, rng.integers(0, 6, n))
    frame = pd.DataFrame(
        {
            "path": rng.choice(PATHS, n, p=[0.05, 0.05, 0.3, 0.2, 0.35, 0.05]),
            "weight": rng.choice([0.0, 0.5, 1.0, 3.0], n, p=[0.1, 0.3, 0.4, 0.2]),
            "stratum": [f"s{h}" for h in stratum],
            "unit": 100 * stratum + unit,
            "vote": rng.choice(VOTES, n, p=[0.5, 0.3, 0.2]),
            "money": np.round(rng.lognormal(3, 1, n), 2) + 10 * (unit % 2),
            "side": rng.choice(["left", "right"], n),
        }
    )
    frame.loc[frame.path == "/001/001/", "money"] *= 1.3
    for name in ("vote", "money", "side"):
        frame.loc[rng.random(n) < 0.1, name] = None
    frame.loc[frame.path == "/003/", ["vote", "money"]] = None  # nobody answers there
    return frame


def asked(frame: pd.DataFrame, name: str, **options: int) -> Asked:
    array = pa.array(frame[name], from_pandas=True)
    material = NUMBER if pa.types.is_floating(array.type) else TEXT
    spec = spec_of(name, material, str(array.type), BOOK, PrepareOptions())._replace(cap=500)
    profile = profile_column(array, spec)
    question = decide(spec, profile, BOOK, PrepareOptions()).question
    numbers = numbers_of(array, spec) if material == NUMBER else np.empty(0)
    limits = {"most_marks": 500, "max_values": 11} | options
    return asked_of(question, profile, Sampled(numbers, frame.weight.to_numpy()), **limits)


def plan_of(frame: pd.DataFrame, by_units: bool, **options: int) -> Plan:
    """Vote and money, alone and by side."""
    strata = sorted(frame.stratum.unique())
    counted = frame.groupby("stratum").unit.nunique() if by_units else frame.stratum.value_counts()
    return Plan(
        tuple(asked(frame, name, **options) for name in ("vote", "money", "side")),
        (Pair(0, None), Pair(1, None), Pair(0, 2), Pair(1, 2)),
        PATHS,
        tuple(strata),
        tuple(float(counted[h]) for h in strata),
        by_units,
        0.95,
    )


def batches(frame: pd.DataFrame, size: int) -> list[pa.RecordBatch]:
    columns = ["path", "weight", "stratum", "unit", "vote", "money", "side"]
    table = pa.Table.from_pandas(frame[columns], preserve_index=False)
    return table.combine_chunks().to_batches(size)


def cells_of(frame: pd.DataFrame, plan: Plan, size: int = 1_000) -> pa.Table:
    """Cells, each once, as Spark would merge those of several tasks."""
    halves = np.array_split(np.arange(len(frame)), 2)
    parts = [
        batch
        for half in halves
        for batch in tabulate(iter(batches(frame.iloc[half], size)), plan)
    ]  # fmt: skip
    merged = pa.Table.from_batches(parts).group_by(list(KEYS))
    merged = merged.aggregate([(name, "sum") for name in SUMS])
    return merged.rename_columns([name.removesuffix("_sum") for name in merged.column_names])


def estimates(frame: pd.DataFrame, plan: Plan, size: int = 1_000) -> pd.DataFrame:
    cells, rows = cells_of(frame, plan, size), []
    for pair, by_level in cells.select(["pair", "by_level"]).to_pandas().drop_duplicates().values:
        mine = cells.to_pandas().query("pair == @pair and by_level == @by_level")
        rows.append(estimate(int(pair), int(by_level), pa.Table.from_pandas(mine), plan))
    found = pa.concat_tables(rows).to_pandas()
    found["path"] = [plan.paths[i] for i in found.path]
    return found.set_index(["pair", "by_level", "path", "level"]).sort_index()


def linearised(frame: pd.DataFrame, inside, y, plan: Plan) -> tuple[float, dict]:
    """A ratio, and what each person adds to it."""
    whole = math.fsum(w for w, i in zip(frame.weight, inside, strict=True) if i)
    value = math.fsum(w * v for w, v, i in zip(frame.weight, y, inside, strict=True) if i) / whole
    added = {}
    for person, w, v, i in zip(frame.index, frame.weight, y, inside, strict=True):
        added[person] = w * (v - value) / whole if i else 0.0
    return value, added


def total_variance(frame: pd.DataFrame, added: dict, plan: Plan) -> float:
    """The variance of a sum over units in strata; one of a stratum's own deviates from all."""
    variance = 0.0
    for h, stratum in enumerate(plan.strata):
        rows = frame[frame.stratum == stratum]
        if plan.by_units:
            units = [sum(added[p] for p in some.index) for _, some in rows.groupby("unit")]
        else:
            units = [added[person] for person in rows.index]
        n = int(plan.n_h[h])
        assert n == len(units)
        if n == 1:
            variance += units[0] ** 2
            continue
        centre = sum(units) / n
        variance += n / (n - 1) * sum((unit - centre) ** 2 for unit in units)
    return variance


def degrees(frame: pd.DataFrame, inside, plan: Plan) -> int:
    some = frame[inside & (frame.weight > 0)]
    n = len(some.groupby(["stratum", "unit"])) if plan.by_units else len(some)
    return n - some.stratum.nunique()


def direct(frame: pd.DataFrame, inside, y, plan: Plan) -> Direct:
    value, added = linearised(frame, inside, y, plan)
    variance = total_variance(frame, added, plan)
    some = frame[inside & (frame.weight > 0)]
    w, v = some.weight, y[some.index]
    spread = float((w * (v - value) ** 2).sum() / w.sum())
    n_eff = min(len(some), spread / variance)
    return Direct(value, variance, degrees(frame, inside, plan), n_eff)


def within(frame: pd.DataFrame, path: str, name: str, side: str | None = None) -> pd.Series:
    inside = frame.path.str.startswith(path) & frame[name].notna()
    return inside if side is None else inside & (frame.side == side)


@pytest.fixture(scope="module", params=[False, True], ids=["people", "units"])
def example(request) -> tuple[pd.DataFrame, Plan, pd.DataFrame]:
    frame = people()
    plan = plan_of(frame, request.param)
    return frame, plan, estimates(frame, plan)


@pytest.mark.parametrize("side", [None, "left", "right"])
def test_shares_and_their_limits_are_those_of_the_formulas(example, side):
    frame, plan, found = example
    found = found[found.statistic == SHARE]
    key = (0, 0) if side is None else (2, ["left", "right"].index(side))
    for path in PATHS[:-1]:
        for level, vote in enumerate(VOTES):
            row = found.loc[(*key, path, level)]
            inside = within(frame, path, "vote", side)
            y = (frame.vote == vote).astype(float)
            expected = direct(frame, inside, y, plan)
            p, size = expected.value, expected.value * (1 - expected.value) / expected.variance
            assert row.value == pytest.approx(p)
            assert row.n_eff == pytest.approx(expected.n_eff)
            assert row.people == (inside & (frame.vote == vote) & (frame.weight > 0)).sum()
            near = (p * size + 0.5) / (size + 1)
            half = stats.t.ppf(0.975, expected.df) / math.sqrt(size * near * (1 - near))
            limits = [1 / (1 + math.exp(-(math.log(near / (1 - near)) + x))) for x in (-half, half)]
            assert [row.low, row.high] == pytest.approx(limits)


@pytest.mark.parametrize("side", [None, "left"])
def test_means_and_their_limits_are_those_of_the_formulas(example, side):
    frame, plan, found = example
    key = (1, 0) if side is None else (3, 0)
    rows = found[found.statistic == MEAN]
    for path in PATHS[:-1]:
        inside = within(frame, path, "money", side)
        expected = direct(frame, inside, frame.money.fillna(0), plan)
        row = rows.loc[(*key, path, 0)]
        assert row.value == pytest.approx(expected.value)
        assert row.n_eff == pytest.approx(expected.n_eff)
        half = (row.high - row.low) / 2
        assert (row.high + row.low) / 2 == pytest.approx(row.value)
        least = stats.t.ppf(0.975, expected.df) * math.sqrt(expected.variance)
        df = kurtosis_df(frame, inside, expected, plan)
        assert half == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(expected.variance))
        assert half >= least * (1 - 1e-9)


def kurtosis_df(frame, inside, expected: Direct, plan: Plan) -> float:
    """Satterthwaite's degrees of freedom, from the fourth powers of what units add."""
    _, added = linearised(frame, inside, frame.money.fillna(0), plan)
    some = frame[inside & (frame.weight > 0)]
    z = pd.Series(added)[some.index]
    if plan.by_units:
        z = z.groupby([some.stratum, some.unit]).sum()
    spread = (z**4).sum() - (z**2).sum() ** 2 / len(z)
    return min(expected.df, 2 * (z**2).sum() ** 2 / spread)


def test_a_cluster_is_tested_against_everyone_else(example):
    """With the covariance that shared strata and units bring: the z of the difference, directly."""
    frame, plan, found = example
    rows = found[found.statistic == MEAN]
    for path in PATHS[1:-1]:
        inside = within(frame, path, "money")
        rest = frame.money.notna() & ~inside
        y = frame.money.fillna(0)
        (mean, added), (other, others) = (linearised(frame, i, y, plan) for i in (inside, rest))
        apart = {p: added[p] - others[p] for p in added}
        variance = total_variance(frame, apart, plan)
        ours, theirs = direct(frame, inside, y, plan), direct(frame, rest, y, plan)
        df = kurtosis_df(frame, inside, ours, plan)
        joint = (ours.variance + theirs.variance) ** 2 / (
            ours.variance**2 / df + theirs.variance**2 / theirs.df
        )
        p = 2 * stats.t.sf(abs(mean - other) / math.sqrt(variance), joint)
        assert rows.loc[(1, 0, path, 0)].p_value == pytest.approx(p)
    assert math.isnan(rows.loc[(1, 0, ROOT, 0)].p_value), "everyone is not tested"


def test_medians_are_the_weighted_ones_and_their_limits_woodruffs(example):
    frame, plan, found = example
    rows = found[found.statistic == MEDIAN]
    for path in PATHS[:-1]:
        inside = within(frame, path, "money")
        some = frame[inside & (frame.weight > 0)].sort_values("money")
        below = some.weight.cumsum() / some.weight.sum()

        def quantile(share: float, some=some, below=below) -> float:
            return float(some.money[below >= share - 1e-12].iloc[0])

        row = rows.loc[(1, 0, path, 0)]
        assert row.value == pytest.approx(quantile(0.5))
        y = (frame.money <= row.value).astype(float)
        expected = direct(frame, inside, y, plan)
        half = stats.t.ppf(0.975, expected.df) * math.sqrt(expected.variance)
        assert row.low == pytest.approx(quantile(max(0.5 - half, 0)))
        assert row.high == pytest.approx(quantile(min(0.5 + half, 1)))
        assert math.isnan(row.p_value)


def test_a_cluster_in_which_nobody_answered_has_no_figures(example):
    _, _, found = example
    for pair in (0, 1):
        rows = found.loc[(pair, 0, "/003/")]
        assert (rows.people[rows.index != MISSING] == 0).all()
        assert rows[["value", "low", "high", "n_eff", "p_value"]].isna().all().all()


def test_it_makes_no_difference_which_task_counts_whom(example):
    frame, plan, found = example
    shuffled = estimates(frame.sample(frac=1, random_state=1), plan, size=37)
    pd.testing.assert_frame_equal(found, shuffled, rtol=1e-9)


def test_nodes_are_estimated_a_few_at_a_time_to_the_same_end(example, monkeypatch):
    frame, plan, found = example
    monkeypatch.setattr(estimating, "in_parts", lambda *a: in_parts(*a, most=30))
    parted = estimates(frame, plan)
    pd.testing.assert_frame_equal(found, parted, rtol=1e-12)


def test_those_who_did_not_answer_the_second_question_are_counted_only(example):
    frame, _, found = example
    rows = found.loc[(2, MISSING, ROOT)]
    someone = (frame.weight > 0) & frame.side.isna() & frame.vote.notna()
    assert rows.people[rows.index != MISSING].sum() == someone.sum()
    assert rows.value.isna().all()


def test_a_coarse_scale_finds_nearly_the_same_medians(example):
    frame, _, found = example
    coarse = plan_of(frame, False, most_marks=40)
    assert len(coarse.asked[1].marks) <= 40
    rough = estimates(frame, coarse)
    for path in PATHS[:3]:
        fine, near = (
            some[some.statistic == MEDIAN].loc[(1, 0, path, 0)].value for some in (found, rough)
        )
        some = np.sort(frame.money[within(frame, path, "money")])
        places = np.searchsorted(some, [fine, near]) / len(some)
        assert abs(places[0] - places[1]) < 0.05


def test_a_share_of_none_or_all_has_clopper_and_pearsons_limits():
    n = 60
    frame = people(n).assign(weight=1.0, stratum="s0", path="/001/", vote="for")
    frame.loc[: n // 2 - 1, ["path", "vote"]] = ["/002/", "against"]
    plan = plan_of(frame, False)
    found = estimates(frame, plan).query("statistic == @SHARE")
    exact = stats.binomtest(0, n // 2).proportion_ci(0.95, "exact")
    row = found.loc[(0, 0, "/001/", VOTES.index("against"))]
    assert (row.value, row.low) == (0.0, 0.0)
    assert row.high == pytest.approx(exact.high)
    assert row.n_eff == n // 2
    row = found.loc[(0, 0, "/001/", VOTES.index("for"))]
    assert (row.value, row.high) == (1.0, 1.0)
    assert row.low == pytest.approx(1 - exact.high)
    assert row.p_value < 1e-6, "and none against all is a difference"


def test_none_of_a_few_is_no_discovery_where_it_is_rare():
    """With nobody in the cluster, its own variance is 0: only the population's can be believed."""
    frame = people(500).assign(weight=1.0, stratum="s0", path="/002/", vote="for")
    frame.loc[:11, "path"] = "/001/"
    frame.loc[100:109, "vote"] = "neither"
    found = estimates(frame, plan_of(frame, False)).query("statistic == @SHARE")
    assert found.loc[(0, 0, "/001/", VOTES.index("neither"))].p_value > 0.3


def test_answers_that_are_all_alike_have_a_mean_and_no_limits():
    frame = people(100).assign(weight=1.0, path="/002/")
    frame.loc[:29, ["path", "money"]] = ["/001/", 20.0]
    found = estimates(frame, plan_of(frame, False))
    row = found[found.statistic == MEAN].loc[(1, 0, "/001/", 0)]
    assert row.value == pytest.approx(20)
    assert math.isnan(row.low) and math.isnan(row.high)
    assert row.n_eff == 30


@pytest.fixture(scope="module")
def bench():
    file = Path(__file__).parents[1] / "scripts" / "bench_crosstab"
    loader = importlib.machinery.SourceFileLoader("bench_crosstab", str(file))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


def test_intervals_cover_where_inclusion_depends_on_the_answer(bench):
    """200 samples of the bench's fifth setting: 95 % ± 3 standard errors of so few."""
    how = next(how for how in bench.SAMPLINGS if how.units and how.informative)
    covered = bench.coverage(how, draws=200, seed=3)
    assert set(covered) >= {"share .1", "mean", "median, interpolated"}
    for name, figure in covered.items():
        assert 0.9 <= figure.covered <= 1.0, name
        assert figure.n_eff >= 50
    assert SHARE in {row.statistic for row in covered.values()}
