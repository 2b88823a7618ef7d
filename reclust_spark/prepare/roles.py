"""What each column of the source is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reclust_spark.config import InputOptions, PrepareOptions
from reclust_spark.errors import InputError
from reclust_spark.prepare.codebook import Codebook, check_column
from reclust_spark.prepare.learn import spec_of
from reclust_spark.prepare.values import TEXT, UNSUPPORTED, ColumnSpec


class Field(NamedTuple):
    """A column of the source: its name, its material and its type's name."""

    name: str
    material: str
    type_name: str


class Roles(NamedTuple):
    """What each source column is for.

    Attributes
    ----------
    row_id : str
    weight : ColumnSpec or None
    clustered, outside : list of ColumnSpec
    """

    row_id: str
    weight: ColumnSpec | None
    clustered: list[ColumnSpec]
    outside: list[ColumnSpec]

    @property
    def specs(self) -> list[ColumnSpec]:
        """All columns that the profile reads: the clustered, those kept aside, the weight."""
        weight = [] if self.weight is None else [self.weight]
        return [*self.clustered, *self.outside, *weight]


def assign_roles(
    table: str,
    fields: Sequence[Field],
    options: InputOptions,
    prepare: PrepareOptions,
    codebook: Codebook,
    *,
    untyped: bool,
) -> Roles:
    """Check every column that a setting or the codebook names, and sort the columns by role.

    Parameters
    ----------
    table : str
        The source's name, for messages.
    fields : sequence of Field
    options : InputOptions
    prepare : PrepareOptions
    codebook : Codebook
    untyped : bool
        The source (CSV) holds text only.

    Returns
    -------
    Roles

    Raises
    ------
    InputError
        If no id is set, a named column is not there, or one has two roles.
    """
    known = {field.name: field for field in fields}
    names = list(known)
    if options.id is None:
        raise InputError(
            "input.id",
            "is not set",
            f"a column of {table}: {', '.join(names[:10])}",
            "--set input.id=COLUMN",
        )
    _check_named(options, names)
    codebook.check_columns(names, f"codebook {options.codebook}")

    def spec(name: str) -> ColumnSpec:
        field = known[name]
        return spec_of(name, field.material, field.type_name, codebook, prepare, untyped=untyped)

    apart = {options.id, options.weight, *options.outside, *options.exclude}
    weight = None if options.weight is None else spec(options.weight)._replace(parse=True)
    outside = [_kept_as_text(spec(name)) for name in dict.fromkeys(options.outside)]
    return Roles(options.id, weight, [spec(n) for n in names if n not in apart], outside)


def _check_named(options: InputOptions, names: list[str]) -> None:
    named = [("input.id", options.id), ("input.weight", options.weight)]
    named += [("input.outside", name) for name in options.outside]
    named += [("input.exclude", name) for name in options.exclude]
    for setting, name in named:
        if name is not None:
            check_column(name, names, setting)
    both = set(options.outside) & set(options.exclude)
    if both:
        raise InputError(
            f"column {min(both)!r}",
            "is in input.outside and in input.exclude",
            "one of them: kept aside, or left alone",
            "take it out of one",
        )


def _kept_as_text(spec: ColumnSpec) -> ColumnSpec:
    """Keep an outside answer of any type, as text where it is neither number nor text."""
    return spec._replace(material=TEXT) if spec.material == UNSUPPORTED else spec
