"""Place people in a tree of clusters by its one-vs-all models; needs numpy, pyarrow and xgboost.

This file stands alone: `reclust export` copies it beside the models, for a service that has neither
Spark nor Delta::

    python predict.py people.csv scores.csv --id uid

    from predict import Scorer
    scorer = Scorer.load("folder of the export")
    scorer.score(people)        # an Arrow table or a pandas DataFrame, a row a person

At each node the child with the highest calibrated probability takes the person, if that is at or
above the child's threshold; else they stay there as noise. A person's result depends on their own
answers alone, never on the rows beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Inputs = npt.NDArray[np.float32]

ROOT = "/"
MISSING, ERROR = "missing", "error"
PATH_ATTRIBUTE, INPUTS_ATTRIBUTE = "reclust_path", "reclust_inputs"
MISSING_SPELLINGS = frozenset({"NA", "N/A", "NaN", "nan", "null", "NULL", "Null", "None", "#N/A"})
_NUMBER = re.compile(r"[ \t\r\n\f\v]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\r\n\f\v]*", re.ASCII)
_TRUTHS = {"false": 0.0, "true": 1.0}


class Question(NamedTuple):
    """A position in the models' inputs: a row of the question_map table.

    Attributes
    ----------
    source_column : str
    question : str
        The words of the questionnaire.
    kind : str
        numeric, count, ordinal, nominal or binary.
    levels, labels : tuple of str or None
        The source's own values in order, and what to show for each.
    codes : tuple of float or None
        What stands in `answers` for each level.
    missing_codes : tuple of str
    unit, block_id, short : str or None
        `short`: a few words for the question.
    """

    source_column: str
    question: str
    kind: str
    levels: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    codes: tuple[float, ...] | None = None
    missing_codes: tuple[str, ...] = ()
    unit: str | None = None
    block_id: str | None = None
    short: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Question:
        """Make one of a row of question_map."""
        given: dict[str, Any] = {}
        for name in cls._fields:
            value = row.get(name)
            given[name] = tuple(value) if isinstance(value, list) else value
        given["missing_codes"] = given["missing_codes"] or ()
        return cls(**given)


class Model(NamedTuple):
    """A cluster's one-vs-all model: a row of the models table.

    Attributes
    ----------
    path, parent_path : str
    model : bytes
        An XGBoost booster as UBJSON; its margins are those of being in `path`, given `parent_path`.
    threshold : float
        The calibrated probability from which on the cluster takes a person.
    calibration : sequence of float
        Slope and intercept of Platt's sigmoid over the margin.
    digest : str
        Of `model`, see `digest_of`: XGBoost reads on past the end of a blob that is cut short, and
        the process may end with it, so that none is given to it unchecked.
    """

    path: str
    parent_path: str
    model: bytes
    threshold: float
    calibration: Sequence[float]
    digest: str


class Mismatch(NamedTuple):
    """Answers that a question cannot have been given: `n` of them, such as `example`."""

    column: str
    found: str
    n: int
    example: str | None = None

    def __str__(self) -> str:
        """Say where and what."""
        such = "" if self.example is None else f", such as {self.example!r}"
        many = f" ({self.n:,} rows{such})" if self.n else ""
        return f"column {self.column!r} {self.found}{many}"


class People(NamedTuple):
    """What the models see of people.

    Attributes
    ----------
    inputs : (n, positions) float32 array
        Own units, or the index of the level; NaN where missing.
    mismatches : list of Mismatch
        What was taken for missing though something stood there, or should have.
    """

    inputs: Inputs
    mismatches: list[Mismatch]


class Placed(NamedTuple):
    """Where people were placed.

    Attributes
    ----------
    path : (n,) array of str objects
    is_noise : (n,) bool array
        They stay at a node that is split: none of its children took them.
    probability : (n,) float64 array
        Of belonging to `path`: the product of the calibrated probabilities on the way.
    """

    path: npt.NDArray[np.object_]
    is_noise: npt.NDArray[np.bool_]
    probability: Floats


class ModelError(ValueError):
    """A model that cannot be used; the message names its cluster."""


class MismatchError(ValueError):
    """The table does not fit the questionnaire, and the policy is `error`."""


# ---- reading answers


def read_people(
    columns: pa.Table | pa.RecordBatch, questions: Sequence[Question], *, untyped: bool = False
) -> People:
    """Read the answers to all questions, by the columns' names.

    Parameters
    ----------
    columns : Arrow table or record batch of n rows
        Extra columns are ignored; a question without its column is missing for everyone.
    questions : sequence of Question
    untyped : bool
        The source (CSV) holds text only, so that NA and its like mean missing.

    Returns
    -------
    People

    Raises
    ------
    MismatchError
        If a question's column stands twice.
    """
    inputs = np.full((columns.num_rows, len(questions)), np.nan, dtype=np.float32)
    mismatches = []
    names = Counter(columns.schema.names)
    for position, question in enumerate(questions):
        if names[question.source_column] > 1:
            raise MismatchError(f"column {question.source_column!r} stands twice in the table")
        if not names[question.source_column]:
            mismatches.append(Mismatch(question.source_column, "is not in the table", 0))
            continue
        array = columns.column(question.source_column)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        values, mismatch = _read(array, question, untyped)
        inputs[:, position] = values
        if mismatch is not None:
            mismatches.append(mismatch)
    return People(inputs, mismatches)


def inputs_of(answers: npt.NDArray[np.float32], questions: Sequence[Question]) -> Inputs:
    """Return the models' inputs from the `answers` of the features table: codes become indexes.

    Parameters
    ----------
    answers : (n, positions) float32 array
        Own units or level codes; NaN where missing.
    questions : sequence of Question

    Returns
    -------
    (n, positions) float32 array
    """
    inputs = answers
    for position, question in enumerate(questions):
        codes = question.codes
        if codes is None or codes == tuple(range(len(codes))):
            continue
        if inputs is answers:
            inputs = answers.copy()
        inputs[:, position] = _index(answers[:, position].astype(np.float64), np.asarray(codes))
    return inputs


def _read(
    array: pa.Array, question: Question, untyped: bool
) -> tuple[npt.NDArray[Any], Mismatch | None]:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _read_texts(array, question, untyped)
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if numeric or pa.types.is_boolean(kind):
        return _read_numbers(array, question)
    n = len(array) - array.null_count
    found = None if not n else Mismatch(question.source_column, f"is of type {kind}", n)
    return np.full(len(array), np.nan), found


def _read_numbers(array: pa.Array, question: Question) -> tuple[Floats, Mismatch | None]:
    numbers = _numbers(array)
    missing = _parsed(question.missing_codes)
    if len(missing):
        numbers = np.where(np.isin(numbers, missing), np.nan, numbers)
    if question.levels is None:
        with np.errstate(over="ignore"):
            bad = np.isinf(numbers.astype(np.float32))
        values, found = np.where(bad, np.nan, numbers), "holds infinite numbers"
    else:
        values, found = _places(numbers, (), question.levels), "holds unknown levels"
        bad = np.isnan(values) & ~np.isnan(numbers)
    if not bad.any():
        return values, None
    example = f"{numbers[bad.argmax()]:g}"
    return values, Mismatch(question.source_column, found, int(bad.sum()), example)


def _read_texts(
    array: pa.Array, question: Question, untyped: bool
) -> tuple[Floats, Mismatch | None]:
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    gone = [_is_blank(text, question, untyped) for text in texts]
    numbers = _parsed(texts)
    if question.levels is None:
        with np.errstate(over="ignore"):
            too_large = np.isinf(numbers.astype(np.float32))
        values, found = np.where(too_large, np.nan, numbers), "holds texts, not numbers"
    else:
        places = {level: float(i) for i, level in enumerate(question.levels)}
        values = np.array([places.get(text, np.nan) for text in texts], dtype=np.float64)
        as_numbers = _places(numbers, texts, question.levels)
        values, found = np.where(np.isnan(values), as_numbers, values), "holds unknown levels"
    values = np.append(np.where(gone, np.nan, values), np.nan)
    bad = np.append(np.isnan(values[:-1]) & ~np.array(gone, dtype=bool), False)
    n = int(bad[codes].sum())
    mismatch = None
    if n:
        example = next(texts[code] for code in codes if bad[code])
        mismatch = Mismatch(question.source_column, found, n, example)
    return values[codes], mismatch


def _is_blank(text: str | None, question: Question, untyped: bool) -> bool:
    if text is None or not text.strip() or text in question.missing_codes:
        return True
    if not untyped:
        return False
    number = _parsed([text])
    return text.strip() in MISSING_SPELLINGS or bool(
        np.isin(number, _parsed(question.missing_codes))[0]
    )


def _numbers(array: pa.Array) -> Floats:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    array = array.cast(pa.float64(), safe=False)
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _parsed(texts: Sequence[str | None]) -> Floats:
    """Return texts as numbers, NaN where one is not a number."""
    parsed = (float(t) if t is not None and _NUMBER.fullmatch(t) else math.nan for t in texts)
    return np.fromiter(parsed, dtype=np.float64, count=len(texts))


def _places(numbers: Floats, texts: Sequence[str | None], levels: Sequence[str]) -> Floats:
    """Return the place of each answer among the levels, as a number or, if it is none, as a truth.

    A file without types spells false and true out where a table has 0 and 1, and the reverse.
    """
    level_numbers, level_truths = _parsed(levels), _truths(levels)
    if set(np.where(np.isnan(level_numbers), level_truths, level_numbers)) <= {0.0, 1.0}:
        level_numbers = np.where(np.isnan(level_numbers), level_truths, level_numbers)
        numbers = np.where(np.isnan(numbers), _truths(texts), numbers) if texts else numbers
    return _index(numbers, level_numbers)


def _truths(texts: Sequence[str | None]) -> Floats:
    return np.array([_TRUTHS.get((text or "").strip().lower(), math.nan) for text in texts])


def _index(numbers: Floats, levels: Floats) -> Floats:
    """Return the place of each number among the levels, NaN where it is none of them."""
    order = np.argsort(levels)
    place = np.searchsorted(levels[order], numbers).clip(max=max(0, len(levels) - 1))
    found = levels[order][place] == numbers
    return np.where(found, order[place].astype(np.float64), np.nan)


# ---- deciding


class Split(NamedTuple):
    """All one-vs-all models of a node's children, as one booster: the inputs are read once.

    Attributes
    ----------
    children : tuple of str
    booster : xgboost.Booster
        With an output for each child.
    slopes, intercepts, thresholds : (children,) float64 arrays
    """

    children: tuple[str, ...]
    booster: Any
    slopes: Floats
    intercepts: Floats
    thresholds: Floats

    def probabilities(self, inputs: Inputs) -> Floats:
        """Return the calibrated probability of each child, shape (n, children)."""
        if not len(inputs):
            return np.zeros((0, len(self.children)))
        margins = self.booster.inplace_predict(inputs, predict_type="margin")
        margins = margins.reshape(len(inputs), len(self.children)).astype(np.float64)
        return sigmoid(self.slopes * margins + self.intercepts)


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + exp(−x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def decide(probabilities: Floats, thresholds: Floats) -> npt.NDArray[np.intp]:
    """Return each person's child: the most probable one, −1 where it is below its threshold.

    Parameters
    ----------
    probabilities : (n, children) float64 array
    thresholds : (children,) float64 array

    Returns
    -------
    (n,) intp array
    """
    best = probabilities.argmax(axis=1)
    taken = probabilities[np.arange(len(best)), best] >= thresholds[best]
    return np.where(taken, best, -1)


def load_booster(model: Model, n_inputs: int, fingerprint: str | None = None) -> Any:
    """Load a model and check that it is this cluster's.

    Parameters
    ----------
    model : Model
    n_inputs : int
        How many questions there are.
    fingerprint : str, optional
        Of the questions, see `fingerprint_of`.

    Returns
    -------
    xgboost.Booster

    Raises
    ------
    ModelError
        If the blob is truncated, no model, or another's.
    """
    import xgboost

    if digest_of(model.model) != model.digest:
        raise ModelError(
            f"the model of {model.path} is not the one that was written: its "
            f"{len(model.model):,} bytes are another's, or cut short"
        )
    try:
        booster = xgboost.Booster(model_file=bytearray(model.model))
        found = (booster.attr(PATH_ATTRIBUTE), booster.num_features())
        inputs = booster.attr(INPUTS_ATTRIBUTE)
    except (xgboost.core.XGBoostError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "empty"
        raise ModelError(f"the model of {model.path} cannot be read: {reason}") from None
    if found != (model.path, n_inputs):
        raise ModelError(
            f"the model of {model.path} is another's: it says cluster {found[0]}, "
            f"{found[1]} questions; {n_inputs} questions are asked"
        )
    if fingerprint is not None and inputs != fingerprint:
        raise ModelError(f"the model of {model.path} was made for another questionnaire")
    return booster


def digest_of(model: bytes) -> str:
    """Return the SHA-256 of a model."""
    return hashlib.sha256(model).hexdigest()


def fingerprint_of(questions: Sequence[Question]) -> str:
    """Return a hash of what the inputs mean: columns, kinds and levels, in order."""
    meaning = [(q.source_column, q.kind, q.levels) for q in questions]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16]


def merge(models: Sequence[Model], questions: Sequence[Question]) -> Split:
    """Join the models of a node's children.

    Scored one by one, each booster would read all inputs again; one booster with an output for each
    child reads them once, which is two to three times as fast.

    Parameters
    ----------
    models : sequence of Model
        Of the children of one node.
    questions : sequence of Question

    Returns
    -------
    Split

    Raises
    ------
    ModelError
    """
    import xgboost

    fingerprint = fingerprint_of(questions)
    parts = []
    for model in models:
        booster = load_booster(model, len(questions), fingerprint)
        parts.append(json.loads(bytes(booster.save_raw("json"))))
    whole = parts[0]
    trees: list[dict[str, Any]] = []
    owners: list[int] = []
    bases: list[float] = []
    for number, part in enumerate(parts):
        learner = part["learner"]
        bases.append(float(learner["learner_model_param"]["base_score"].strip("[]")))
        for tree in learner["gradient_booster"]["model"]["trees"]:
            trees.append(tree | {"id": len(trees)})
            owners.append(number)
    learner, n = whole["learner"], len(parts)
    forest = learner["gradient_booster"]["model"]
    forest |= {"trees": trees, "tree_info": owners, "iteration_indptr": [0, len(trees)]}
    forest["gbtree_model_param"]["num_trees"] = str(len(trees))
    if n > 1:
        learner["objective"] = {
            "name": "multi:softprob",
            "softmax_multiclass_param": {"num_class": str(n)},
        }
        learner["learner_model_param"] |= {
            "num_class": str(n),
            "base_score": "[" + ",".join(["0E0"] * n) + "]",
        }
    learner["attributes"] = {}
    booster = xgboost.Booster(model_file=bytearray(json.dumps(whole).encode()))
    booster.set_param({"nthread": 1})
    # the merged booster starts at a margin of 0; a one-vs-all model at the log odds of its share
    starts = np.array([math.log(base / (1 - base)) for base in bases]) if n > 1 else np.zeros(1)
    slopes = np.array([model.calibration[0] for model in models], dtype=np.float64)
    intercepts = np.array([model.calibration[1] for model in models], dtype=np.float64)
    thresholds = np.array([model.threshold for model in models], dtype=np.float64)
    children = tuple(model.path for model in models)
    return Split(children, booster, slopes, intercepts + slopes * starts, thresholds)


class Scorer:
    """Places people by walking the tree.

    Parameters
    ----------
    questions : sequence of Question
        By position.
    models : sequence of Model
        Of every child of every split node; none: a tree of one node.
    unknown : str
        What becomes of what does not fit the questionnaire: `missing` (taken for no answer, with a
        warning) or `error`.

    Raises
    ------
    ModelError
        If a model cannot be used.
    """

    def __init__(
        self, questions: Sequence[Question], models: Sequence[Model], unknown: str = MISSING
    ) -> None:
        self.questions, self.unknown = tuple(questions), unknown
        siblings: dict[str, list[Model]] = {}
        for model in sorted(models, key=lambda model: model.path):
            siblings.setdefault(model.parent_path, []).append(model)
        self.splits = {path: merge(group, questions) for path, group in siblings.items()}

    @classmethod
    def load(cls, folder: str | Path, unknown: str = MISSING) -> Scorer:
        """Load an export.

        Parameters
        ----------
        folder : path
            As `reclust export` wrote it.
        unknown : str
            See the class.
        """
        home = Path(folder)
        tree = json.loads((home / "tree.json").read_text(encoding="utf-8"))
        models = [
            Model(
                row["path"],
                row["parent_path"],
                (home / row["model"]).read_bytes(),
                row["threshold"],
                row["calibration"],
                row["digest"],
            )
            for row in tree["models"]
        ]
        return cls([Question.of(row) for row in tree["questions"]], models, unknown)

    def place(self, inputs: Inputs, max_depth: int | None = None) -> Placed:
        """Walk the tree.

        Parameters
        ----------
        inputs : (n, positions) float32 array
            From `read_people` or `inputs_of`.
        max_depth : int, optional
            Stop at this depth.

        Returns
        -------
        Placed
            Who gave no answer at all stays at the root.
        """
        n = len(inputs)
        path = np.full(n, ROOT, dtype=object)
        noise = np.zeros(n, dtype=bool)
        probability = np.ones(n)
        silent = np.isnan(inputs).all(axis=1) if n else noise
        waiting = [(ROOT, 0, np.flatnonzero(~silent))]
        noise[silent] = ROOT in self.splits and max_depth != 0
        while waiting:
            node, depth, rows = waiting.pop()
            split = self.splits.get(node)
            if split is None or not len(rows) or depth == max_depth:
                continue
            probabilities = split.probabilities(inputs if len(rows) == n else inputs[rows])
            chosen = decide(probabilities, split.thresholds)
            noise[rows[chosen < 0]] = True
            for number, child in enumerate(split.children):
                inside = np.flatnonzero(chosen == number)
                path[rows[inside]] = child
                probability[rows[inside]] *= probabilities[inside, number]
                waiting.append((child, depth + 1, rows[inside]))
        return Placed(path, noise, probability)

    def score(self, people: Any, *, id: str | None = None, untyped: bool = False) -> Any:
        """Place people.

        Parameters
        ----------
        people : Arrow table, record batch or pandas DataFrame of n rows
            A column for each question, by its source's name.
        id : str, optional
            A column to carry over.
        untyped : bool
            The table comes from a CSV and holds text only.

        Returns
        -------
        Arrow table or pandas DataFrame of n rows
            As it was given: id where asked for, path, depth, is_noise, probability.

        Raises
        ------
        MismatchError
            If something does not fit and the policy is `error`, no question is there at all, or
            the id is not.
        """
        is_arrow = isinstance(people, (pa.Table, pa.RecordBatch))
        table = people if is_arrow else pa.Table.from_pandas(people, preserve_index=False)
        if id is not None and table.schema.names.count(id) != 1:
            raise MismatchError(f"there is no column {id!r}, or several")
        read = read_people(table, self.questions, untyped=untyped)
        self.check(table.schema.names, read.mismatches)
        columns = placed_columns(self.place(read.inputs))
        if id is not None:
            columns = {id: table.column(id)} | columns
        result = pa.table(columns)
        return result if is_arrow else result.to_pandas().set_axis(people.index)

    def check(self, names: Sequence[str], mismatches: Sequence[Mismatch]) -> None:
        """Warn of what does not fit, or refuse it."""
        told = "; ".join(str(item) for item in mismatches)
        nothing = self.questions and not {q.source_column for q in self.questions} & set(names)
        if nothing or (mismatches and self.unknown == ERROR):
            raise MismatchError(f"the table does not fit the questionnaire: {told}")
        if mismatches:
            warnings.warn(f"taken for no answer: {told}", stacklevel=3)


def placed_columns(placed: Placed) -> dict[str, pa.Array]:
    """Return the columns path, depth, is_noise and probability."""
    depth = np.array([path.count("/") - 1 for path in placed.path], dtype=np.int32)
    return {
        "path": pa.array(placed.path, pa.string()),
        "depth": pa.array(depth),
        "is_noise": pa.array(placed.is_noise),
        "probability": pa.array(placed.probability),
    }


# ---- the file as a command


def _open(file: Path) -> tuple[pa.Table, bool]:
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(file), False
    from pyarrow import csv

    with csv.open_csv(file) as reader:
        names = reader.schema.names
    kinds = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    return csv.read_csv(file, convert_options=kinds), True


def main() -> None:
    """Score a file: CSV or Parquet in, the same out."""
    parser = argparse.ArgumentParser(description="Place people in the tree of this folder.")
    parser.add_argument("people", type=Path, help=".csv or .parquet, a row a person")
    parser.add_argument("scores", type=Path, help=".csv or .parquet to write")
    parser.add_argument("--id", required=True, help="the column to carry over")
    parser.add_argument("--unknown", choices=[MISSING, ERROR], default=MISSING)
    arguments = parser.parse_args()
    try:
        scorer = Scorer.load(Path(__file__).parent, arguments.unknown)
        table, untyped = _open(arguments.people)
        scores = scorer.score(table, id=arguments.id, untyped=untyped)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    if arguments.scores.suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(scores, arguments.scores)
    else:
        from pyarrow import csv

        csv.write_csv(scores, arguments.scores)


if __name__ == "__main__":
    main()
