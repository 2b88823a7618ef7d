"""What is remembered of a training: its rounds, and where it is between two of them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

WARM, MAIN = "warm", "main"


class Round(NamedTuple):
    """What became of a round.

    Attributes
    ----------
    number : int
        From 0.
    phase : str
        WARM or MAIN.
    steps : int
    loss : float
        Mean over the people trained on, of what was minimised, in nats.
    bound : float
        Mean over the people held out, of a lower bound on log p(x), in nats; NaN while warming.
    seconds : float
    """

    number: int
    phase: str
    steps: int
    loss: float
    bound: float
    seconds: float


class State(NamedTuple):
    """Where training is; all that a checkpoint holds.

    Attributes
    ----------
    tensors : dict of str to Tensor
        The model's, the best model's so far and the optimizer's, by prefixed names.
    rounds : list of Round
    """

    tensors: dict[str, Tensor]
    rounds: list[Round]


class Keeper(Protocol):
    """Where checkpoints are kept."""

    def load(self) -> State | None:
        """Return the last one, if there is one."""
        ...

    def save(self, state: State) -> None:
        """Keep one in place of the last; only rank 0 is asked to."""
        ...


class Forgetful:
    """Keeps nothing."""

    def load(self) -> State | None:
        """Return None."""
        return None

    def save(self, state: State) -> None:
        """Do nothing."""


def best_bound(rounds: list[Round]) -> float:
    """Return the best held-out bound of the objective's rounds, in nats a person."""
    return max(one.bound for one in rounds if one.phase == MAIN)
