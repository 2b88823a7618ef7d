"""The views, in Spark and in DuckDB: the same rows, of what is complete and of who is there now."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from reclust_spark.errors import InputError
from reclust_spark.explain import stage as explain
from reclust_spark.explain.node import LEADING
from reclust_spark.research.stage import add_note
from reclust_spark.score import stage as score
from reclust_spark.views import duck, stage
from reclust_spark.views.script import (
    STAND_ON,
    VIEWS,
    duckdb_type,
    view_statements,
)
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    CROSSTABS,
    EXPLANATIONS,
    LABELS,
    MODELS,
    NODES,
    OUTSIDE,
    RUNS,
    SCORES,
    TABLES,
)
from reclust_spark.warehouse.tables import Warehouse
from tests.test_explain_stage import config_of, copied, planted, planted_survey, rows_of, run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "queries.md"
BLOCKS = re.findall(r"([^\n]+)\n\n```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
QUERIES = [query for _, query in BLOCKS]
START = datetime(2024, 5, 1, tzinfo=UTC)


# ---- what the views show, on tables of a few made-up rows


@pytest.fixture
def small():
    """Give rows to the tables of a small warehouse; return a function that asks the views."""
    connection = duckdb.connect()
    for table in TABLES:
        columns = ", ".join(f'"{name}" {duckdb_type(ddl)}' for name, ddl in table.columns.items())
        connection.execute(f"CREATE TABLE {table.name} ({columns})")
    for statement in view_statements():
        connection.execute(statement)

    def add(table, *rows: dict) -> None:
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" for _ in row)
            connection.execute(
                f"INSERT INTO {table.name} ({names}) VALUES ({marks})", [*row.values()]
            )

    def ask(query: str) -> list[tuple]:
        return connection.sql(query).fetchall()

    add.ask = ask
    yield add
    connection.close()


def manifest(stage_: str, hour: int, status: str = "complete", **more) -> dict:
    return {"stage": stage_, "status": status, "finished_at": START + timedelta(hours=hour)} | more


def tree_of(number: int) -> list[dict]:
    """Manifest rows of a tree that was built on version 1 of the survey."""
    return [
        manifest("prepare", 0, prepare_version=number, input_table="survey", input_version="1"),
        manifest("zoom", 1, prepare_version=number, tree_version=number, input_table="features"),
    ]


def scored(table: str, version: str, hour: int, status: str = "complete") -> dict:
    return manifest("score", hour, status, tree_version=1, input_table=table, input_version=version)


def placed(row_id: str, path: str, table: str, version: str, is_noise: bool = False) -> dict:
    depth = path.count("/") - 1
    return {
        "tree_version": 1, "row_id": row_id, "path": path, "depth": depth, "is_noise": is_noise,
        "probability": 0.9, "weight": 1.0, "input_table": table, "input_version": version,
    }  # fmt: skip


def assigned(row_id: str, path: str, is_noise: bool = False) -> dict:
    return {
        "tree_version": 1, "row_id": row_id, "path": path, "depth": path.count("/") - 1,
        "is_noise": is_noise, "strength": 0.5, "assigned_by": "fit", "weight": 2.0,
    }  # fmt: skip


def nodes(*paths: str, number: int = 1) -> list[dict]:
    return [
        {
            "tree_version": number, "path": path, "depth": path.count("/") - 1,
            "n_children": sum(p != path and p.startswith(path) for p in paths),
        }
        for path in paths
    ]  # fmt: skip


def test_a_tree_without_its_manifest_row_is_not_shown(small):
    small(RUNS, *tree_of(1), *tree_of(2)[:1], manifest("zoom", 2, "failed", tree_version=2))
    for number in (1, 2):
        small(NODES, *nodes("/", "/001/", number=number))
        small(ASSIGNMENTS, assigned("a", "/001/") | {"tree_version": number})
        small(EXPLANATIONS, {"tree_version": number, "path": "/001/", "rank": 1})
    for view in VIEWS:
        shown = [] if view == "leading_answers" else [(1,)]
        assert small.ask(f"SELECT DISTINCT tree_version FROM {view}") == shown, view
    small(
        RUNS,
        manifest("explain", 3, tree_version=1),
        manifest("explain", 3, "failed", tree_version=2),
    )
    assert small.ask("SELECT tree_version, path FROM leading_answers") == [(1, "/001/")]


def test_the_analysts_newest_name_counts_else_that_of_a_complete_explanation(small):
    def named(path: str, label: str, source: str, hour: int) -> dict:
        at = START + timedelta(hours=hour)
        return {"tree_version": 1, "path": path, "label": label, "source": source, "at": at}

    small(RUNS, *tree_of(1))
    small(NODES, *nodes("/", "/001/", "/002/", "/003/"))
    small(
        LABELS,
        named("/001/", "first", "analyst", 1),
        named("/001/", "second", "analyst", 2),
        *(named(path, "found", "model", 3) for path in ("/001/", "/002/")),
    )
    query = "SELECT path, label FROM tree ORDER BY path"
    unnamed = [("/", None), ("/001/", "second"), ("/002/", None), ("/003/", None)]
    assert small.ask(query) == unnamed
    small(RUNS, manifest("explain", 4, tree_version=1))
    assert small.ask(query) == [*unnamed[:2], ("/002/", "found"), ("/003/", None)]


def test_leaves_are_the_nodes_without_children(small):
    small(RUNS, *tree_of(1))
    small(NODES, *nodes("/", "/001/", "/001/001/", "/001/002/", "/002/"))
    assert small.ask("SELECT path FROM leaves ORDER BY path") == [
        ("/001/001/",), ("/001/002/",), ("/002/",),
    ]  # fmt: skip


MEMBERS = {
    "nobody was scored": ([], [], {"a": "/001/", "b": "/002/", "c": "/"}),
    "the tree's own people are where the fit put them": (
        [scored("survey", "1", 2)],
        [placed("a", "/002/", "survey", "1")],
        {"a": "/001/", "b": "/002/", "c": "/"},
    ),
    "who is scored from elsewhere counts there, old and new": (
        [scored("survey", "1", 2), scored("later", "1", 3)],
        [placed("a", "/002/", "later", "1"), placed("d", "/001/", "later", "1")],
        {"a": "/002/", "b": "/002/", "c": "/", "d": "/001/"},
    ),
    "of a newer version of a table only that one counts": (
        [scored("later", "1", 2), scored("later", "2", 3)],
        [
            placed("d", "/001/", "later", "1"), placed("e", "/001/", "later", "1"),
            placed("d", "/002/", "later", "2"),
        ],
        {"a": "/001/", "b": "/002/", "c": "/", "d": "/002/"},
    ),
    "of the survey's own newer version too, until it is scored as it was": (
        [scored("survey", "2", 2), scored("survey", "1", 3)],
        [placed("a", "/002/", "survey", "2")],
        {"a": "/001/", "b": "/002/", "c": "/"},
    ),
    "of several tables the last one scored counts, for each person": (
        [scored("may", "1", 2), scored("june", "1", 3)],
        [
            placed("d", "/001/", "may", "1"), placed("e", "/001/", "may", "1"),
            placed("d", "/002/", "june", "1"),
        ],
        {"a": "/001/", "b": "/002/", "c": "/", "d": "/002/", "e": "/001/"},
    ),
    "what is scored again unchanged is the last one scored": (
        [scored("may", "1", 2), scored("june", "1", 3), scored("may", "1", 4, "reused")],
        [placed("d", "/001/", "may", "1"), placed("d", "/002/", "june", "1")],
        {"a": "/001/", "b": "/002/", "c": "/", "d": "/001/"},
    ),
    "a run that has not come to its end does not count": (
        [scored("later", "1", 2, "failed")],
        [placed("a", "/002/", "later", "1"), placed("d", "/001/", "killed", "1")],
        {"a": "/001/", "b": "/002/", "c": "/"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MEMBERS)
def test_members_are_who_is_in_the_population_now(case, small):
    runs, scores, expected = MEMBERS[case]
    small(RUNS, *tree_of(1), *runs)
    small(ASSIGNMENTS, assigned("a", "/001/"), assigned("b", "/002/"), assigned("c", "/", True))
    small(SCORES, *scores)
    found = small.ask("SELECT row_id, path, placed_by, strength, weight FROM members")
    assert len(found) == len(expected)
    assert {row_id: path for row_id, path, *_ in found} == expected
    by_model = {row_id for row_id, *_ in found if (row_id, expected[row_id]) not in FIT}
    for row_id, _, placed_by, strength, weight in found:
        how = ("model", 0.9, 1.0) if row_id in by_model else ("fit", 0.5, 2.0)
        assert (placed_by, strength, weight) == how, row_id


FIT = {("a", "/001/"), ("b", "/002/"), ("c", "/")}


def test_who_stands_above_a_depth_stays_there(small):
    small(RUNS, *tree_of(1))
    small(NODES, *nodes("/", "/001/", "/001/001/", "/001/002/", "/002/"))
    people = [("deep", "/001/002/"), ("leaf", "/002/"), ("stray", "/001/"), ("none", "/")]
    small(ASSIGNMENTS, *(assigned(name, path, name in ("stray", "none")) for name, path in people))
    rows = small.ask("SELECT depth, row_id, path, is_noise FROM cluster_at_depth")
    assert sorted(rows) == [
        (0, "deep", "/", False), (0, "leaf", "/", False),
        (0, "none", "/", False), (0, "stray", "/", False),
        (1, "deep", "/001/", False), (1, "leaf", "/002/", False),
        (1, "none", "/", True), (1, "stray", "/001/", False),
        (2, "deep", "/001/002/", False), (2, "leaf", "/002/", False),
        (2, "none", "/", True), (2, "stray", "/001/", True),
    ]  # fmt: skip


def test_as_many_answers_lead_as_explain_says(small):
    small(RUNS, *tree_of(1), manifest("explain", 3, tree_version=1))
    ranks = [{"tree_version": 1, "path": "/001/", "rank": rank} for rank in range(1, LEADING + 5)]
    small(EXPLANATIONS, *ranks)
    assert small.ask("SELECT max(rank), count(*) FROM leading_answers") == [(LEADING, LEADING)]


def test_the_views_are_those_that_are_named_and_stand_on_tables():
    statements = view_statements()
    names = [re.search(r"CREATE OR REPLACE VIEW (\w+) AS", text)[1] for text in statements]
    assert tuple(names) == VIEWS
    asked = set(re.findall(r"\b(?:FROM|JOIN) (\w+)", " ".join(statements)))
    assert {table.name for table in STAND_ON} == asked & {table.name for table in TABLES}


# ---- the same rows in both engines


@pytest.fixture(scope="module")
def asked(spark, tmp_path_factory) -> Warehouse:
    """The planted survey's warehouse after some time: scored again, crossed, written about."""
    _, made = planted("scored", spark, tmp_path_factory)
    warehouse = copied(made, tmp_path_factory.mktemp("views"))
    survey = planted_survey()
    later = pd.concat([survey[250:400], survey[:60].assign(uid=[f"new{i}" for i in range(60)])])
    later.to_parquet(Path(warehouse.place).parent / "later.parquet")
    other = f"score.input={Path(warehouse.place).parent}/later.parquet"
    run(score, warehouse, config_of(warehouse, other))
    explain.set_label(warehouse, None, "/003/", "the city")
    for text in ("a first thought", "they like 'quotes'; and more"):
        add_note(warehouse, None, "/002/", text)
    votes = [
        {"row_id": uid, "source_column": "votetrump", "value": vote}
        for uid, vote in zip(survey.uid, survey.vote, strict=True)
    ]
    frame = warehouse.local(OUTSIDE, votes)
    warehouse.write_version(OUTSIDE, frame, 1, "source_column = 'votetrump'")
    warehouse.write_version(CROSSTABS, warehouse.local(CROSSTABS, crossed()), 1)
    return warehouse


