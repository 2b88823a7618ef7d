"""The survey weight: a finite number of at least 0 for everyone, and not 0 for all."""

from __future__ import annotations

from reclust_spark.errors import InputError
from reclust_spark.prepare.profile import ColumnProfile
from reclust_spark.prepare.values import UNSUPPORTED, ColumnSpec, as_text


def check_weight(spec: ColumnSpec, profile: ColumnProfile) -> None:
    """Raise InputError unless a column can be the weight.

    Parameters
    ----------
    spec : ColumnSpec
    profile : ColumnProfile
        Of all rows.
    """
    found = _fault(spec, profile)
    if found is not None:
        raise InputError(
            f"input.weight {spec.name!r}",
            found,
            "a finite number of at least 0 in every row, and not 0 in all",
            "mend it in the source, or leave input.weight out: everyone then counts 1",
        )


def _fault(spec: ColumnSpec, profile: ColumnProfile) -> str | None:
    if spec.material == UNSUPPORTED:
        return f"is of type {spec.type_name}"
    if profile.n_unparsed:
        return f"{profile.n_unparsed:,} values are no numbers, such as {profile.unparsed!r}"
    if profile.n_missing:
        return f"{profile.n_missing:,} of {profile.n:,} rows have none"
    if profile.n_infinite:
        return f"{profile.n_infinite:,} values are infinite"
    if profile.minimum < 0:
        return f"goes down to {as_text(profile.minimum)}"
    return "is 0 in every row" if profile.maximum == 0 else None
