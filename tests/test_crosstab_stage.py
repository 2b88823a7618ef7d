"""`reclust crosstab` on Spark: outside questions at every node, bad tables, and what is printed."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from delta.tables import DeltaTable

from reclust_spark.config import load_config
from reclust_spark.crosstab import stage as crosstab
from reclust_spark.crosstab.stage import read_crosstabs
from reclust_spark.errors import InputError
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    CROSSTABS,
    MEAN,
    MEDIAN,
    METRICS,
    NODES,
    SHARE,
    TREE,
)
from reclust_spark.warehouse.tables import Warehouse
from tests.test_explain_stage import config_of, copied, last_run, planted, planted_survey, run

LOG = "reclust_spark.crosstab.stage"
ASKED = (
    "crosstab.questions=[faith, revenue]",
    "crosstab.by=[town, revenue]",
    "crosstab.min_n=1",
)
LEVELS = "{1: never, 2: seldom, 3: sometimes, 4: often, 5: daily}"
CODEBOOK = f"""
questions:
  faith: {{question: "How often do you pray?", levels: {LEVELS}}}
  plan: {{question: "What do you pay for?", missing_codes: [none]}}
"""


def outside_table() -> pd.DataFrame:
    """What else is known of the planted survey's people; a few are unknown, some said nothing."""
    people = planted_survey()
    rng = np.random.default_rng(1)
    n = len(people)
    table = pd.DataFrame(
        {
            "who": people.uid,
            "revenue": np.round(np.exp(rng.normal(3, 1, n)) * (1 + people.income / 4), 2),
            "plan": rng.choice(["basic", "plus", "none"], n),
            "faith": people.faith,
            "town": people.town,
            "code": [f"c{i}" for i in range(n)],
            "region": np.array(["north", "south"])[np.arange(n) % 2],
            "block": np.arange(n) % 40,
            "empty": np.full(n, np.nan),
        }
    )
    table.loc[rng.random(n) < 0.1, "revenue"] = np.nan
    stranger = table.iloc[[0]].assign(who="stranger")
    return pd.concat([table, stranger], ignore_index=True)