def crossed() -> list[dict]:
    whole = {
        "question": "votetrump", "question_text": "For whom did you vote?", "by_question": "",
        "by_text": "", "by_level": "", "statistic": "share", "population_value": 0.4,
        "ci_low": 0.2, "ci_high": 0.6, "confidence": 0.95, "index": 100.0, "n": 100,
        "n_eff": 90.0, "p_value": 0.5, "suppressed": False, "input_table": "outside", "run_id": "r",
    }  # fmt: skip
    rows = []
    for number, path in enumerate(("/", "/001/", "/002/")):
        for order, level in enumerate(("x", "y")):
            cell = {"path": path, "level": level, "level_order": order, "value": 0.1 * number}
            rows.append(whole | cell | {"q_value": 0.1 * (number + order)})
            by = {"by_question": "state", "by_level": "Ohio", "by_order": 0}
            rows.append(whole | cell | by | {"q_value": None if order else 0.02 * number})
    rows.append(whole | {"path": "/003/", "level": "x", "level_order": 0, "suppressed": True})
    return rows


@pytest.fixture(scope="module")
def in_duckdb(asked):
    with duckdb.connect() as connection:
        duck.register(connection, asked.place)
        yield lambda query: connection.sql(query).to_arrow_table()


@pytest.fixture(scope="module")
def session(asked):
    """A session with the views."""
    session = asked.spark.newSession()
    session.conf.set("spark.sql.shuffle.partitions", "1")
    stage.register(session, asked.place)
    return session


