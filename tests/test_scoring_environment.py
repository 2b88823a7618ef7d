"""Scoring where little is installed: no UMAP in Spark's processes, no Spark beside an export."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from reclust_spark.cli import main
from reclust_spark.explain.stage import set_label
from reclust_spark.score import stage as score
from reclust_spark.warehouse.names import MODELS, SCORES
from reclust_spark.warehouse.tables import Warehouse
from tests.test_explain_stage import (
    copied,
    planted,
    planted_survey,
    rows_of,
    settings_of,
)

FITTERS = ["umap", "pynndescent", "hdbscan", "numba", "sklearn", "torch", "shap"]
PACKAGES = ["pandas", "pyspark", "py4j", "delta", "pydantic", "yaml", "typer"]
REFUSAL = """
import os, sys
from pathlib import Path

REFUSED = frozenset(os.environ["REFUSED"].split(","))

class Without:
    # as if they were not installed: the finders do not find them
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        known = name.partition(".")[0] not in REFUSED
        return self.finder.find_spec(name, path, target) if known else None

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
Path(__file__).with_name(f"seen-{os.getpid()}").write_text(" ".join(sys.orig_argv))
"""
PLACE = ["path", "depth", "is_noise", "probability"]


@pytest.fixture(scope="module")
def explained(spark, tmp_path_factory) -> Warehouse:
    return planted("explained", spark, tmp_path_factory)[1]


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    return planted_survey()


@pytest.fixture(scope="module")
def expected(spark, tmp_path_factory) -> pd.DataFrame:
    """Where Spark has placed the survey's people, by their id."""
    warehouse = planted("scored", spark, tmp_path_factory)[1]
    return rows_of(warehouse, SCORES).set_index("row_id")[PLACE]