@pytest.fixture(scope="module")
def zoomed(spark, tmp_path_factory) -> Warehouse:
    return planted("zoomed", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def refusing(zoomed, tmp_path_factory) -> Warehouse:
    """A warehouse in which nothing has ever been crossed."""
    return copied(zoomed, tmp_path_factory.mktemp("refusing"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("outside")
    outside_table().to_parquet(home / "outside.parquet")
    (home / "codebook.yaml").write_text(CODEBOOK)
    return home


@pytest.fixture(scope="module")
def config(home):
    def make(warehouse: Warehouse, *more: str):
        settings = [
            f"warehouse={warehouse.place}",
            f"crosstab.input={home}/outside.parquet",
            "crosstab.id=who",
            f"input.codebook={home}/codebook.yaml",
        ]
        return load_config(settings=[*settings, *more], environment={})

    return make


@pytest.fixture(scope="module")
def crossed(zoomed, config, tmp_path_factory) -> Warehouse:
    """Faith and revenue, alone and by town, and by revenue's quarters; nothing is suppressed."""
    warehouse = copied(zoomed, tmp_path_factory.mktemp("crossed"))
    run(crosstab, warehouse, config(warehouse, *ASKED))
    return warehouse


@pytest.fixture(scope="module")
def rows(crossed) -> pd.DataFrame:
    return pd.DataFrame(read_crosstabs(crossed, 1))


@pytest.fixture(scope="module")
def people(zoomed) -> pd.DataFrame:
    """Everyone's place and weight, with what the outside table says."""
    places = zoomed.read(ASSIGNMENTS, 1).select("row_id", "path", "weight").toPandas()
    return places.merge(outside_table(), left_on="row_id", right_on="who")


def test_every_node_level_and_group_has_a_row(rows, zoomed):
    paths = zoomed.read(NODES, 1).count()
    faith = rows[rows.question == "faith"]
    assert len(faith[faith.by_question == ""]) == paths * 5
    assert len(faith[faith.by_question == "town"]) == paths * 5 * 4
    assert len(faith[faith.by_question == "revenue"]) == paths * 5 * 4
    revenue = rows[rows.question == "revenue"]
    assert set(revenue.by_question) == {"", "town"}, "not with itself"
    assert len(revenue[revenue.by_question == ""]) == paths * 2
    assert set(revenue.statistic) == {MEAN, MEDIAN} and set(faith.statistic) == {SHARE}
    assert not rows.duplicated(list(CROSSTABS.key)).any()


def test_figures_are_the_weighted_ones_of_a_node_and_all_below(rows, people):
    seen = 0
    for row in rows[~rows.suppressed & rows.value.notna()].itertuples():
        some = people[people.path.str.startswith(row.path) & people[row.question].notna()]
        if row.by_question == "town":
            some = some[some.town == row.by_level]
        if row.by_question == "revenue":
            continue
        if row.statistic == SHARE:
            words = some.faith.map(
                {1: "never", 2: "seldom", 3: "sometimes", 4: "often", 5: "daily"}
            )
            expected = np.average(words == row.level, weights=some.weight)
        elif row.statistic == MEAN:
            expected = np.average(some.revenue, weights=some.weight)
        else:
            ordered = some.sort_values("revenue")
            below = ordered.weight.cumsum() / ordered.weight.sum()
            expected = ordered.revenue[below >= 0.5].iloc[0]
        # there are more than 500 different revenues: medians are interpolated on a scale
        assert row.value == pytest.approx(expected, rel=0.02 if row.statistic == MEDIAN else 1e-9)
        assert row.n == len(some)
        assert 0 < row.n_eff <= row.n
        seen += 1
    assert seen > 60


def test_levels_are_the_codebooks_in_its_order(rows):
    faith = rows[(rows.question == "faith") & (rows.by_question == "")]
    order = faith.drop_duplicates("level").sort_values("level_order").level.tolist()
    assert order == ["never", "seldom", "sometimes", "often", "daily"]
    assert set(faith.question_text) == {"How often do you pray?"}


def test_numbers_are_cut_at_the_populations_quartiles(rows, people):
    quarters = rows[(rows.by_question == "revenue") & (rows.path == "/")]
    quarters = quarters.drop_duplicates("by_level").sort_values("by_order")
    names = quarters.by_level.tolist()
    assert names[0].startswith("up to ") and names[-1].startswith("over ") and len(names) == 4
    known = people[people.revenue.notna()].sort_values("revenue")
    below = known.weight.cumsum() / known.weight.sum()
    cut = float(names[0].removeprefix("up to "))
    assert cut == pytest.approx(known.revenue[below >= 0.25].iloc[0], rel=1e-3)
    assert quarters.n.tolist() == pytest.approx([len(known) / 4] * 4, rel=0.2)


def test_an_index_compares_with_the_population_of_the_same_group(rows):
    shown = rows[~rows.suppressed & rows.value.notna()]
    key = ["question", "by_question", "by_level", "level", "statistic"]
    root = shown[shown.path == "/"].set_index(key)
    whole = shown.set_index(key).join(root.value.rename("whole")).reset_index()
    assert whole.population_value.to_numpy() == pytest.approx(whole.whole.to_numpy())
    some = whole[whole.whole > 0]
    assert some["index"].to_numpy() == pytest.approx((100 * some.value / some.whole).to_numpy())
    assert root["index"][root.value > 0].to_numpy() == pytest.approx(100)
    assert root.p_value.isna().all(), "everyone is compared with nobody"


def test_the_false_discovery_rate_is_of_all_cells_of_a_question(rows):
    for _, some in rows.groupby(["question", "by_question"]):
        p = some.p_value.dropna().to_numpy()
        q = some.q_value.dropna().to_numpy()
        assert len(p) == len(q) and (q >= p - 1e-12).all()
        order = np.argsort(p)[::-1]
        rank = np.arange(len(p), 0, -1)
        expected = np.minimum.accumulate(p[order] * len(p) / rank)
        assert q[order] == pytest.approx(expected)


def test_the_same_again_is_reused_and_other_questions_leave_these(crossed, config, tmp_path):
    warehouse = copied(crossed, tmp_path)
    before, first = warehouse.delta_version(CROSSTABS), read_crosstabs(warehouse, 1)
    assert run(crosstab, warehouse, config(warehouse, *ASKED)).reused
    assert warehouse.delta_version(CROSSTABS) == before
    run(crosstab, warehouse, config(warehouse, "crosstab.questions=faith", "crosstab.min_n=40"))
    assert warehouse.delta_version(CROSSTABS) == before + 1, "one commit"
    again = pd.DataFrame(read_crosstabs(warehouse, 1))
    new = again.run_id == last_run(warehouse, "crosstab").run_id
    assert set(zip(again[new].question, again[new].by_question, strict=True)) == {("faith", "")}
    old = [r for r in first if (r["question"], r["by_question"]) != ("faith", "")]
    pd.testing.assert_frame_equal(
        again[~new].reset_index(drop=True), pd.DataFrame(old), check_dtype=False
    )
    hidden = again[again.suppressed]
    assert len(hidden) and set(hidden.run_id) == set(again[new].run_id)
    figures = ["value", "index", "ci_low", "ci_high", "n", "n_eff", "p_value", "q_value"]
    assert hidden[figures].isna().all().all()
    assert (again[new & ~again.suppressed].n >= 40).all()


def test_only_complete_runs_are_read(crossed, zoomed, tmp_path):
    assert read_crosstabs(zoomed, 1) == []
    warehouse = copied(crossed, tmp_path)
    killed = warehouse.read(CROSSTABS, 1).where("path = '/'").toPandas().assign(run_id="killed")
    frame = warehouse.local(CROSSTABS, killed.replace({np.nan: None}).to_dict("records"))
    warehouse.append(CROSSTABS, frame)
    assert "killed" not in {row["run_id"] for row in read_crosstabs(warehouse, 1)}
    assert len(read_crosstabs(warehouse, 1)) == len(read_crosstabs(crossed, 1))
    shallow = read_crosstabs(crossed, 1, deepest=1)
    assert {len(row["path"]) for row in shallow} == {1, 5}


def test_a_csv_says_the_same_by_another_road(crossed, zoomed, config, home, tmp_path, rows):
    warehouse = copied(zoomed, tmp_path)
    table = outside_table()
    table.to_csv(tmp_path / "outside.csv", index=False)
    asked = [f"crosstab.input={tmp_path}/outside.csv", "crosstab.questions=[faith, revenue]"]
    run(crosstab, warehouse, config(warehouse, *asked, "crosstab.min_n=1"))
    found = pd.DataFrame(read_crosstabs(warehouse, 1))
    expected = rows[rows.by_question == ""].reset_index(drop=True)
    told = ["input_table", "input_version", "run_id"]
    pd.testing.assert_frame_equal(found.drop(columns=told), expected.drop(columns=told))


def test_what_prepare_kept_aside_is_crossed_without_another_table(zoomed, tmp_path):
    warehouse = copied(zoomed, tmp_path)
    run(crosstab, warehouse, config_of(warehouse))
    rows = pd.DataFrame(read_crosstabs(warehouse, 1))
    assert set(rows.question) == {"vote"} and set(rows.level) == {"x", "y"}
    survey = planted_survey()
    root = rows[rows.path == "/"].set_index("level")
    assert root.value["x"] == pytest.approx(np.average(survey.vote == "x", weights=survey.w))
    assert root.n.tolist() == [len(survey)] * 2
    assert rows.input_table.str.endswith("survey.parquet").all()


def test_strata_and_units_widen_or_narrow_the_intervals(crossed, config, tmp_path, caplog):
    warehouse = copied(crossed, tmp_path)
    table = outside_table()
    table["strange"] = np.where(table.who == "p0001", "alone", table.region)
    table.to_parquet(tmp_path / "design.parquet")
    design = ["crosstab.strata=strange", "crosstab.clusters=block"]
    asked = [f"crosstab.input={tmp_path}/design.parquet", "crosstab.questions=revenue", *design]
    with caplog.at_level(logging.WARNING, LOG):
        run(crosstab, warehouse, config(warehouse, *asked))
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "1 strata have a single unit, such as 'alone'" in said
    plain = pd.DataFrame(read_crosstabs(crossed, 1))
    now = pd.DataFrame(read_crosstabs(warehouse, 1))
    before, after = (
        some[(some.question == "revenue") & (some.by_question == "") & (some.path == "/")]
        for some in (plain, now)
    )
    assert after.value.to_numpy() == pytest.approx(before.value.to_numpy())
    assert (after.ci_high != before.ci_high.to_numpy()).all()


# ---- bad tables


def changed(how: str) -> pd.DataFrame:
    table = outside_table()
    if how == "twice":
        return pd.concat([table, table.iloc[:2]])
    if how == "strangers":
        return table.assign(who="x" + table.who)
    if how == "empty":
        return table.iloc[:0]
    if how == "no region":
        table.loc[3, "region"] = None
    return table


BAD = {
    "twice": (["crosstab.questions=plan"], "2 ids stand more than once"),
    "strangers": (["crosstab.questions=plan"], "none of its 791 ids is in tree 1"),
    "empty": (["crosstab.questions=plan"], "has no rows"),
    "no region": (["crosstab.questions=plan", "crosstab.strata=region"], "1 of 790 people"),
    "not there": (["crosstab.questions=revenu"], "did you mean 'revenue'?"),
    "no such by": (["crosstab.by=regio"], "crosstab.by"),
    "ids as text": (["crosstab.questions=code"], "more than 60 distinct texts"),
    "ids as by": (["crosstab.questions=plan", "crosstab.by=code"], "crosstab.max_levels"),
    "many levels": (["crosstab.questions=faith", "crosstab.max_levels=4"], "5 levels"),
    "all missing": (["crosstab.questions=empty"], "every value is missing"),
    "no such id": (["crosstab.id=whom"], "did you mean 'who'?"),
    "no table": (["crosstab.input=/nowhere/outside.parquet"], "there is no such table"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_table_is_named_before_anything_is_written(how, refusing, config, tmp_path):
    warehouse = refusing
    changed(how).to_parquet(tmp_path / "bad.parquet")
    asked, said = BAD[how]
    given = [f"crosstab.input={tmp_path}/bad.parquet", *asked]
    with pytest.raises(InputError) as error:
        run(crosstab, warehouse, config(warehouse, *given))
    assert said in str(error.value)
    if how == "strangers":
        assert "'who'" in str(error.value) and "'p0" in str(error.value), "both sides"
    assert not warehouse.exists(CROSSTABS.name)


def test_without_names_what_cannot_be_asked_is_left_out_and_said(zoomed, config, tmp_path, caplog):
    warehouse = copied(zoomed, tmp_path)
    with caplog.at_level(logging.WARNING, LOG):
        run(crosstab, warehouse, config(warehouse))
    said = [record.getMessage() for record in caplog.records if record.name == LOG]
    assert any("1 of 791 people are not in tree 1 and are left out" in line for line in said)
    assert any("'code' is left out" in line for line in said)
    assert any("'empty' is left out: no answers" in line for line in said)
    asked = {row["question"] for row in read_crosstabs(warehouse, 1)}
    assert asked == {"revenue", "plan", "faith", "town", "region", "block"}
    plan = {row["level"] for row in read_crosstabs(warehouse, 1) if row["question"] == "plan"}
    assert plan == {"basic", "plus"}, "what the codebook calls missing is no answer"
    figures = warehouse.read(METRICS).where("stage = 'crosstab'").toPandas()
    assert figures.set_index("name").value["unknown"] == 1


def test_nothing_kept_aside_is_an_error_but_what_cannot_be_asked_is_not(zoomed, tmp_path, caplog):
    warehouse = copied(zoomed, tmp_path)
    with caplog.at_level(logging.WARNING, LOG):
        (tmp_path / "codebook.yaml").write_text("questions: {vote: {kind: ignored}}")
        run(crosstab, warehouse, config_of(warehouse, f"input.codebook={tmp_path}/codebook.yaml"))
    assert "nothing that was kept aside can be asked" in caplog.text
    assert read_crosstabs(warehouse, 1) == [] and not warehouse.exists(CROSSTABS.name)
    profile = DeltaTable.forPath(warehouse.spark, warehouse.location("profile"))
    profile.update("source_column = 'vote'", {"dropped_reason": "null"})
    with pytest.raises(InputError, match="no column kept aside"):
        run(crosstab, warehouse, config_of(warehouse))


# ---- the command


def test_the_command_prints_the_first_split_and_ends_with_the_right_status(
    reclust, zoomed, home, tmp_path
):
    warehouse = copied(zoomed, tmp_path)
    settings = (f"crosstab.input={home}/outside.parquet", "crosstab.id=who", "crosstab.min_n=2")
    status, printed, said = reclust(
        warehouse, "crosstab", "plan", "--by", "region", settings=settings
    )
    assert status == 0, said
    lines = [line.split() for line in printed.splitlines()]
    clusters = [path for path in lines[1] if path.startswith("/")]
    assert clusters[:2] == ["/", "/001/"] and "/001/001/" not in printed
    assert {"basic", "plus", "none"} <= {line[0] for line in lines if line}
    assert any(line[:1] == ["region"] for line in lines) and "north" in printed
    assert "differs from everyone else" in printed
    status, _, said = reclust(warehouse, "crosstab", "plann", settings=settings)
    assert status == 3 and "did you mean 'plan'?" in said
    status, _, said = reclust(warehouse, "crosstab", settings=("crosstab.minn=3",))
    assert status == 2 and "crosstab.min_n" in said
    row = last_run(warehouse, "crosstab")
    assert (row.status, row[TREE]) == ("failed", None)