@pytest.fixture(scope="module")
def in_spark(session):
    return lambda query: session.sql(query).toArrow()


def spelt(table: pa.Table) -> list[tuple]:
    """Rows that compare: numbers to nine digits, times in UTC."""

    def value(cell):
        if isinstance(cell, bool) or cell is None or isinstance(cell, str):
            return cell
        if isinstance(cell, datetime):
            return cell.astimezone(UTC) if cell.tzinfo else cell.replace(tzinfo=UTC)
        return float(f"{float(cell):.9g}")

    return [tuple(value(cell) for cell in row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:60])
def test_every_worked_query_finds_the_same_in_spark_and_duckdb(query, in_spark, in_duckdb):
    found, expected = in_duckdb(query), in_spark(query)
    assert found.column_names == expected.column_names
    assert spelt(found) == spelt(expected) != []


def test_every_worked_query_says_what_it_answers():
    text = PAGE.read_text(encoding="utf-8")
    assert len(QUERIES) == text.count("```sql") >= 15
    assert all(told.rstrip().endswith(":") for told, _ in BLOCKS)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_the_same_rows_in_both(view, in_spark, in_duckdb):
    found, expected = in_duckdb(f"SELECT * FROM {view}"), in_spark(f"SELECT * FROM {view}")
    assert found.column_names == expected.column_names
    assert sorted(spelt(found), key=repr) == sorted(spelt(expected), key=repr) != []


