"""The errors a user can meet; each carries the exit status of the command line."""

from __future__ import annotations


class ReclustError(Exception):
    """Base of all errors that are shown to the user as one message.

    Parameters
    ----------
    where : str
        The table, column, file or setting concerned.
    found : str
        What was found there.
    allowed : str
        What would have been accepted.
    remedy : str
        What to do about it: a command, a setting or a query.
    """

    exit_status = 1

    def __init__(self, where: str, found: str, allowed: str, remedy: str) -> None:
        self.where, self.found, self.allowed, self.remedy = where, found, allowed, remedy
        super().__init__(where, found, allowed, remedy)

    def __str__(self) -> str:
        """Return the four facts, a line each."""
        return f"{self.where}: {self.found}\n  allowed: {self.allowed}\n  remedy:  {self.remedy}"


class ConfigError(ReclustError):
    """A setting, a configuration file or the warehouse's place is wrong."""

    exit_status = 2


class InputError(ReclustError):
    """The survey table, or the codebook against it, cannot be used as it is."""

    exit_status = 3


class RunError(ReclustError):
    """A step could not finish for a reason that lies in neither settings nor input."""

    exit_status = 4


class LockedError(ReclustError):
    """Another run is writing the same tables."""

    exit_status = 5