@pytest.fixture(scope="module")
def export(explained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "tree"
    score.export(explained, None, str(folder))
    return folder


@pytest.fixture
def python(tmp_path, short_lived):
    """Run Python in a process, and processes of that, in which some packages are refused."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(REFUSAL)

    def process(refused: list[str], *words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = short_lived | {"PYTHONPATH": str(site), "REFUSED": ",".join(refused)}
        # the settings of this process' own Spark are not those of another one's
        for name in ("SPARK_ENV_LOADED", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, *map(str, words)],
            capture_output=True, text=True, timeout=500, cwd=tmp_path, env=environment,
        )  # fmt: skip

    return process


def seen(tmp_path: Path) -> list[str]:
    """The command lines of the processes that the refusal held in."""
    return [file.read_text() for file in (tmp_path / "site").glob("seen-*")]


# ---- Spark without the libraries that fit


def reclust(command: str, warehouse: Warehouse) -> list[str]:
    settings = settings_of(warehouse, "spark.master=local[1]")
    words = [word for setting in settings for word in ("--set", setting)]
    return ["-m", "reclust_spark.cli", command, *words]


def test_spark_scores_where_nothing_that_fits_can_be_imported(
    explained, expected, python, tmp_path
):
    warehouse = copied(explained, tmp_path)
    done = python(FITTERS, *reclust("score", warehouse))
    assert done.returncode == 0, done.stderr
    assert any("daemon" in words for words in seen(tmp_path)), "the refusal held in workers too"
    found = rows_of(warehouse, SCORES).set_index("row_id")[PLACE]
    pd.testing.assert_frame_equal(found, expected)


def test_the_refusal_does_stop_what_fits(python):
    done = python(FITTERS, "-c", "from reclust_spark.zoom.warm import warm; warm()")
    assert done.returncode != 0
    assert re.search(f"No module named '({'|'.join(FITTERS)})", done.stderr)


# ---- the exported folder alone


def predict(export: Path, *words: str | Path) -> list[str | Path]:
    return [export / "predict.py", *words]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_export_scores_files_without_spark_or_pandas(
    ending, export, survey, expected, python, tmp_path
):
    people, scores = tmp_path / f"people.{ending}", tmp_path / f"scores.{ending}"
    survey.to_csv(people, index=False) if ending == "csv" else survey.to_parquet(people)
    refused = [*FITTERS, *PACKAGES, "reclust_spark"]
    done = python(refused, *predict(export, people, scores, "--id", "uid"))
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "nothing is amiss with this table"
    found = pd.read_csv(scores) if ending == "csv" else pd.read_parquet(scores)
    assert found.columns.tolist() == ["uid", *PLACE] and found.uid.tolist() == survey.uid.tolist()
    found = found.set_index("uid").sort_index().rename_axis("row_id").astype({"depth": "int32"})
    pd.testing.assert_frame_equal(found, expected)


def cut(export: Path) -> str:
    """Cut a model of an export short; return the cluster's path."""
    row = json.loads((export / "tree.json").read_text())["models"][1]
    file = export / row["model"]
    file.write_bytes(file.read_bytes()[:-100])
    return str(row["path"])


@pytest.mark.parametrize("how", ["unknown id", "cut model", "gone model", "unknown level"])
def test_an_export_ends_with_1_and_says_why(how, export, survey, python, tmp_path):
    folder, people, scores = tmp_path / "tree", tmp_path / "people.csv", tmp_path / "scores.csv"
    shutil.copytree(export, folder)
    survey.assign(town=survey.town.where(survey.index != 3, "atlantis")).to_csv(people, index=False)
    words = ["--id", "uid"]
    if how == "unknown id":
        words, told = ["--id", "nobody"], "'nobody'"
    if how == "cut model":
        told = f"the model of {cut(folder)}"
    if how == "gone model":
        model = next((folder / "models").iterdir())
        model.unlink()
        told = model.name
    if how == "unknown level":
        words, told = [*words, "--unknown", "error"], "column 'town' holds unknown levels (1 rows"
    done = python(FITTERS, *predict(folder, people, scores, *words))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and told in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not scores.exists()


# ---- reclust export


@pytest.fixture
def write_export(capfd):
    """Run the command; return its exit status, what it printed, and what it said."""

    def command(warehouse: Warehouse, folder: Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["export", str(folder), "--set", f"warehouse={warehouse.place}"])
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("what", ["a folder of others", "a file", "half an export"])
def test_an_export_never_takes_the_place_of_something_else(
    what, explained, export, write_export, tmp_path
):
    folder = tmp_path / "mine"
    if what == "a file":
        folder.write_text("letters")
    else:
        folder.mkdir()
        (folder / ("predict.py" if what == "half an export" else "letters")).write_text("mine")
    status, _, said = write_export(explained, folder)
    assert status == 2
    assert "holds something else" in said and "\n  remedy:  " in said
    if what == "a file":
        assert folder.read_text() == "letters"
    else:
        assert list(files(folder).values()) == [b"mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"], "nothing is left beside it"


def test_an_export_takes_the_place_of_an_earlier_one(explained, export, write_export, tmp_path):
    warehouse, folder = copied(explained, tmp_path), tmp_path / "deep" / "tree"
    status, printed, _ = write_export(warehouse, folder)
    assert (status, files(folder)) == (0, files(export))
    assert "tree 1" in printed and f"{folder}/predict.py" in printed
    set_label(warehouse, None, "/002/", "the valley")
    assert write_export(warehouse, folder)[0] == 0
    before, after = files(export), files(folder)
    assert json.loads(after.pop("tree.json"))["labels"]["/002/"] == "the valley"
    assert b"the valley" not in before.pop("tree.json")
    assert after == before
    models = rows_of(explained, MODELS)
    written = {name: blob for name, blob in after.items() if name.startswith("models/")}
    assert sorted(written.values()) == sorted(models.model)
    assert [path.name for path in folder.parent.iterdir()] == ["tree"]


def test_an_export_does_not_delete_what_lies_beside_an_earlier_one(
    explained, export, write_export, tmp_path
):
    folder = tmp_path / "tree"
    shutil.copytree(export, folder)
    (folder / "scores.csv").write_text("of last month")
    write_export(explained, folder)
    assert (folder / "scores.csv").exists()


def test_a_tree_that_was_not_explained_is_not_exported(
    spark, tmp_path_factory, write_export, tmp_path
):
    zoomed = planted("zoomed", spark, tmp_path_factory)[1]
    status, _, said = write_export(zoomed, tmp_path / "tree")
    assert status == 3
    assert "reclust explain" in said and not (tmp_path / "tree").exists()
