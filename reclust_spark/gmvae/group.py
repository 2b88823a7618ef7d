"""What a training process needs of its peers, and the group of one that has none.

Backends give the same four things over Horovod or torch.distributed; `train` knows no other way to
reach another process, so that it runs, and is tested, alike with each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Group(Protocol):
    """The processes that train one model together.

    Attributes
    ----------
    rank : int
        Of this process, from 0.
    size : int
    device : torch.device
        Where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in the order of ranks, to each of them."""
        ...

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over the processes of equally shaped tensors."""
        ...

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of rank 0."""
        ...

    def averaging(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> Any:
        """Return an optimizer whose step applies the mean of all processes' gradients."""
        ...


class Alone:
    """A group of one process.

    Parameters
    ----------
    device : torch.device
    """

    rank = 0
    size = 1

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")

    def gather(self, value: Any) -> list[Any]:
        """Return the value, in a list."""
        return [value]

    def total(self, values: Tensor) -> Tensor:
        """Return the values themselves."""
        return values

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Do nothing: rank 0's tensors are these."""

    def averaging(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> Any:
        """Return the optimizer itself."""
        return optimizer