def test_members_are_the_fits_people_but_for_those_scored_later(asked, in_duckdb):
    members = in_duckdb("SELECT * FROM members").to_pandas().set_index("row_id")
    fit = rows_of(asked, ASSIGNMENTS).set_index("row_id")
    scores = rows_of(asked, SCORES)
    later = scores[scores.input_table.str.endswith("later.parquet")].set_index("row_id")
    assert members.index.is_unique and len(later) == 210
    assert set(members.index) == set(fit.index) | set(later.index)
    stayed = fit.index.difference(later.index)
    assert (members.path[stayed] == fit.path[stayed]).all()
    assert (members.path[later.index] == later.path).all()
    assert (members.placed_by == "model").sum() == len(later)
    assert members.weight[later.index].sum() == pytest.approx(later.weight.sum())


def test_a_cut_at_a_depth_counts_as_the_tree_does(in_duckdb, asked):
    query = "SELECT path, count(*) AS n FROM cluster_at_depth WHERE depth = 1 GROUP BY path"
    cut = in_duckdb(query).to_pandas().set_index("path").n
    members = in_duckdb("SELECT * FROM members").to_pandas()
    assert cut.sum() == len(members)
    for path in ("/001/", "/002/", "/003/"):
        assert cut[path] == members.path.str.startswith(path).sum()


