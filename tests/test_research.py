"""Notes on clusters, and whom to interview of one."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from reclust_spark.errors import ConfigError
from reclust_spark.explain.stage import read_labels
from reclust_spark.onevsall.predict import Scorer, inputs_of
from reclust_spark.research.choose import (
    BORDERLINE,
    SCHEMA,
    TYPICAL,
    Heart,
    candidates_of,
    first,
    sheets_of,
    sides_of,
)
from reclust_spark.research.interviews import check_counts
from reclust_spark.research.stage import read_notes, recruit
from reclust_spark.score.stage import read_models
from reclust_spark.warehouse.names import ASSIGNMENTS, FEATURES, NODES, NOTES
from reclust_spark.warehouse.runs import choose_tree
from reclust_spark.warehouse.tables import Warehouse
from tests.test_explain_stage import copied, planted, rows_of


@pytest.fixture(scope="module")
def zoomed(spark, tmp_path_factory) -> Warehouse:
    return planted("zoomed", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def explained(spark, tmp_path_factory) -> Warehouse:
    return planted("explained", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def people(explained) -> pd.DataFrame:
    """Everyone: place, features, answers, and the probability of each cluster, given its parent."""
    places = rows_of(explained, ASSIGNMENTS).set_index("row_id")
    people = places.join(rows_of(explained, FEATURES).set_index("row_id")[["features", "answers"]])
    models = read_models(explained, choose_tree(explained, None))
    scorer = Scorer(models.questions, models.models)
    inputs = inputs_of(np.array(people.answers.tolist(), dtype=np.float32), scorer.questions)
    for d in (0, 1, 2):
        people[f"placed_{d}"] = scorer.place(inputs, max_depth=d).path
    for split in scorer.splits.values():
        people[list(split.children)] = split.probabilities(inputs)
    return people


def candidates(rows: list[tuple[str, str, bool, float]]) -> pa.Table:
    """Of row_id, sheet, last, measure."""
    listed = [
        {"row_id": row_id, "sheet": sheet.encode(), "last": last, "measure": measure}
        for row_id, sheet, last, measure in rows
    ]
    return pa.Table.from_pylist(listed, SCHEMA)


def ids(rows: pa.Table) -> list[str]:
    return rows["row_id"].to_pylist()


# ---- choosing


def test_nobody_is_chosen_whose_answers_another_gave_while_there_are_others():
    rows = candidates(
        [("a", "x", False, 1), ("b", "x", False, 2), ("c", "y", False, 9), ("d", "z", True, 0)]
    )
    assert ids(first(rows, 3)) == ["a", "c", "d"]
    assert ids(first(rows, 4)) == ["a", "c", "d", "b"]
    assert ids(first(rows, 9)) == ["a", "c", "d", "b"]
    assert ids(first(SCHEMA.empty_table(), 3)) == []


def test_ties_go_by_id():
    rows = candidates([(row_id, row_id, False, 1.0) for row_id in ("10", "9", "b", "a")])
    assert ids(first(rows, 3)) == ["10", "9", "a"]


Row = st.tuples(st.sampled_from("xyz"), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]))


@given(st.lists(Row, max_size=24), st.integers(0, 6), st.integers(1, 5))
def test_the_first_of_parts_have_the_first_of_all_among_them(rows, count, n_parts):
    whole = candidates([(f"{number:02d}", *row) for number, row in enumerate(rows)])
    part_of = np.arange(whole.num_rows) % n_parts
    parts = [whole.filter(pa.array(part_of == k)) for k in range(n_parts)]
    joined = pa.concat_tables([first(part, count) for part in parts])
    assert ids(first(joined, count)) == ids(first(whole, count))


def test_the_other_side_is_the_best_sibling_or_none_of_them():
    children = ("/001/", "/002/", "/003/")
    probabilities = np.array([[0.5, 0.4, 0.05], [0.4, 0.1, 0.1], [0.6, 0.7, 0.2]])
    sides = sides_of(probabilities, children, "/001/", "/")
    assert sides.own.tolist() == [0.5, 0.4, 0.6]
    assert sides.other.tolist() == ["/002/", "/", "/002/"]
    assert sides.others == pytest.approx([0.4, 0.4, 0.7])


def test_beside_an_only_child_there_is_none_of_them():
    sides = sides_of(np.array([[0.9], [0.2]]), ("/001/002/",), "/001/002/", "/001/")
    assert sides.other.tolist() == ["/001/", "/001/"]
    assert sides.others == pytest.approx([0.1, 0.8])


def test_answers_are_the_same_however_nothing_and_zero_are_spelt():
    other_nan = np.array([0x7FC00001], dtype=np.uint32).view(np.float32)[0]
    answers = np.array([[np.nan, 0.0], [other_nan, -0.0], [0.0, np.nan]], dtype=np.float32)
    one, same, other = sheets_of(answers)
    assert one == same != other


@pytest.mark.parametrize(("typical", "borderline"), [(-1, 5), (3, -2), (0, 0)])
def test_a_number_of_people_that_nobody_can_want_is_refused(typical, borderline):
    with pytest.raises(ConfigError, match="--typical|--borderline"):
        check_counts(typical, borderline)


class Models:
    """Stands in for a scorer: who is where, and how probably, is given."""

    questions = ()

    def __init__(self, placed: list[str], probabilities: list[list[float]]) -> None:
        self.placed = np.array(placed, dtype=object)
        split = SimpleNamespace(
            children=("/001/", "/002/"), probabilities=lambda inputs: np.array(probabilities)
        )
        self.splits = {"/": split}

    def place(self, inputs, max_depth):
        assert max_depth == 1
        return SimpleNamespace(path=self.placed)


def test_who_is_unsure_comes_last_and_who_gave_no_answer_is_on_no_border():
    nan = float("nan")
    rows = [
        ("sure", "/001/", False, 0.9, [1.0]),
        ("elsewhere", "/001/", False, 0.9, [2.0]),
        ("hardly", "/001/", False, 0.9, [3.0]),
        ("weak", "/001/", False, 0.2, [4.0]),
        ("noise", "/001/", True, 0.9, [5.0]),
        ("silent", "/001/", False, 0.9, [nan]),
    ]
    names = ("row_id", "path", "is_noise", "strength", "answers")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    batch = pa.RecordBatch.from_pydict(columns | {"features": [[0.0, float(k)] for k in range(6)]})
    placed = ["/001/", "/002/", "/001/", "/001/", "/001/", "/"]
    models = Models(placed, [[0.9, 0.1], [0.6, 0.7], [0.4, 0.35], [0.8, 0], [0.9, 0], [0.5, 0.5]])
    heart = Heart(np.array([0, 0], dtype=np.float32), 0.5)
    found = candidates_of(batch, "/001/", heart, models)
    typical = found[TYPICAL].to_pydict()
    assert typical["last"] == [False, True, True, True, True, True]
    assert typical["measure"] == [0, 1, 2, 3, 4, 5]
    border = found[BORDERLINE].to_pydict()
    assert border["row_id"] == ["sure", "elsewhere", "hardly", "weak", "noise"]
    assert border["measure"] == pytest.approx([0.8, 0.1, 0.05, 0.6, 0.8])
    assert border["other_path"] == ["/002/", "/002/", "/002/", "/", "/"]


# ---- whom to interview


def within(people: pd.DataFrame, path: str) -> pd.DataFrame:
    return people[people.path.str.startswith(path)]


def medoid_of(warehouse: Warehouse, path: str) -> str:
    return rows_of(warehouse, NODES).set_index("path").medoid_row_id[path]


@pytest.mark.parametrize("path", ["/002/", "/001/", "/001/001/"])
def test_some_are_typical_and_some_are_nearly_anothers(path, people, explained):
    found = recruit(explained, None, path, 10, 5)
    assert [person.kind for person in found.people] == [TYPICAL] * 10 + [BORDERLINE] * 5
    assert not found.remarks
    check_typical(found.people[:10], within(people, path), path, medoid_of(explained, path))
    taken = [person.row_id for person in found.people[:10]]
    check_border(found.people[10:], within(people, path).drop(taken), path)


def check_typical(found, here: pd.DataFrame, path: str, medoid: str) -> None:
    """Near the medoid, held by the fit as half of them are, and placed here by the models."""
    settled = ~here.is_noise & (here.strength >= here.strength[~here.is_noise].median())
    placed = here[f"placed_{path.count('/') - 1}"] == path
    heart = np.array(here.features[medoid])
    sure = here[settled & placed & (here[path] >= 0.5)]
    far = sure.features.map(lambda row: float(np.linalg.norm(np.array(row) - heart)))
    expected = far.sort_values(kind="stable").head(10)
    assert [person.row_id for person in found] == expected.index.tolist()
    assert [person.distance for person in found] == pytest.approx(expected.tolist(), abs=1e-5)
    for person in found:
        assert (person.path, person.strength) == tuple(
            here.loc[person.row_id, ["path", "strength"]]
        )
        assert person.probability == pytest.approx(here.loc[person.row_id, path])


def check_border(found, here: pd.DataFrame, path: str) -> None:
    """Something else is about as probable: the best sibling, or none of them."""
    up = path[:-4]
    siblings = [p for p in here if p[:-4] == up and p != path and p.startswith("/")]
    others = here[siblings].assign(none=1 - here[[path, *siblings]].sum(axis=1)).clip(lower=0)
    gap = (here[path] - others.max(axis=1)).abs().sort_values(kind="stable")
    assert [person.row_id for person in found] == gap.index[:5].tolist()
    for person in found:
        best = others.loc[person.row_id].idxmax()
        assert person.other_path == (up if best == "none" else best)
        assert person.other_probability == pytest.approx(others.loc[person.row_id, best])
        assert person.distance is None


def test_who_fits_no_cluster_below_belongs_to_the_cluster(people, explained):
    strays = people.index[(people.path == "/001/") & people.is_noise]
    assert len(strays), "the planted tree leaves some people of /001/ to no half"
    n = len(within(people, "/001/"))
    found = recruit(explained, None, "/001/", n, 5)
    chosen = [person.row_id for person in found.people]
    assert len(chosen) == len(set(chosen)) == n and set(strays) <= set(chosen)
    assert found.remarks == [f"{n + 5} people were asked for, /001/ has {n}: these are all"]


def test_ten_copies_of_one_answer_sheet_are_asked_once(people, explained, tmp_path):
    warehouse = copied(explained, tmp_path)
    before = [person.row_id for person in recruit(warehouse, None, "/002/", 6, 0).people]
    table = DeltaTable(warehouse.location(FEATURES.name))
    frame = table.to_pandas().set_index("row_id")
    answers, features = frame.loc[before[0], ["answers", "features"]]
    for row_id in before[1:4]:
        frame.at[row_id, "answers"], frame.at[row_id, "features"] = answers, features
    write_deltalake(table, pa.Table.from_pandas(frame.reset_index()), mode="overwrite")
    found = recruit(warehouse, None, "/002/", 6, 0)
    chosen = [person.row_id for person in found.people]
    sheets = {tuple(np.nan_to_num(frame.answers[row_id], nan=-1)) for row_id in chosen}
    assert len(sheets) == 6 and not found.remarks
    assert len(set(chosen) & set(before[:4])) == 1 and chosen[1:3] == before[4:6]


def test_everyone_has_a_heart_and_no_border(explained, reclust):
    status, shown, _ = reclust(explained, "recruit", "/", "--typical", "3", "--borderline", "2")
    assert status == 0
    assert "no siblings" in shown and shown.count(TYPICAL) == 3 and BORDERLINE not in shown


def test_recruit_prints_both_sides_and_writes_them(explained, reclust, tmp_path):
    file = tmp_path / "interviews, of 003.csv"
    status, shown, _ = reclust(explained, "recruit", "/003/", "--typical", "4", "--out", str(file))
    assert status == 0
    assert shown.startswith(f"/003/  {read_labels(explained, 1)['/003/']}\n")
    rows = list(csv.DictReader(file.open()))
    assert [row["kind"] for row in rows] == [TYPICAL] * 4 + [BORDERLINE] * 5
    for row in rows:
        line = next(line for line in shown.splitlines() if line.startswith(row["row_id"]))
        assert row["kind"] in line and row["between"] in line and row["cluster"] == "/003/"
        other = "none" if row["other_path"] == "/" else row["other_path"]
        assert row["between"] == (f"between /003/ and {other}" if row["kind"] == BORDERLINE else "")
    found = recruit(explained, None, "/003/", 4, 5)
    assert [row["row_id"] for row in rows] == [person.row_id for person in found.people]


def test_without_models_there_is_no_border_and_the_typical_go_by_the_fit(zoomed, reclust):
    status, _, said = reclust(zoomed, "recruit", "/002/")
    assert status == 3 and "reclust explain" in said
    status, shown, _ = reclust(zoomed, "recruit", "/002/", "--borderline", "0")
    assert status == 0
    assert shown.count(TYPICAL) - shown.count("who is typical") == 10
    assert "has not been explained" in shown


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("/004/",), 3, ["'/004/'", "is not in tree 1", "did you mean"]),
        (("/002/", "--typical", "-1"), 2, ["--typical", "is -1"]),
        (("/002/", "--out", "/proc/none.csv"), 2, ["/proc/none.csv", "cannot be written"]),
    ],
    ids=["nobody", "negative", "nowhere"],
)
def test_what_cannot_be_recruited_ends_in_one_clear_error(words, status, told, explained, reclust):
    ended, _, said = reclust(explained, "recruit", *words)
    assert ended == status and all(text in said for text in told), said
    assert "\n  allowed: " in said and "\n  remedy:  " in said


# ---- notes


def test_notes_are_kept_and_shown_the_newest_first(explained, tmp_path, reclust):
    warehouse = copied(explained, tmp_path)
    assert read_notes(warehouse, 1) == {}
    second = "[b]they[/b] said: <i>no</i> :smile: 🙂\nand שלום"
    for text in ("  first thought ", second):
        assert reclust(warehouse, "note", "/003/", text)[0] == 0
    assert reclust(warehouse, "note", "/", "about all")[0] == 0
    notes = read_notes(warehouse, 1)
    assert [row["note"] for row in notes["/003/"]] == [second, "first thought"]
    assert set(notes) == {"/003/", "/"} and notes["/"][0]["author"]
    assert read_notes(warehouse, 2) == {}
    shown = reclust(warehouse, "show", "/003/")[1]
    assert shown.index(second) < shown.index("first thought")
    assert (
        "about all" not in shown and "first thought" not in reclust(warehouse, "show", "/002/")[1]
    )


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("/01/", "mine", ["'/01/'", "did you mean /001/?"]),
        ("/002/", " \n ", ["/002/", "is blank"]),
    ],
    ids=["nobody", "blank"],
)
def test_a_note_on_nobody_or_of_nothing_ends_with_3(path, text, told, explained, reclust):
    status, _, said = reclust(explained, "note", path, text)
    assert status == 3 and all(word in said for word in told), said
    assert "\n  allowed: " in said and "\n  remedy:  " in said
    assert not explained.exists(NOTES.name)
