"""The codebook: what each column asks, in YAML that a survey team can write by hand.

::

    questions:
      ideo:
        question: Where would you place yourself, from liberal to conservative?
        kind: ordinal
        levels: {1: very liberal, 2: liberal, 3: moderate, 4: conservative, 5: very conservative}
        missing_codes: [8, 9]
      age: {question: "How old are you?", kind: numeric, unit: years}
    blocks:
      channels:
        question: Which of these do you use?
        columns: {q7_1: television, q7_2: radio, q7_3: podcasts}

Every value is read as the text that stands in the file, so that ``yes``, ``007`` and ``1.0`` stay
what they are; against a numeric column they are compared as numbers.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from reclust_spark.errors import ConfigError, InputError
from reclust_spark.warehouse.names import KINDS

Kind = Literal["numeric", "count", "ordinal", "nominal", "binary", "ignored"]
FORM = (
    "questions: {column: {question, short, kind, levels, missing_codes, unit}}, "
    "blocks: {id: {question, short, columns, missing_codes}}"
)


def _named(value: object) -> object:
    """Let a list of names stand for a mapping of each name to itself."""
    if isinstance(value, list):
        repeated = sorted({str(item) for item in value if value.count(item) > 1})
        if repeated:
            raise ValueError(f"{repeated[0]!r} is listed twice")
        return {item: item for item in value}
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Named = Annotated[dict[str, str], BeforeValidator(_named)]
Codes = Annotated[list[str], BeforeValidator(_listed)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QuestionEntry(_Entry):
    """What the codebook says of one column.

    Attributes
    ----------
    question : str or None
        The words that were asked.
    short : str or None
        A few words for it, for the names of clusters.
    kind : str or None
        One of names.KINDS; None leaves it to be guessed.
    levels : dict of str to str or None
        The source's own values, in order, each with the label to show.
    missing_codes : list of str
        Values that stand for no answer.
    unit : str or None
        The unit of a numeric answer.
    """

    question: str | None = None
    short: str | None = None
    kind: Kind | None = None
    levels: Named | None = None
    missing_codes: Codes = []
    unit: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_alone(cls, value: object) -> object:
        return {"question": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _levels_are_answers(self) -> QuestionEntry:
        both = [level for level in self.levels or {} if level in self.missing_codes]
        if both:
            raise ValueError(f"{both[0]!r} is both a level and a missing code")
        return self


class BlockEntry(_Entry):
    """A multi-select question: one 0/1 column for each option."""

    question: str | None = None
    short: str | None = None
    columns: Named
    missing_codes: Codes = []


class Codebook(_Entry):
    """A whole codebook; an empty one says nothing."""

    questions: dict[str, QuestionEntry] = {}
    blocks: dict[str, BlockEntry] = {}

    @model_validator(mode="after")
    def _a_column_once(self) -> Codebook:
        used: dict[str, str] = dict.fromkeys(self.questions, "questions")
        for block, entry in self.blocks.items():
            for column in entry.columns:
                if column in used:
                    both = f"{used[column]} and in blocks.{block}"
                    raise ValueError(f"column {column!r} is in {both}")
                used[column] = f"blocks.{block}"
        return self

    @property
    def columns(self) -> list[str]:
        """Every column that the codebook names."""
        blocks = [column for entry in self.blocks.values() for column in entry.columns]
        return [*self.questions, *blocks]

    def block_of(self, column: str) -> str | None:
        """Return the id of the block that a column is an option of, if it is one."""
        return next((key for key, entry in self.blocks.items() if column in entry.columns), None)

    def missing_codes(self, column: str) -> tuple[str, ...]:
        """Return the values of a column that stand for no answer."""
        block = self.block_of(column)
        if block is not None:
            return tuple(self.blocks[block].missing_codes)
        return tuple(self.questions[column].missing_codes) if column in self.questions else ()

    def check_columns(self, known: Sequence[str], where: str = "codebook") -> None:
        """Raise InputError if a named column is not in the table.

        Parameters
        ----------
        known : sequence of str
            The table's columns.
        where : str
            What to call the codebook in the message.
        """
        for column in self.columns:
            check_column(column, known, where)


class _TextLoader(yaml.BaseLoader):
    """YAML with every scalar as text, in which a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_codebook(file: str | Path | None) -> Codebook:
    """Read a codebook.

    Parameters
    ----------
    file : path or None
        None gives an empty codebook.

    Returns
    -------
    Codebook

    Raises
    ------
    ConfigError
        If the file is missing or not YAML, a key or kind is unknown, or a column is used twice.
    """
    if file is None:
        return Codebook()
    where = f"codebook {file}"
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            where, f"cannot be read ({reason})", "a YAML file", "check input.codebook"
        ) from None
    return parse_codebook(text, where)


def parse_codebook(text: str, where: str = "codebook") -> Codebook:
    """Return the codebook that a YAML text holds; see `read_codebook` for the errors."""
    try:
        content = yaml.load(text, _TextLoader)
    except yaml.YAMLError as error:
        found = " ".join(str(error).split())
        raise ConfigError(where, f"is not sound YAML ({found})", "YAML", "mend that line") from None
    try:
        return Codebook.model_validate(content or {})
    except ValidationError as error:
        raise _config_error(where, error) from None


def check_column(column: str, known: Sequence[str], where: str) -> None:
    """Raise InputError, with the nearest names, if a column is not in the table.

    Parameters
    ----------
    column : str
        The name looked for.
    known : sequence of str
        The table's columns.
    where : str
        The setting or file that names the column.
    """
    if column in known:
        return
    near = difflib.get_close_matches(column, known, 3)
    shown = ", ".join(map(repr, near or known[:10])) + ("" if near or len(known) <= 10 else ", …")
    remedy = f"did you mean {near[0]!r}?" if near else "name a column of the table, or leave it out"
    raise InputError(where, f"column {column!r} is not in the table", shown or "no column", remedy)


def _config_error(where: str, error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    spot = f"{where}, {place}" if place else where
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        model = Codebook if len(first["loc"]) == 1 else _entry_of(str(first["loc"][0]))
        near = difflib.get_close_matches(key, list(model.model_fields), 1)
        remedy = f"did you mean {near[0]}?" if near else "remove it"
        return ConfigError(spot, "is not a key", ", ".join(model.model_fields), remedy)
    if first["type"] == "literal_error":
        near = difflib.get_close_matches(str(first["input"]), KINDS, 1)
        remedy = f"did you mean {near[0]}?" if near else "choose one of these, or leave it out"
        return ConfigError(spot, f"found {first['input']!r}", ", ".join(KINDS), remedy)
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(spot, message[0].lower() + message[1:], FORM, "mend that entry")


def _entry_of(section: str) -> type[BaseModel]:
    return BlockEntry if section == "blocks" else QuestionEntry