# ---- what is not there


@pytest.fixture(scope="module")
def zoomed(spark, tmp_path_factory) -> Warehouse:
    return planted("zoomed", spark, tmp_path_factory)[1]


def test_before_explain_and_score_the_views_are_there_and_tell_what_is_known(zoomed):
    session = zoomed.spark.newSession()
    stage.register(session, zoomed.place)
    with duckdb.connect() as connection:
        there = duck.register(connection, zoomed.place)
        assert {"runs", "nodes"} <= set(there) and not {"labels", "scores"} & set(there)
        for count in (
            lambda query: session.sql(query).first()[0],
            lambda query: connection.execute(query).fetchone()[0],
        ):
            assert count("SELECT count(*) FROM leading_answers") == 0
            assert count("SELECT count(label) FROM tree") == 0
            assert count("SELECT count(*) FROM tree") == zoomed.read(NODES).count()
            assert count("SELECT count(*) FROM members") == zoomed.read(ASSIGNMENTS).count()
            assert count("SELECT count(*) FROM crosstabs") == 0


def test_a_folder_without_a_warehouse_is_named(spark, tmp_path):
    with duckdb.connect() as connection, pytest.raises(InputError, match="holds no runs"):
        duck.register(connection, str(tmp_path))
    with pytest.raises(InputError, match="no complete version is there"):
        stage.register(spark.newSession(), f"{tmp_path}/none")


def test_duckdb_is_given_the_views_where_there_is_no_spark(zoomed):
    code = (
        "import sys; sys.modules['pyspark'] = sys.modules['delta'] = None\n"
        "import duckdb; from reclust_spark.views.duck import register\n"
        f"c = duckdb.connect(); register(c, {zoomed.place!r})\n"
        "print(c.execute('SELECT count(*) FROM members').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(len(planted_survey())), done.stderr


# ---- reclust sql


def test_a_query_is_answered_up_to_a_limit(asked, reclust):
    query = "SELECT path, label, n_rows FROM tree ORDER BY path;"
    status, shown, _ = reclust(asked, "sql", query, "--limit", "4")
    assert status == 0
    lines = shown.splitlines()
    assert lines[0].split() == ["path", "label", "n_rows"]
    assert [line.split()[0] for line in lines[1:5]] == ["/", "/001/", "/001/001/", "/001/002/"]
    assert lines[1].split() == ["/", "everyone", "790"]
    assert "first 4 rows" in lines[5] and len(lines) == 6
    assert not asked.spark.catalog.tableExists("members"), "the caller's session is left alone"


def test_values_of_any_kind_are_printed(asked, reclust):
    query = "SELECT 1 AS a, 2 AS a, path, length(model) AS n, model, threshold, NULL AS nothing, "
    query += "finished_at FROM models JOIN runs ON runs.stage = 'zoom' ORDER BY path -- all"
    status, shown, _ = reclust(asked, "sql", query, "--limit", "1")
    n = rows_of(asked, MODELS).model.str.len().iloc[0]
    assert status == 0 and f"{n} bytes" in " ".join(shown.split())
    assert shown.splitlines()[0].split()[:3] == ["a", "a", "path"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT colour FROM tree", "colour"),
        ("SELEC 1", "SELEC"),
        ("SELECT 1; DROP VIEW tree", "';'"),
        ("DROP TABLE runs", "DROP"),
        ("INSERT INTO runs SELECT * FROM runs", "INSERT"),
        ("SELECT CAST('x' AS INT) FROM tree", "CAST_INVALID_INPUT"),
        ("", ""),
    ],
)
def test_what_is_no_query_is_refused_in_one_line(query, told, session, capfd):
    with pytest.raises(InputError) as refused:
        stage.ask(session, query, 10)
    assert told in refused.value.found and "\n" not in refused.value.found
    assert capfd.readouterr() == ("", "")
    assert session.sql("SELECT count(*) FROM runs").first()[0] == 5


