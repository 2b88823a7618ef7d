"""People to interview, as they are asked for and handed over."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from reclust_spark.errors import ConfigError
from reclust_spark.research.choose import BORDERLINE, TYPICAL


class Person(NamedTuple):
    """One to interview.

    Attributes
    ----------
    kind : str
        typical or borderline.
    row_id : str
    path : str
        Their own place, in the cluster or below it.
    strength : float or None
        Of the fit, at that place.
    distance : float or None
        To the medoid, in the units of `features`; of the typical ones.
    probability : float or None
        Calibrated, of the cluster, given its parent; None at the root or without models.
    other_path : str or None
        What is most probable beside it: a sibling, or the parent's path for none of them.
    other_probability : float or None
    """

    kind: str
    row_id: str
    path: str
    strength: float | None
    distance: float | None
    probability: float | None
    other_path: str | None
    other_probability: float | None


def check_counts(typical: int, borderline: int) -> None:
    """Check how many are asked for.

    Raises
    ------
    ConfigError
        If a number is negative, or both are 0.
    """
    for name, count in ((TYPICAL, typical), (BORDERLINE, borderline)):
        if count < 0:
            raise ConfigError(f"--{name}", f"is {count}", "0 or more", f"--{name} 5")
    if typical == borderline == 0:
        raise ConfigError(
            "--typical and --borderline", "are both 0", "at least one person", "--typical 10"
        )


def to_people(rows: pa.Table) -> list[Person]:
    """Return candidates as people; a gap is left out, being the difference of two columns."""
    return [
        Person(
            row["kind"], row["row_id"], row["path"], row["strength"],
            row["measure"] if row["kind"] == TYPICAL else None,
            row["probability"], row["other_path"], row["other_probability"],
        )
        for row in rows.to_pylist()
    ]  # fmt: skip


def between(person: Person, path: str, parent: str | None) -> str:
    """Name both sides of a border: ``between /003/ and /005/``."""
    if person.kind != BORDERLINE:
        return ""
    other = "none" if person.other_path == parent else person.other_path
    return f"between {path} and {other}"


def check_file(file: str, example: str = "interviews.csv") -> None:
    """Check, before any work is done, that a file can be written.

    Parameters
    ----------
    file : str
    example : str
        Of a name, for the error.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    place = Path(file)
    there = place.exists()
    try:
        with place.open("a"):
            pass
        if not there:
            place.unlink()
    except OSError as error:
        raise ConfigError(
            f"--out {file}", f"cannot be written ({error.strerror})",
            "a file in a folder that this user can write", f"--out {example}",
        ) from None  # fmt: skip


def write_csv(file: str, people: Sequence[Person], path: str, parent: str | None) -> None:
    """Write people as CSV, a line each, in place of what the file held."""
    with Path(file).open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["cluster", *Person._fields, "between"])
        writer.writerows([path, *person, between(person, path, parent)] for person in people)


def shortage(path: str, n_rows: int, people: pa.Table, asked: Mapping[str, int]) -> list[str]:
    """Say where there are fewer than were asked for, or copies among them.

    Parameters
    ----------
    path : str
        The cluster.
    n_rows : int
        Its people.
    people : Arrow table
        Whom `choose` has chosen.
    asked : mapping of kind to int
    """
    kinds = people["kind"].to_pylist()
    missing = {kind: count - kinds.count(kind) for kind, count in asked.items()}
    said = []
    if people.num_rows == n_rows and any(missing.values()):
        said.append(
            f"{sum(asked.values()):,} people were asked for, {path} has {n_rows:,}: these are all"
        )
    elif any(missing.values()):
        said.append("fewer than were asked for: the others gave no answer at all")
    sheets = list(zip(kinds, people["sheet"].to_pylist(), strict=True))
    if copies := len(sheets) - len(set(sheets)):
        said.append(f"{copies:,} of them answered exactly as another does: there are no others")
    return said
