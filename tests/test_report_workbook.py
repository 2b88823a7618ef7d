"""The workbook: the report's figures, read back by openpyxl."""

import zipfile
from dataclasses import replace

import openpyxl
import pytest

from reclust_spark.paths import ROOT
from reclust_spark.report import workbook
from reclust_spark.report.content import Note
from reclust_spark.report.workbook import write_workbook
from tests.reports import HOSTILE, made_up, one_node


def read(file):
    """Return each sheet's rows, as mappings of the header to what stands in a cell."""
    book = openpyxl.load_workbook(file)
    sheets = {}
    for sheet in book.worksheets:
        head, *rows = sheet.iter_rows(values_only=True)
        sheets[sheet.title] = [dict(zip(head, row, strict=True)) for row in rows]
    return book, sheets


def near(*figures):
    """Return figures as Excel keeps them: to 15 digits."""
    return tuple(f if f is None else pytest.approx(float(f), rel=1e-14, abs=0) for f in figures)


@pytest.fixture(scope="module")
def report():
    return made_up()


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    file = tmp_path_factory.mktemp("workbook") / "figures.xlsx"
    write_workbook(report, file)
    return file, *read(file)


def test_every_cluster_has_its_figures(report, written):
    rows = {row["path"]: row for row in written[2]["clusters"]}
    assert list(rows) == list(report.clusters)
    for path, cluster in report.clusters.items():
        row = rows[path]
        assert (row["people"], row["share of everyone"]) == near(cluster.n, cluster.share)
        assert (row["stability"], row["agreement"]) == near(cluster.stability, cluster.agreement)
    certainty = report.clusters["/001/"].certainty
    assert rows["/001/"]["AUC"] == certainty.auc
    assert rows["/001/"]["calibration error"] == certainty.calibration_error
    assert rows[ROOT]["AUC"] is None, "unknown is empty"


def test_answers_are_ranked_and_siblings_named(report, written):
    cluster = report.clusters["/002/"]
    answers = [row for row in written[2]["answers"] if row["path"] == "/002/"]
    assert [row["rank"] for row in answers] == list(range(1, 11))
    assert [row["text"] for row in answers] == [a.question for a in cluster.answers]
    assert tuple(row["lift"] for row in answers) == near(*(a.lift for a in cluster.answers))
    placed = [row for row in written[2]["siblings"] if row["path"] == "/002/"]
    assert tuple(row["share"] for row in placed) == near(*(s.share for s in cluster.siblings))
    assert "none of them" in [row["models place them in"] for row in placed]


def test_outside_figures_are_those_of_the_cells_and_the_suppressed_are_empty(report, written):
    rows = written[2]["outside"]
    assert len(rows) == sum(len(outside.cells) for outside in report.outside)
    hidden = [row for row in rows if row["suppressed"]]
    assert len(hidden) == sum(c.suppressed for o in report.outside for c in o.cells.values()) > 0
    for row in hidden:
        assert {row[name] for name in ("value", "index", "low", "high", "people")} == {None}
    for row in rows:
        outside = next(
            o for o in report.outside
            if (o.question, o.by_question) == (row["question"], row["by"] or "")
        )  # fmt: skip
        key = (row["path"], row["by answer"] or "", row["answer"] or "", row["statistic"])
        one = outside.cells[key]
        assert (row["value"], row["low"], row["people"]) == near(one.value, one.low, one.n)
        assert row["false-discovery rate"] == one.q


def test_it_is_ready_for_reading(written):
    book = written[1]
    assert book.sheetnames == ["clusters", "answers", "siblings", "outside", "about"]
    for sheet in book.worksheets:
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref.startswith("A1:")
        assert sheet["A1"].font.bold
    columns = {cell.value: cell.column_letter for cell in book["clusters"][1]}
    share = book["clusters"][f"{columns['share of everyone']}3"]
    assert share.number_format == "0.0%"
    columns = {cell.value: cell.column_letter for cell in book["outside"][1]}
    forms = {
        row[0].value: book["outside"][f"{columns['value']}{row[0].row}"].number_format
        for row in book["outside"].iter_rows(min_row=2)
    }
    assert forms == {"vote": "0.0%", "age": "#,##0.000"}


def test_hostile_texts_stay_texts(tmp_path):
    words = ("=1+1", "http://example.org/", "@SUM(A1)", *HOSTILE, "lone \ud800 surrogate")
    file = tmp_path / "figures.xlsx"
    report = made_up(words=words)
    write_workbook(report, file)
    book, sheets = read(file)
    kinds = {cell.data_type for sheet in book.worksheets for row in sheet for cell in row}
    assert "f" not in kinds, "a formula"
    assert not any(sheet._hyperlinks for sheet in book.worksheets)
    names = [row["name"] for row in sheets["clusters"]]
    assert "=1+1" in names or "@SUM(A1)" in names
    texts = [row["text"] for row in sheets["answers"]]
    assert any(text.startswith("=1+1") for text in texts)
    assert any("שלום" in text and "👩🏽‍🚀" in text for text in texts)
    assert any(text.startswith("lone  surrogate") for text in texts)
    assert not any(letter in text for text in texts for letter in "\x00\x0b\ufffe\u202e")


def test_texts_are_cut_at_excels_limit(tmp_path):
    report = made_up(shape=(2,))
    note = Note("🎉" * 40_000, "ada", report.made_at)
    clusters = {**report.clusters}
    clusters["/001/"] = replace(clusters["/001/"], label="word " * 8_000, notes=(note,))
    file = tmp_path / "figures.xlsx"
    write_workbook(replace(report, clusters=clusters), file)
    row = read(file)[1]["clusters"][1]
    for name in ("name", "notes"):
        assert len(row[name].encode("utf-16-le")) // 2 in (32_766, 32_767)
        assert row[name].endswith("…")
    assert row["notes"].count("🎉") > 16_000


def test_a_long_sheet_goes_on_in_another(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_ROWS", 51)
    report, file = made_up(shape=(3,)), tmp_path / "figures.xlsx"
    write_workbook(report, file)
    book, sheets = read(file)
    n = sum(len(outside.cells) for outside in report.outside)
    assert n == 56
    assert [len(sheets[name]) for name in ("outside", "outside 2")] == [50, 6]
    assert "outside 3" not in book.sheetnames
    keys = [
        tuple(row[name] for name in ("question", "by", "path", "by answer", "answer", "statistic"))
        for name in ("outside", "outside 2") for row in sheets[name]
    ]  # fmt: skip
    assert len(set(keys)) == n


def test_a_sheet_that_is_just_full_is_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_ROWS", 57)
    write_workbook(made_up(shape=(3,)), tmp_path / "figures.xlsx")
    book, sheets = read(tmp_path / "figures.xlsx")
    assert len(sheets["outside"]) == 56
    assert "outside 2" not in book.sheetnames


def test_a_tree_of_one_node(tmp_path):
    write_workbook(one_node(), tmp_path / "figures.xlsx")
    _, sheets = read(tmp_path / "figures.xlsx")
    assert len(sheets["clusters"]) == 1
    assert sheets["answers"] == sheets["outside"] == []
    assert {row["what"] for row in sheets["about"]} >= {"title", "tree version", "models"}


def test_the_same_report_gives_the_same_bytes(report, written, tmp_path):
    write_workbook(report, tmp_path / "again.xlsx")
    assert (tmp_path / "again.xlsx").read_bytes() == written[0].read_bytes()
    times = {entry.date_time[0] for entry in zipfile.ZipFile(written[0]).infolist()}
    assert times == {1980}