def test_a_wrong_query_ends_with_3(asked, reclust):
    status, shown, said = reclust(asked, "sql", "SELECT colour FROM tree")
    assert (status, shown) == (3, "")
    assert said.startswith("error: query: ") and "colour" in said and said.count("\n") == 3
    assert "\n  allowed: " in said and "\n  remedy:  " in said


def test_the_script_for_spark_makes_the_views_in_another_session(asked, reclust, tmp_path):
    file = tmp_path / "views.sql"
    assert reclust(asked, "sql", "--out", str(file))[0] == 0
    session = asked.spark.newSession()
    for statement in re.split(r";\n", file.read_text()):
        if statement.strip():
            session.sql(statement)
    assert session.sql("SELECT label FROM tree WHERE path = '/003/'").first()[0] == "the city"
    assert "Not written yet" in file.read_text() and "gmvaes" in file.read_text().split("CREATE")[0]


def test_the_script_for_duckdb_makes_the_views(asked, reclust):
    status, printed, _ = reclust(asked, "sql", "--engine", "duckdb")
    assert status == 0 and printed.count("INSTALL delta;\nLOAD delta;\n") == 1
    # the extension is not to be had everywhere: Arrow stands in for it
    places = re.findall(r"delta_scan\('(.*?)'\)", printed)
    assert f"{asked.place}/runs" in places
    with duckdb.connect() as connection:
        text = printed.replace("INSTALL delta;\nLOAD delta;\n", "")
        text = text.replace("CREATE OR REPLACE VIEW", "CREATE OR REPLACE TEMPORARY VIEW")
        for place in places:
            name = f"stored_{Path(place).name}"
            connection.register(name, DeltaTable(place).to_pyarrow_dataset())
            text = text.replace(f"delta_scan('{place}')", name)
        connection.execute(text)
        assert connection.execute("SELECT count(*) FROM members").fetchone() == (850,)
        assert connection.execute("SELECT label FROM tree WHERE path = '/003/'").fetchone() == (
            "the city",
        )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--engine", "oracle"), "oracle"),
        (("SELECT 1", "--engine", "duckdb"), "--engine"),
        (("--out", "/proc/none.sql"), "/proc/none.sql"),
    ],
)
def test_a_request_that_cannot_be_met_ends_with_2(words, told, zoomed, reclust):
    status, _, said = reclust(zoomed, "sql", *words)
    assert status == 2 and told in said
    assert "\n  allowed: " in said and "\n  remedy:  " in said


def test_a_catalog_schema_keeps_the_views_and_they_see_what_is_written(zoomed, tmp_path, reclust):
    spark, folder = zoomed.spark, copied(zoomed, tmp_path)
    spark.sql("CREATE SCHEMA kept")
    for table in (RUNS, NODES, ASSIGNMENTS):
        spark.sql(
            f"CREATE TABLE kept.{table.name} USING delta LOCATION '{folder.location(table.name)}'"
        )
    schema = Warehouse(spark, "kept")
    before = spark.catalog.currentDatabase()
    for _ in range(2):
        status, shown, _ = reclust(schema, "sql")
        assert status == 0 and all(f"kept.{view}" in shown for view in VIEWS)
    assert spark.catalog.currentDatabase() == before
    assert spark.sql("SELECT count(label), count(*) FROM kept.tree").first()[:] == (0, 6)
    explain.set_label(schema, None, "/002/", "the valley")
    query = "SELECT label FROM kept.tree WHERE path = '/002/'"
    assert spark.sql(query).first()[0] == "the valley"
    assert spark.sql("SELECT count(*) FROM kept.members").first()[0] == len(planted_survey())
    assert reclust(schema, "sql", "--engine", "duckdb")[0] == 2
    status, shown, _ = reclust(schema, "sql", "SELECT label FROM tree WHERE label IS NOT NULL")
    assert (status, shown.split()) == (0, ["label", "the", "valley"])
    spark.sql("DROP SCHEMA kept CASCADE")
