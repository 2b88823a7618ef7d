"""Which columns of the outside table are asked for, and whether they can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from reclust_spark.config import CrosstabOptions, PrepareOptions
from reclust_spark.crosstab.questions import MOST_DISTINCT
from reclust_spark.crosstab.tabulate import Pair
from reclust_spark.errors import InputError
from reclust_spark.prepare.codebook import Codebook, QuestionEntry, check_column
from reclust_spark.prepare.kinds import Decision
from reclust_spark.prepare.learn import spec_of
from reclust_spark.prepare.values import NUMBER, ColumnSpec
from reclust_spark.warehouse.names import IGNORED, ORDINAL


class Field(NamedTuple):
    """A column: its material and type, and its kind where prepare has decided it."""

    material: str
    type_name: str
    kind: str | None = None


def columns_of(table: str, fields: Mapping[str, Field], options: CrosstabOptions) -> list[str]:
    """Return the columns that are asked for, each once: questions, then second questions.

    Raises
    ------
    InputError
        If a column that a setting names is not there, or there is none at all.
    """
    design = [name for name in (options.strata, options.clusters) if name is not None]
    named = {
        "crosstab.questions": options.questions,
        "crosstab.by": options.by,
        "crosstab.crossed": [*options.crossed, *chain.from_iterable(options.crossed.values())],
        "crosstab.strata": [options.strata] if options.strata else [],
        "crosstab.clusters": [options.clusters] if options.clusters else [],
    }
    for setting, names in named.items():
        for name in names:
            check_column(name, list(fields), setting)
    questions = options.questions or [name for name in fields if name not in design]
    if not questions:
        raise InputError(
            table, "has no column beside its id", "a column for each question",
            "check crosstab.input",
        )  # fmt: skip
    seconds = chain.from_iterable(map(options.seconds_of, questions))
    return list(dict.fromkeys([*questions, *seconds]))


def spec_of_field(
    name: str, field: Field, codebook: Codebook, prepare: PrepareOptions, *, untyped: bool
) -> ColumnSpec:
    """Return how a column is read: as prepare would, with more distinct values counted."""
    spec = spec_of(name, field.material, field.type_name, codebook, prepare, untyped=untyped)
    return spec._replace(cap=max(spec.cap, MOST_DISTINCT))


def with_kinds(codebook: Codebook, fields: Mapping[str, Field]) -> Codebook:
    """Return the codebook with the kinds that prepare has decided, where it says none.

    Ordinal texts whose order is no longer told are left to be guessed.
    """
    entries = dict(codebook.questions)
    for name, field in fields.items():
        entry = entries.get(name, QuestionEntry())
        unsaid = entry.kind is None and codebook.block_of(name) is None
        ordered = field.kind != ORDINAL or entry.levels or field.material == NUMBER
        if field.kind not in (None, IGNORED) and unsaid and ordered:
            entries[name] = entry.model_copy(update={"kind": field.kind})
    return codebook.model_copy(update={"questions": entries})


def left_out(table: str, decision: Decision, options: CrosstabOptions) -> str | None:
    """Return why a column cannot be asked, None if it can.

    Raises
    ------
    InputError
        If it was asked for by its name.
    """
    name = decision.spec.name
    reason = _unusable(decision, options.max_levels)
    if reason is not None and name in options.named:
        raise InputError(
            f"{table}, column {name!r}", reason,
            f"numbers, or texts of at most {options.max_levels} levels",
            "leave it out of crosstab.questions, by and crossed, or mend the column",
        )  # fmt: skip
    return reason


def _unusable(decision: Decision, most: int) -> str | None:
    if decision.question is None:
        return str(decision.reason).replace("prepare.max_levels", "crosstab.max_levels")
    n_levels = len(decision.question.levels or ())
    if n_levels > most:
        return f"{n_levels} levels are more than crosstab.max_levels, which is {most}"
    return None


def pairs_of(asked: Iterable[str], options: CrosstabOptions) -> tuple[Pair, ...]:
    """Return each question alone, and crossed with each of its second ones.

    Parameters
    ----------
    asked : iterable of str
        The columns that can be asked, in the order of their numbers.
    options : CrosstabOptions
    """
    number = {name: i for i, name in enumerate(asked)}
    questions = dict.fromkeys(options.questions or number)
    return tuple(
        Pair(number[name], None if by is None else number[by])
        for name in questions
        for by in (None, *options.seconds_of(name))
    )
