"""A tree for a service that has neither Delta nor Spark: a folder of files, and one to run them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reclust_spark.errors import ConfigError
from reclust_spark.onevsall import predict
from reclust_spark.onevsall.predict import Model, Question

TREE_FILE, CODE_FILE, MODEL_FOLDER = "tree.json", "predict.py", "models"


def write_export(
    folder: str | Path,
    questions: Sequence[Question],
    models: Sequence[Model],
    facts: dict[str, Any],
) -> None:
    """Write models, questions, thresholds and the code that applies them.

    Parameters
    ----------
    folder : path
        Is made; an earlier export is replaced.
    questions : sequence of Question
    models : sequence of Model
    facts : dict
        What else tree.json is to say: tree_version, labels.

    Raises
    ------
    ConfigError
        If the folder holds something else, or cannot be written.
    ModelError
        If a model cannot be used.
    """
    home = Path(folder).absolute()
    where = f"export folder {folder}"
    if home.exists() and (not home.is_dir() or _is_foreign(home)):
        raise ConfigError(
            where, "holds something else", "a new or empty folder, or an earlier export",
            "name another folder",
        )  # fmt: skip
    predict.Scorer(questions, models)  # what is exported can be loaded
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}.") as scratch:
            made = Path(scratch, "export")
            _write(made, questions, models, facts)
            _put(made, home, Path(scratch, "before"))
    except OSError as error:
        raise ConfigError(
            where, f"cannot be written ({error.strerror})", "a folder that this user can write",
            "name another folder",
        ) from None  # fmt: skip


def _write(
    home: Path, questions: Sequence[Question], models: Sequence[Model], facts: dict[str, Any]
) -> None:
    (home / MODEL_FOLDER).mkdir(parents=True)
    rows = []
    for model in models:
        name = f"{MODEL_FOLDER}/{model.path.strip('/').replace('/', '-')}.ubj"
        (home / name).write_bytes(model.model)
        row = model._asdict() | {"model": name, "calibration": list(model.calibration)}
        rows.append(row)
    tree = facts | {"questions": [q._asdict() for q in questions], "models": rows}
    (home / TREE_FILE).write_text(json.dumps(tree, indent=1, ensure_ascii=False), "utf-8")
    shutil.copyfile(predict.__file__, home / CODE_FILE)


def _put(made: Path, home: Path, before: Path) -> None:
    """Move the new export to its place; what else lies beside an earlier one stays."""
    if not home.exists():
        made.replace(home)
        return
    if (home / MODEL_FOLDER).exists():
        (home / MODEL_FOLDER).replace(before)
    # tree.json last: until then its digests refuse the new models
    for name in (MODEL_FOLDER, CODE_FILE, TREE_FILE):
        (made / name).replace(home / name)


def _is_foreign(home: Path) -> bool:
    names = {entry.name for entry in home.iterdir()}
    return bool(names) and not {TREE_FILE, CODE_FILE} <= names
