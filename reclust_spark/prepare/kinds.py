"""What kind of question each column is: the codebook's word, else a guess from its profile."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reclust_spark.config import PrepareOptions
from reclust_spark.errors import InputError
from reclust_spark.prepare.codebook import Codebook, QuestionEntry
from reclust_spark.prepare.levels import CATEGORICAL, Observed, observed_levels, with_levels
from reclust_spark.prepare.profile import ColumnProfile
from reclust_spark.prepare.questions import Question, reads_numbers
from reclust_spark.prepare.values import TEXT, UNSUPPORTED, ColumnSpec, as_text
from reclust_spark.warehouse.names import BINARY, COUNT, IGNORED, NOMINAL, NUMERIC, ORDINAL

NO_ANSWERS = "no answers: every value is missing"


@dataclass(frozen=True)
class Decision:
    """What becomes of a column: a question, or the reason why it is ignored."""

    spec: ColumnSpec
    profile: ColumnProfile
    kind: str
    reason: str | None = None
    question: Question | None = None

    @property
    def is_constant(self) -> bool:
        """Everyone who answers gives the same answer, or nobody answers."""
        levels = self.profile.levels
        return self.question is None and levels is not None and len(levels) <= 1


def decide(
    spec: ColumnSpec, profile: ColumnProfile, codebook: Codebook, options: PrepareOptions
) -> Decision:
    """Decide the kind of a column under ``prepare.scaling: question``.

    Parameters
    ----------
    spec : ColumnSpec
    profile : ColumnProfile
        Of all rows.
    codebook : Codebook
    options : PrepareOptions

    Returns
    -------
    Decision

    Raises
    ------
    InputError
        If the column holds infinities, or contradicts the codebook.
    """
    entry = codebook.questions.get(spec.name, QuestionEntry())
    block = codebook.block_of(spec.name)
    reason = _unusable(spec, profile, entry)
    if reason:
        return Decision(spec, profile, IGNORED, reason)
    _check_numbers(spec, profile, entry)
    as_numbers = reads_numbers(spec, profile.n_unparsed)
    levels = observed_levels(profile, as_numbers)
    if levels is not None and len(levels) == 1:
        return Decision(spec, profile, IGNORED, _constant(next(iter(levels)), block))
    if block is not None:
        kind: str | None = _block_kind(spec, levels)
    else:
        kind = entry.kind or _guess(profile, levels, as_numbers, entry, options)
    if kind is None:
        number = as_numbers and profile.is_row_number
        return Decision(spec, profile, IGNORED, _ROW_NUMBER if number else _free_text(options))
    question = Question(
        spec, _text(spec, codebook), kind, as_numbers, block_id=block, short=_short(spec, codebook)
    )
    if kind in CATEGORICAL:
        question = with_levels(question, levels, entry)
    else:
        question = _as_scale(question, profile, entry)
    return Decision(spec, profile, kind, None, question)


def decide_as_is(spec: ColumnSpec, profile: ColumnProfile, codebook: Codebook) -> Decision:
    """Decide under ``prepare.scaling: none``: every column with answers is numeric.

    Raises
    ------
    InputError
        If the column holds texts, infinities or anything but numbers.
    """
    entry = codebook.questions.get(spec.name, QuestionEntry())
    if entry.kind == IGNORED:
        return Decision(spec, profile, IGNORED, "the codebook says so")
    remedy = f"leave it out: --set 'input.exclude=[{spec.name}]', or use prepare.scaling=question"
    allowed = "numbers only, under prepare.scaling none"
    if profile.n_answers == 0:
        return Decision(spec, profile, IGNORED, NO_ANSWERS)
    if spec.material == UNSUPPORTED:
        raise InputError(_where(spec), f"is of type {spec.type_name}", allowed, remedy)
    if spec.material == TEXT and profile.n_unparsed:
        found = f"{profile.n_unparsed} texts that are no numbers, such as {profile.unparsed!r}"
        raise InputError(_where(spec), found, allowed, remedy)
    _check_finite(spec, profile)
    text, short = _text(spec, codebook), _short(spec, codebook)
    question = Question(spec, text, NUMERIC, True, short=short)
    return Decision(spec, profile, NUMERIC, None, _as_scale(question, profile, entry))


def _unusable(spec: ColumnSpec, profile: ColumnProfile, entry: QuestionEntry) -> str | None:
    if entry.kind == IGNORED:
        return "the codebook says so"
    if profile.n_answers == 0:
        return NO_ANSWERS
    if spec.material == UNSUPPORTED:
        how = next((how for start, how in _HOW_TO_USE.items() if start in spec.type_name), None)
        return f"type {spec.type_name}: {how or 'turn it into numbers or texts to use it'}"
    return None


_HOW_TO_USE = {
    "timestamp": "turn it into a number, such as days before the survey, to use it",
    "date": "turn it into a number, such as days before the survey, to use it",
    "list": "make a column of each element to use it",
    "array": "make a column of each element to use it",
    "struct": "make a column of each field to use it",
    "map": "make a column of each key to use it",
}
_ROW_NUMBER = (
    "a row number: whole numbers without gap or repeat; name a kind in the codebook if not"
)


def _constant(level: float | str, block: str | None) -> str:
    shown = as_text(level) if isinstance(level, float) else level
    hint = "; if a blank means 'not chosen', write 0 there" if block and shown != "0" else ""
    return f"constant: every answer is {shown!r}{hint}"


def _free_text(options: PrepareOptions) -> str:
    return (
        f"more than {options.max_levels} distinct texts: group them into fewer levels, "
        "or raise prepare.max_levels"
    )


def _text(spec: ColumnSpec, codebook: Codebook) -> str:
    block = codebook.block_of(spec.name)
    if block is not None:
        entry = codebook.blocks[block]
        return f"{entry.question or block}: {entry.columns[spec.name]}"
    entry_of = codebook.questions.get(spec.name)
    return (entry_of.question if entry_of else None) or spec.name


def _short(spec: ColumnSpec, codebook: Codebook) -> str | None:
    block = codebook.block_of(spec.name)
    if block is not None:
        return codebook.blocks[block].short
    entry = codebook.questions.get(spec.name)
    return None if entry is None else entry.short


def _where(spec: ColumnSpec) -> str:
    return f"column {spec.name!r}"


def _check_finite(spec: ColumnSpec, profile: ColumnProfile) -> None:
    if profile.n_infinite:
        raise InputError(
            _where(spec),
            f"{profile.n_infinite} of {profile.n} values are infinite, or too large for 32 bits",
            "finite numbers up to 3.4e38, or null",
            f"set them to null in the source, or leave it out: --set 'input.exclude=[{spec.name}]'",
        )


def _check_numbers(spec: ColumnSpec, profile: ColumnProfile, entry: QuestionEntry) -> None:
    if entry.kind in (NUMERIC, COUNT) and spec.material == TEXT and profile.n_unparsed:
        raise InputError(
            _where(spec),
            f"{profile.n_unparsed} of {profile.n} values are no numbers, such as "
            f"{profile.unparsed!r}, where the codebook says {entry.kind}",
            "numbers, or one of the column's missing_codes",
            f"add {profile.unparsed!r} to its missing_codes, or change its kind to nominal",
        )
    if reads_numbers(spec, profile.n_unparsed):
        _check_finite(spec, profile)


def _guess(
    profile: ColumnProfile,
    levels: Observed | None,
    as_numbers: bool,
    entry: QuestionEntry,
    options: PrepareOptions,
) -> str | None:
    n_levels = np.inf if levels is None else len(levels)
    if n_levels == 2 and len(entry.levels or ()) <= 2:
        return BINARY
    if not as_numbers:
        fits = n_levels <= options.max_levels or entry.levels is not None
        return NOMINAL if fits else None
    if entry.levels is not None:
        return ORDINAL
    if profile.n > options.max_ordinal_levels and profile.is_row_number:
        return None
    if profile.whole and n_levels <= options.max_ordinal_levels:
        return ORDINAL
    return COUNT if profile.whole and profile.minimum >= 0 else NUMERIC


def _block_kind(spec: ColumnSpec, levels: Observed | None) -> str:
    keys = set() if levels is None else {str(key).lower() for key in levels}
    if keys not in ({"0.0", "1.0"}, {"false", "true"}):
        shown = ", ".join(map(str, list(levels)[:5])) if levels else "many values"
        raise InputError(
            _where(spec),
            f"holds {shown}, where the codebook says it is an option of a block",
            "0 and 1, or one of the block's missing_codes",
            "turn it into 0 and 1 in the source, or describe it under questions",
        )
    return BINARY


def _as_scale(question: Question, profile: ColumnProfile, entry: QuestionEntry) -> Question:
    if question.kind == COUNT and profile.minimum < 0:
        raise InputError(
            _where(question.spec),
            f"goes down to {as_text(profile.minimum)}, where the codebook says count",
            "0 and above",
            "change its kind to numeric, or name the negative values in missing_codes",
        )
    return replace(question, minimum=profile.minimum, maximum=profile.maximum, unit=entry.unit)
