"""`reclust report` on Spark: what is read of the tables, what is written, when, and where.

The planted survey and its warehouses are those of the tests of explain.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reclust_spark.config import load_config
from reclust_spark.crosstab import stage as crosstab
from reclust_spark.errors import ConfigError
from reclust_spark.explain.stage import set_label
from reclust_spark.paths import ROOT
from reclust_spark.prepare import stage as prepare
from reclust_spark.report import stage as report
from reclust_spark.report.content import Report
from reclust_spark.report.stage import DECK, PAGE, WORKBOOK, check_report, place_of_report
from reclust_spark.research.stage import add_note
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    EXPLANATIONS,
    FEATURES,
    NODES,
    SHAP_VALUES,
)
from reclust_spark.warehouse.runs import Ledger, Result, choose_tree
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom import stage as zoom
from tests.test_explain_stage import (
    QUICK,
    config_of,
    copied,
    last_run,
    planted,
    rows_of,
    run,
)

NAME = 'the <valley> & "more"'


@pytest.fixture(scope="module")
def explained(spark, tmp_path_factory) -> Warehouse:
    """The planted survey explained, an outside question answered, a name and a note given."""
    before = planted("explained", spark, tmp_path_factory)[1]
    warehouse = copied(before, tmp_path_factory.mktemp("report"))
    run(crosstab, warehouse, config_of(warehouse))
    set_label(warehouse, None, "/002/", NAME)
    add_note(warehouse, None, "/002/", "met three of them")
    return warehouse


@pytest.fixture(scope="module")
def contents(explained) -> Report:
    return read(explained)


def read(warehouse: Warehouse, *settings: str) -> Report:
    tree = choose_tree(warehouse, None)
    config = config_of(warehouse, *settings)
    questions = report.read_questions(warehouse, tree.prepare_version)
    return report._Reading(warehouse, config, tree, questions).report()


def test_every_cluster_is_there_with_what_the_tables_say(explained, contents):
    nodes = rows_of(explained, NODES).set_index("path")
    assert list(contents.clusters) == sorted(nodes.index)
    assert contents.weighted and contents.n == nodes.n_rows[ROOT]
    answers = rows_of(explained, EXPLANATIONS)
    for path, cluster in contents.clusters.items():
        assert (cluster.n, cluster.share) == (nodes.n_rows[path], nodes.share[path])
        leading = answers[(answers.path == path) & (answers["rank"] <= 10)].sort_values("rank")
        assert [a.source_column for a in cluster.answers] == leading.source_column.tolist()
        assert [s.source_column for s in cluster.swarms] == leading.source_column.tolist()
        assert (cluster.certainty is None) == (path == ROOT)
        assert (cluster.map is None) == (cluster.n_children == 0)
        if path != ROOT:
            assert sum(s.share for s in cluster.siblings) == pytest.approx(1)
    assert contents.agreement[1] > 0.5
    assert contents.questions["news"] == "Where do you get your news?"


def test_the_analysts_words_win(contents):
    cluster = contents.clusters["/002/"]
    assert (cluster.label, cluster.by_analyst) == (NAME, True)
    assert [note.text for note in cluster.notes] == ["met three of them"]
    assert not contents.clusters["/001/"].by_analyst
    assert contents.root.label == "everyone"


def test_swarms_are_of_the_stored_values_and_in_words(explained, contents):
    stored = rows_of(explained, SHAP_VALUES)
    swarm = contents.clusters["/001/"].swarms[0]
    here = stored[(stored.path == "/001/") & (stored.source_column == swarm.source_column)]
    assert np.isin(swarm.shap, here.shap.astype(np.float32)).all()
    assert len(swarm.shap) == min(len(here), report.SWARM_PEOPLE)
    assert (np.diff(swarm.shap) >= 0).all()
    trust = next(
        s for c in contents.clusters.values() for s in c.swarms if s.source_column == "trust"
    )
    assert set(trust.words) <= set("12345")


def test_outside_questions_are_those_of_the_crosstabs(contents):
    (vote,) = [asked for asked in contents.outside if asked.question == "vote"]
    assert vote.levels == ("x", "y")


def test_maps_are_sampled_where_they_are_large(explained, monkeypatch):
    monkeypatch.setattr(report, "ROOT_POINTS", 200)
    whole = rows_of(explained, NODES).set_index("path").n_rows
    contents = read(explained)
    assert 120 < len(contents.root.map.x) < 280
    assert contents.root.map.n_all == whole[ROOT]
    below = contents.clusters["/001/"].map
    assert below is None or len(below.x) == whole["/001/"]


def test_the_files_are_written_and_hold_nobodys_id(explained, spark):
    config = config_of(explained)
    assert not run(report, explained, config).reused
    folder = Path(explained.place, "report")
    assert sorted(file.name for file in folder.iterdir()) == sorted([PAGE, DECK, WORKBOOK])
    text = (folder / PAGE).read_text()
    assert not re.search(r"\bp0\d\d\d\b", text)
    assert "&lt;valley&gt;" in text or r"\u003cvalley" in text
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}

    assert run(report, explained, config) == Result(1, reused=True)
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before

    set_label(explained, None, "/001/", "the hill")
    assert not run(report, explained, config).reused
    (folder / DECK).unlink()
    assert not run(report, explained, config).reused
    assert (folder / DECK).stat().st_size > 10_000
    assert last_run(explained, "report")["rows_out"] == len(rows_of(explained, NODES))


def test_a_tree_that_was_not_explained_or_has_one_node_is_reported(
    spark, tmp_path_factory, reclust
):
    warehouse = copied(
        planted("zoomed", spark, tmp_path_factory)[1], tmp_path_factory.mktemp("one")
    )
    contents = read(warehouse)
    assert len(contents.clusters) > 3
    assert all(not cluster.answers and not cluster.swarms for cluster in contents.clusters.values())
    assert contents.clusters["/001/"].label == "/001/"
    run(zoom, warehouse, config_of(warehouse, *QUICK, "zoom.max_depth=0"))
    out = Path(warehouse.place).parent / "out"
    status, said, _ = reclust(warehouse, "report", settings=[f"report.out={out}"])
    assert status == 0 and str(out) in said
    assert sorted(file.name for file in out.iterdir()) == sorted([PAGE, DECK, WORKBOOK])


def test_images_are_averaged(warehouse, spark, tmp_path, digits):
    images = digits[0][::10]
    people = pd.DataFrame(images, columns=[f"p{i:03d}" for i in range(784)])
    people.assign(uid=range(len(people))).to_parquet(tmp_path / "digits.parquet")
    settings = [
        f"warehouse={warehouse.place}",
        f"input.path={tmp_path}/digits.parquet",
        "input.id=uid",
        "prepare.scaling=none",
        "zoom.n_neighbors=10",
        "zoom.n_epochs=100",
        "zoom.max_depth=1",
        "zoom.min_cluster_size=40",
        "report.image=[28, 28]",
    ]
    config = load_config(settings=settings, environment={})
    for stage in (prepare, zoom):
        stage.run(warehouse, config, Ledger(warehouse, config))
    tree = choose_tree(warehouse, None)
    questions = report.read_questions(warehouse, tree.prepare_version)
    contents = report._Reading(warehouse, config, tree, questions).report()
    places = warehouse.read(ASSIGNMENTS).toPandas().set_index("row_id").path
    assert len(contents.clusters) > 2
    for path, cluster in contents.clusters.items():
        inside = places.index[places.str.startswith(path)].astype(int)
        expected = images[inside].mean(axis=0).reshape(28, 28)
        assert np.abs(cluster.picture.mean - expected * 255 / images.max()).max() <= 1
        assert cluster.picture.medoid.shape == (28, 28)
    wrong = load_config(settings=[*settings, "report.image=[20, 20]"], environment={})
    with pytest.raises(ConfigError, match=r"report\.image"):
        report.run(warehouse, wrong, Ledger(warehouse, wrong))
    assert warehouse.read(FEATURES).count() == len(images)


def test_what_cannot_be_written_is_said_before_any_work(tmp_path, reclust, explained):
    (tmp_path / "file").write_text("kept")
    status, _, said = reclust(explained, "report", settings=[f"report.out={tmp_path}/file"])
    assert status == 2
    assert "is a file" in said and "report.out" in said
    status, _, said = reclust(explained, "report", settings=["report.out=/proc/report"])
    assert status == 2 and "cannot be written" in said
    for template in ("nowhere.pptx", "file"):
        given = [f"report.template={tmp_path}/{template}"]
        status, _, said = reclust(explained, "report", settings=given)
        assert status == 2 and template in said
    assert (tmp_path / "file").read_text() == "kept"


def test_a_catalog_holds_no_files():
    def config(*settings):
        return load_config(settings=["warehouse=surveys", *settings], environment={})

    with pytest.raises(ConfigError, match=r"report\.out"):
        check_report(config())
    assert place_of_report(config("report.out=s3a://bucket/report/")) == "s3a://bucket/report"
