"""Training: warm start, mixture, objective; early stopping on a held-out bound; checkpoints.

One process or many run this same function. An epoch is the unit of everything that is remembered:
its shuffles and draws come from (seed, epoch, rank), so that a run that is resumed from a
checkpoint goes on as if it had not been stopped.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from reclust_spark.config import GmvaeOptions
from reclust_spark.errors import RunError
from reclust_spark.gmvae import mixture, schedule
from reclust_spark.gmvae.group import Group
from reclust_spark.gmvae.network import GMVAE
from reclust_spark.gmvae.objective import OBJECTIVES, Batch, bound
from reclust_spark.gmvae.shard import Shard, epoch, held_out, shares, take

WARM_KL = 0.01
"""How much of KL(q(z|x) ‖ N(0, 1)) the warm start has: nearly an autoencoder, of a bounded size."""
MIXTURE_ROWS = 20_000
EVALUATION_ROWS = 1_000
LEAST_RATE = 0.05
"""What is left of the learning rate at the end."""

WARM, MAIN = "warm", "main"

log = logging.getLogger(__name__)


class Epoch(NamedTuple):
    """What became of an epoch.

    Attributes
    ----------
    number : int
        From 0.
    phase : str
        WARM or MAIN.
    loss : float
        Mean over the people trained on, of what was minimised, in nats.
    bound : float
        Mean over the people held out, of a lower bound on log p(x), in nats; NaN while warming.
    seconds : float
    """

    number: int
    phase: str
    loss: float
    bound: float
    seconds: float


class State(NamedTuple):
    """Where training is; all that a checkpoint holds.

    Attributes
    ----------
    tensors : dict of str to Tensor
        The model's, the best model's so far and the optimizer's, by prefixed names.
    epochs : list of Epoch
    """

    tensors: dict[str, Tensor]
    epochs: list[Epoch]


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


class Trained(NamedTuple):
    """A trained model, its best bound's parameters in place, and its history."""

    model: GMVAE
    epochs: list[Epoch]

    @property
    def bound(self) -> float:
        """The best held-out bound, in nats a person."""
        return max(one.bound for one in self.epochs if one.phase == MAIN)


