"""The command line as a user meets it: exit statuses, the four facts, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reclust_spark.cli import main
from reclust_spark.warehouse.names import FEATURES, NODES, PROFILE, RUNS
from reclust_spark.warehouse.tables import Warehouse
from tests.planted import blobs

QUICK = ["--set", "zoom.n_neighbors=15", "--set", "zoom.n_epochs=50", "--set", "zoom.max_depth=1"]


@pytest.fixture
def reclust(spark, tmp_path, capfd):
    """Run commands on a frame; return the exit status, and what was said on standard error.

    They are prepare and zoom where none is named; the first that fails is the last.
    """

    def run(frame: pd.DataFrame | None, *words: str, command: str | None = None) -> tuple[int, str]:
        arguments = ["--set", f"warehouse={tmp_path}/warehouse"]
        if frame is not None:
            frame.to_parquet(tmp_path / "survey.parquet")
            arguments += ["--set", f"input.path={tmp_path}/survey.parquet", "--set", "input.id=uid"]
        for name in ("prepare", "zoom") if command is None else (command,):
            with pytest.raises(SystemExit) as ended:
                main([name, *arguments, *words])
            if ended.value.code:
                break
        return int(ended.value.code or 0), capfd.readouterr().err

    return run


def planted_survey() -> pd.DataFrame:
    values, _ = blobs([120, 120], width=3)
    frame = pd.DataFrame(values.astype(float), columns=["a", "b", "c"])
    return frame.assign(uid=[f"u{i}" for i in range(len(frame))])


@pytest.fixture
def survey() -> pd.DataFrame:
    return planted_survey()


def codebook(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "codebook.yaml").write_text(text)
    return ["--set", f"input.codebook={tmp_path}/codebook.yaml"]


ODD = {"a": "a.b", "b": "select", "c": "tick ` and space 🙂"}


@pytest.fixture(scope="module")
def ran(spark, tmp_path_factory) -> Warehouse:
    """What `reclust run` makes of a survey with odd columns and many exact duplicates."""
    home = tmp_path_factory.mktemp("ran")
    survey = planted_survey()
    halves = [survey[:120], survey[120:]]
    copies = [half.sample(180, replace=True, random_state=0) for half in halves]
    frame = pd.concat([*halves, *copies], ignore_index=True).rename(columns=ODD)
    frame["uid"] = [f"u{i}" for i in range(len(frame))]
    frame.assign(constant=1.0, nothing=np.nan).to_parquet(home / "survey.parquet")
    settings = [f"warehouse={home}/warehouse", f"input.path={home}/survey.parquet", "input.id=uid",
                "zoom.min_cluster_size=.3",
                "spark.conf.spark.hadoop.fs.s3a.secret.key=hush"]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main(["run", *(word for setting in settings for word in ("--set", setting)), *QUICK])
    assert not ended.value.code
    return Warehouse(spark, f"{home}/warehouse")


def test_a_run_writes_a_tree_that_can_be_printed(ran, capfd):
    with pytest.raises(SystemExit):
        main(["tree", "--set", f"warehouse={ran.place}"])
    printed, said = capfd.readouterr()
    assert said.count("error") == 0
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["/", "/001/", "/002/"]
    assert "50.0%" in printed


def test_many_exact_duplicates_are_no_reason_to_fail(ran):
    assert ran.read(NODES).where("path = '/'").first()["n_children"] == 2


def test_odd_columns_are_named_or_left_out_with_a_reason(ran):
    profile = ran.read(PROFILE).toPandas().set_index("source_column")
    assert (profile.loc[list(ODD.values()), "kind"] == "numeric").all()
    assert (profile.loc[["constant", "nothing"], "kind"] == "ignored").all()
    assert profile.loc[["constant", "nothing"], "dropped_reason"].notna().all()
    assert ran.read(NODES).count() == 3


def test_a_failed_step_leaves_the_last_good_tree_and_says_so(ran, reclust, survey):
    assert not [row for row in ran.read(RUNS).collect() if "hush" in row.config]
    before = ran.read(NODES).toPandas()
    assert reclust(broken(survey, "events"), "--set", f"warehouse={ran.place}")[0] == 3
    pd.testing.assert_frame_equal(ran.read(NODES).toPandas(), before)
    failed = ran.read(RUNS).where("status = 'failed'").first()
    assert failed.stage == "prepare" and "GROUP BY" in failed.error


@pytest.mark.parametrize("setting", ["zoom.depth=3", "nonsense=1", "zoom.max_depth=-1"])
def test_a_wrong_setting_ends_with_2(reclust, survey, setting, tmp_path):
    status, said = reclust(survey, "--set", setting)
    assert status == 2
    assert_four_facts(said, setting.partition("=")[0])
    assert not (tmp_path / "warehouse").exists(), "nothing is done before settings are checked"


def test_a_warehouse_that_is_a_file_ends_with_2(reclust, survey, tmp_path):
    (tmp_path / "warehouse").write_text("mine")
    status, said = reclust(survey)
    assert status == 2
    assert_four_facts(said, "is a file")
    assert (tmp_path / "warehouse").read_text() == "mine"


def test_a_warehouse_that_cannot_be_written_ends_with_2(reclust, survey):
    status, said = reclust(survey, "--set", "warehouse=/proc/reclust/warehouse")
    assert status == 2
    assert_four_facts(said, "cannot be written")


def broken(survey: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "missing id":
        return survey.drop(columns="uid")
    if how == "null id":
        return survey.assign(uid=survey.uid.where(survey.index != 5))
    if how == "events":
        return pd.concat([survey, survey.iloc[:40]])
    if how == "empty":
        return survey.iloc[:0]
    return survey.assign(a=survey.a.where(survey.index != 7, np.inf))


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("missing id", "uid"),
        ("null id", "`uid` IS NOT NULL"),
        ("events", "GROUP BY `uid`"),
        ("empty", "no rows"),
        ("infinity", "infinit"),
    ],
)
def test_a_table_that_cannot_be_used_ends_with_3(reclust, survey, warehouse, how, found):
    status, said = reclust(broken(survey, how))
    assert status == 3
    assert_four_facts(said, found)
    assert not warehouse.exists(FEATURES.name), "no work is done"


def test_a_missing_table_ends_with_3(reclust, tmp_path):
    words = ["--set", f"input.path={tmp_path}/nowhere", "--set", "input.id=uid"]
    status, said = reclust(None, *words)
    assert status == 3
    assert_four_facts(said, "nowhere")


def test_text_where_the_codebook_says_numeric_ends_with_3(reclust, survey, tmp_path):
    frame = survey.assign(a=survey.a.astype(str).where(survey.index != 3, "many"))
    status, said = reclust(frame, *codebook(tmp_path, "questions: {a: {kind: numeric}}"))
    assert status == 3
    assert_four_facts(said, "many")


def test_looking_for_a_tree_where_there_is_none_leaves_nothing(reclust, tmp_path):
    status, said = reclust(None, command="tree")
    assert status == 3
    assert_four_facts(said, "reclust run")
    assert not (tmp_path / "warehouse").exists()


def test_a_zoom_before_anything_is_prepared_ends_with_3(reclust):
    status, said = reclust(None, command="zoom")
    assert status == 3
    assert_four_facts(said, "reclust prepare")


def test_too_few_people_are_a_tree_of_one_node(reclust, survey, warehouse):
    status, _ = reclust(survey.iloc[:3], *QUICK)
    assert status == 0
    nodes = warehouse.read(NODES).toPandas()
    assert nodes.path.tolist() == ["/"] and nodes.stop_reason.tolist() == ["too_small"]


def test_people_who_are_all_alike_are_one_node(reclust, survey, warehouse):
    status, _ = reclust(survey.assign(a=1.0, b=2.0, c=3.0), *QUICK)
    assert status == 0
    assert warehouse.read(NODES).toPandas().stop_reason.tolist() == ["no_structure"]
    reasons = warehouse.read(PROFILE).toPandas().set_index("source_column").dropped_reason
    assert reasons[["a", "b", "c"]].str.len().gt(0).all()


def assert_four_facts(said: str, found: str) -> None:
    assert "error: " in said and found in said
    assert "\n  allowed: " in said and "\n  remedy:  " in said
    assert "Traceback" not in said