def train(
    model: GMVAE,
    shard: Shard,
    group: Group,
    options: GmvaeOptions,
    keeper: Keeper | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train a model.

    Parameters
    ----------
    model : GMVAE
        As it was made: rank 0's parameters are everybody's.
    shard : Shard
        This process's people.
    group : Group
    options : GmvaeOptions
    keeper : Keeper, optional
        Its last checkpoint is gone on from.
    on_epoch : callable
        Called by rank 0.

    Returns
    -------
    Trained

    Raises
    ------
    RunError
        If the loss is not a number, naming the step and the column most likely at fault; the last
        good checkpoint is kept. All processes raise it together.
    """
    return _Training(model.to(group.device), shard, group, options, keeper or Forgetful()).run(
        on_epoch
    )


class _Training:
    """A model on its way."""

    def __init__(
        self, model: GMVAE, shard: Shard, group: Group, options: GmvaeOptions, keeper: Keeper
    ) -> None:
        self.model, self.shard, self.group, self.options = model, shard, group, options
        self.keeper = keeper
        self.objective = OBJECTIVES[options.objective]
        counts = group.gather(int((~shard.held_out).sum()))
        self.sizes = shares(counts, options.batch_size)
        group.broadcast(model.state_dict().values())
        self.optimizer = torch.optim.Adam(self._parameters(), lr=options.learning_rate)
        for parameter in self._parameters():
            # what an objective leaves alone has a gradient of 0 in every backend, never none
            parameter.grad = torch.zeros_like(parameter)
        self.stepper = group.averaging(self.optimizer, model)
        self.epochs: list[Epoch] = []
        self.best: dict[str, Tensor] = {}
        self.fault: tuple[int, str] | None = None

    @property
    def warm_epochs(self) -> int:
        return 0 if self.options.start == "none" else self.options.warm_epochs

    def run(self, on_epoch: Callable[[Epoch], None]) -> Trained:
        self._resume()
        while not self._is_done():
            number = len(self.epochs)
            if number == self.warm_epochs and self.options.start == "mixture":
                self._start_mixture()
            done = self._epoch(number)
            self.epochs.append(done)
            if done.phase == MAIN and done.bound >= self._best_bound():
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            if self.group.rank == 0:
                self.keeper.save(self._state())
                on_epoch(done)
        self.model.load_state_dict(self.best)
        return Trained(self.model, self.epochs)

    def _is_done(self) -> bool:
        main = [one for one in self.epochs if one.phase == MAIN]
        if len(main) >= self.options.max_epochs:
            return True
        # while the weight of KL(q(y|x) ‖ p(y)) rises, the bound may fall for a good cause
        settled = main[self.options.anneal_epochs :]
        since = [one.bound for one in settled[-self.options.patience :]]
        before = [one.bound for one in settled[: -self.options.patience]]
        return bool(before) and max(since) <= max(before)

    def _best_bound(self) -> float:
        return max(one.bound for one in self.epochs if one.phase == MAIN)

    def _epoch(self, number: int) -> Epoch:
        started = time.perf_counter()
        phase = WARM if number < self.warm_epochs else MAIN
        seed = _seed(self.options.seed, number, self.group.rank)
        generator = torch.Generator(self.group.device).manual_seed(seed)
        lost = torch.zeros((), dtype=torch.float64)
        batches = epoch(self.shard, self.sizes[:, self.group.rank], seed, self.group.device)
        for i, batch in enumerate(batches):
            everywhere = int(self.sizes[i].sum())
            lost += self._step(number * len(self.sizes) + i, batch, everywhere, generator)
        self._stop_at_fault()
        loss = float(self.group.total(lost)) / int(self.sizes.sum())
        found = self._held_out_bound() if phase == MAIN else math.nan
        return Epoch(number, phase, loss, found, time.perf_counter() - started)

    def _step(self, step: int, batch: Batch, everywhere: int, generator: torch.Generator) -> float:
        """Take a step; return the sum of this process's losses.

        Gradients are averaged over the processes; times their number over the people in all their
        batches, that is the mean over people, however unevenly these are spread.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(step)
        self.stepper.zero_grad(set_to_none=False)
        # after a fault this process only keeps the others' averaging company until all stop
        loss = self._checked_loss(step, batch, generator) if self.fault is None else None
        if loss is None:
            loss = torch.stack([parameter.sum() for parameter in self._parameters()]).sum() * 0
        (loss * (self.group.size / everywhere)).backward()
        self.stepper.step()
        return float(loss.detach())

    def _checked_loss(self, step: int, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """Return the loss, or None where it is not a number: then the fault is remembered."""
        loss, told = self._loss(step, batch, generator)
        if torch.isfinite(loss):
            return loss
        broken = ~torch.isfinite(told).all(dim=0)
        worst = int(broken.int().argmax()) if broken.any() else int(told.sum(0).argmin())
        self.fault = (step, self.model.heads.columns[worst].name)
        return None

    def _loss(self, step: int, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the sum of losses and each question's log likelihood."""
        main = step - self.warm_epochs * len(self.sizes)
        if main < 0:
            return mixture.warm_loss(self.model, batch, WARM_KL, generator)
        options, steps = self.options, self.options.max_epochs * len(self.sizes)
        heat = schedule.temperature(main, steps, options.temperature, options.temperature_end)
        terms = self.objective(self.model, batch, heat, generator)
        weight = schedule.kl_weight(main, options.anneal_epochs * len(self.sizes))
        loss = -terms.told.sum(-1) + terms.kl_z + weight * terms.kl_y
        return loss.sum(), terms.told

    def _learning_rate(self, step: int) -> float:
        rate, warm = self.options.learning_rate, self.warm_epochs * len(self.sizes)
        if step < warm:
            return rate
        steps = self.options.max_epochs * len(self.sizes)
        return schedule.learning_rate(step - warm, steps, rate, LEAST_RATE * rate)

    def _stop_at_fault(self) -> None:
        """Raise, in all processes together, where one of them has met a loss that is no number."""
        faults = [fault for fault in self.group.gather(self.fault) if fault is not None]
        if faults:
            step, column = min(faults)
            raise RunError(
                "train-gmvae", f"the loss is not a number at step {step}; column {column!r} is "
                "most likely at fault", "a finite loss",
                f"look at {column!r} in the table `profile`, exclude it or lower "
                "gmvae.learning_rate; the last good checkpoint is kept",
            )  # fmt: skip

    @torch.no_grad()
    def _held_out_bound(self) -> float:
        """Return the mean over all processes' people held out; the same draws at every epoch."""
        generator = torch.Generator(self.group.device)
        generator.manual_seed(_seed(self.options.seed, -1, self.group.rank))
        found = torch.zeros(2, dtype=torch.float64)
        for batch in held_out(self.shard, EVALUATION_ROWS, self.group.device):
            values = bound(self.model, batch, generator)
            found += torch.tensor([float(values.double().sum()), len(values)], dtype=torch.float64)
        total = self.group.total(found)
        return float(total[0] / total[1].clamp_min(1))

    def _start_mixture(self) -> None:
        """Fit the mixture on rank 0, to a sample of everyone's places; all start from it."""
        wanted = MIXTURE_ROWS // self.group.size
        rows = np.flatnonzero(~self.shard.held_out)
        if len(rows) > wanted:
            seed = _seed(self.options.seed, -2, self.group.rank)
            rows = np.random.default_rng(seed).choice(rows, wanted, replace=False)
        with torch.no_grad():
            parts = [
                self.model.encode(take(self.shard, part, self.group.device).features).cpu().numpy()
                for part in np.array_split(rows, -(-len(rows) // EVALUATION_ROWS) or 1)
            ]
        gathered = self.group.gather(np.concatenate(parts))
        if self.group.rank == 0:
            hidden = torch.as_tensor(np.concatenate(gathered)).to(self.group.device)
            mixture.start(self.model, hidden, self.options.seed)
        self.group.broadcast(self.model.state_dict().values())

    def _parameters(self) -> list[Tensor]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _state(self) -> State:
        """Return all that a resumed run needs."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        return State(tensors, self.epochs)

    def _resume(self) -> None:
        state = self.keeper.load()
        if state is None:
            return
        log.info("going on after epoch %d of a run that was stopped", len(state.epochs))
        self.epochs = list(state.epochs)
        self.model.load_state_dict(_under("model.", state.tensors))
        self.best = _under("best.", state.tensors)
        whole = self.optimizer.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer.", state.tensors).items():
            number, key = name.split(".", 1)
            moments.setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict({**whole, "state": moments})


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _seed(seed: int, epoch: int, rank: int) -> int:
    """Return the seed of an epoch (or of what is done once: below 0) in a process."""
    return int(np.random.SeedSequence([seed, epoch + 2, rank]).generate_state(1, np.uint64)[0] >> 1)
