"""Training: warm start, mixture, objective; early stopping on a held-out bound; checkpoints.

One process or many run this same function. A round, a fixed number of steps, is the unit of
everything that is remembered: what is drawn comes from (seed, round, rank), and who is in a step
from (seed, epoch, rank), so that a run that is resumed from a checkpoint goes on as if it had not
been stopped. Lengths are in steps, not epochs: a thousand people need many passes, and of a
hundred million one is more than enough.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reclust_spark.config import GmvaeOptions
from reclust_spark.errors import RunError
from reclust_spark.gmvae import mixture, schedule
from reclust_spark.gmvae.group import Group
from reclust_spark.gmvae.network import GMVAE
from reclust_spark.gmvae.objective import OBJECTIVES, Batch, bound
from reclust_spark.gmvae.rounds import (
    MAIN,
    WARM,
    Forgetful,
    Keeper,
    Round,
    State,
    best_bound,
)
from reclust_spark.gmvae.sample import cluster_apart
from reclust_spark.gmvae.shard import Shard, epoch, held_out, shares, take

WARM_KL = 0.01
"""How much of KL(q(z|x) ‖ N(0, 1)) the warm start has: nearly an autoencoder, of a bounded size."""
MIXTURE_ROWS = 20_000
EVALUATION_ROWS = 1_000
DRAWS, ORDER, EVALUATION, SAMPLE, TEACHING = range(5)
"""What a seed is for: a round's draws, a pass's order, the bound, the mixture's people, theirs."""
LEAST_RATE = 0.05
"""What is left of the learning rate at the end."""

Loss = tuple[Tensor, Tensor]
"""Summed over people; and each question's log likelihood, (n, columns)."""

log = logging.getLogger(__name__)


class Trained(NamedTuple):
    """A trained model, its best bound's parameters in place, and its history."""

    model: GMVAE
    rounds: list[Round]

    @property
    def bound(self) -> float:
        """The best held-out bound, in nats a person."""
        return best_bound(self.rounds)


def train(
    model: GMVAE,
    shard: Shard,
    group: Group,
    options: GmvaeOptions,
    keeper: Keeper | None = None,
    on_round: Callable[[Round], None] = lambda done: None,
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
    on_round : callable
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
        on_round
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
        self.warm_steps = 0 if options.start == "none" else options.warm_steps
        group.broadcast(model.state_dict().values())
        # fused: one pass over the parameters, a third of the time of the default
        self.optimizer = torch.optim.Adam(self._parameters(), options.learning_rate, fused=True)
        for parameter in self._parameters():
            # what an objective leaves alone has a gradient of 0 in every backend, never none
            parameter.grad = torch.zeros_like(parameter)
        self.stepper = group.averaging(self.optimizer, model)
        self.rounds: list[Round] = []
        self.best: dict[str, Tensor] = {}
        self.fault: tuple[int, str] | None = None

    def run(self, on_round: Callable[[Round], None]) -> Trained:
        self._resume()
        for number, steps in enumerate(self._plan()):
            if number < len(self.rounds):
                continue
            if self._is_settled():
                break
            if steps.start == self.warm_steps and self.options.start == "mixture":
                self._start_mixture()
            done = self._round(number, steps)
            self.rounds.append(done)
            if done.phase == MAIN and done.bound >= best_bound(self.rounds):
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            if self.group.rank == 0:
                self.keeper.save(self._state())
                on_round(done)
        self.model.load_state_dict(self.best)
        return Trained(self.model, self.rounds)

    def _plan(self) -> list[range]:
        """Return the steps of each round: the warm start's, then the objective's."""
        size, warm = self.options.round_steps, self.warm_steps
        end = warm + self.options.max_steps
        parts = [(at, min(at + size, warm)) for at in range(0, warm, size)]
        parts += [(at, min(at + size, end)) for at in range(warm, end, size)]
        return [range(start, stop) for start, stop in parts]

    def _is_settled(self) -> bool:
        """Tell whether the held-out bound has not risen for as long as one is to wait."""
        main = [one for one in self.rounds if one.phase == MAIN]
        # while the weight of KL(q(y|x) ‖ p(y)) rises, the bound may fall for a good cause
        settled = main[-(-self.options.anneal_steps // self.options.round_steps) :]
        since = [one.bound for one in settled[-self.options.patience :]]
        before = [one.bound for one in settled[: -self.options.patience]]
        return bool(before) and max(since) <= max(before)

    def _round(self, number: int, steps: range) -> Round:
        started = time.perf_counter()
        phase = WARM if steps.start < self.warm_steps else MAIN
        seed = _seed(self.options.seed, (DRAWS, number), self.group.rank)
        generator = torch.Generator(self.group.device).manual_seed(seed)
        lost = torch.zeros((), dtype=torch.float64)
        people = 0
        for step, batch in zip(steps, self._batches(steps), strict=True):
            everywhere = int(self.sizes[step % len(self.sizes)].sum())
            of_batch = partial(self._loss, step, batch, generator)
            lost += self._step(step, self._learning_rate(step), of_batch, everywhere)
            people += everywhere
        self._stop_at_fault()
        loss = float(self.group.total(lost)) / people
        found = self._held_out_bound() if phase == MAIN else math.nan
        seconds = time.perf_counter() - started
        return Round(number, phase, len(steps), loss, found, seconds)

    def _batches(self, steps: range) -> Iterator[Batch]:
        """Yield this process's batches: pass after pass, in each of them everyone once."""
        for number in range(steps.start // len(self.sizes), -(-steps.stop // len(self.sizes))):
            first = number * len(self.sizes)
            wanted = range(max(steps.start - first, 0), min(steps.stop - first, len(self.sizes)))
            seed = _seed(self.options.seed, (ORDER, number), self.group.rank)
            sizes = self.sizes[:, self.group.rank]
            yield from epoch(self.shard, sizes, wanted, seed, self.group.device)

    def _step(self, step: int, rate: float, loss: Callable[[], Loss], everywhere: int) -> float:
        """Take a step; return the sum of this process's losses.

        Gradients are averaged over the processes; times their number over the people in all their
        batches, that is the mean over people, however unevenly these are spread.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for parameter in self._parameters():
            parameter.grad.zero_()
        # after a fault this process only keeps the others' averaging company until all stop
        found = self._checked(step, *loss()) if self.fault is None else None
        if found is None:
            found = torch.stack([parameter.sum() for parameter in self._parameters()]).sum() * 0
        (found * (self.group.size / everywhere)).backward()
        self.stepper.step()
        return float(found.detach())

    def _checked(self, step: int, loss: Tensor, told: Tensor) -> Tensor | None:
        """Return the loss, or None where it is not a number: then the fault is remembered."""
        if torch.isfinite(loss):
            return loss
        broken = ~torch.isfinite(told).all(dim=0)
        worst = int(broken.int().argmax()) if broken.any() else int(told.sum(0).argmin())
        self.fault = (step, self.model.heads.columns[worst].name)
        return None

    def _loss(self, step: int, batch: Batch, generator: torch.Generator) -> Loss:
        """Return the sum of losses and each question's log likelihood."""
        main = step - self.warm_steps
        if main < 0:
            return mixture.warm_loss(self.model, batch, WARM_KL, generator)
        options = self.options
        heat = schedule.temperature(
            main, options.max_steps, options.temperature, options.temperature_end
        )
        terms = self.objective(self.model, batch, heat, generator)
        weight = schedule.kl_weight(main, options.anneal_steps)
        loss = -terms.told.sum(-1) + terms.kl_z + weight * terms.kl_y
        return loss.sum(), terms.told

    def _learning_rate(self, step: int) -> float:
        rate = self.options.learning_rate
        if step < self.warm_steps:
            return rate
        main = step - self.warm_steps
        return schedule.learning_rate(main, self.options.max_steps, rate, LEAST_RATE * rate)

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

    def _held_out_bound(self) -> float:
        """Return the mean over all processes' people held out; the same draws in every round."""
        generator = torch.Generator(self.group.device)
        generator.manual_seed(_seed(self.options.seed, (EVALUATION, 0), self.group.rank))
        found = torch.zeros(2, dtype=torch.float64)
        for batch in held_out(self.shard, EVALUATION_ROWS, self.group.device):
            with torch.no_grad():
                values = bound(self.model, batch, generator)
            found += torch.tensor([float(values.double().sum()), len(values)], dtype=torch.float64)
        total = self.group.total(found)
        return float(total[0] / total[1])

    def _start_mixture(self) -> None:
        """Cluster a sample of everyone's places on rank 0, and teach all what was found."""
        rows = self._sampled_rows()
        with torch.no_grad():
            parts = [
                self.model.q_z(self.model.encode(batch.features)).mean.cpu().numpy()
                for batch in self._taken(rows)
            ]
        gathered = self.group.gather(np.concatenate(parts))
        labels = None
        if self.group.rank == 0:
            places = np.concatenate(gathered)
            k = min(self.model.shape.n_clusters, len(places))
            labels = cluster_apart(places, k, self.options.seed)
            mixture.set_mixture(self.model, places, labels)
        labels = self.group.gather(labels)[0]
        self.group.broadcast(self.model.state_dict().values())
        first = sum(len(one) for one in gathered[: self.group.rank])
        self._teach(rows, labels[first : first + len(rows)])

    def _sampled_rows(self) -> NDArray[np.intp]:
        """Return this process's part of the mixture's sample."""
        rows = np.flatnonzero(~self.shard.held_out)
        wanted = MIXTURE_ROWS // self.group.size
        if len(rows) <= wanted:
            return rows
        seed = _seed(self.options.seed, (SAMPLE, 0), self.group.rank)
        return np.sort(np.random.default_rng(seed).choice(rows, wanted, replace=False))

    def _taken(self, rows: NDArray[np.intp]) -> Iterator[Batch]:
        for part in np.array_split(rows, -(-len(rows) // EVALUATION_ROWS) or 1):
            yield take(self.shard, part, self.group.device)

    def _teach(self, rows: NDArray[np.intp], labels: NDArray[np.intp]) -> None:
        """Take the steps in which people's clusters are given."""
        seed = _seed(self.options.seed, (TEACHING, 0), self.group.rank)
        draws = np.random.default_rng(seed)
        generator = torch.Generator(self.group.device).manual_seed(seed)
        size = self.options.batch_size
        counts = self.group.gather(min(size, len(rows)))
        for step in range(self.options.taught_steps):
            chosen = draws.choice(len(rows), min(size, len(rows)), replace=False)
            batch = take(self.shard, rows[chosen], self.group.device)
            cluster = torch.as_tensor(labels[chosen]).to(self.group.device)
            of_batch = partial(mixture.taught_loss, self.model, batch, cluster, generator)
            self._step(self.warm_steps + step, self.options.learning_rate, of_batch, sum(counts))
        self._stop_at_fault()

    def _parameters(self) -> list[Tensor]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _state(self) -> State:
        """Return all that a resumed run needs."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        return State(tensors, self.rounds)

    def _resume(self) -> None:
        state = self.keeper.load()
        if state is None:
            return
        log.info("going on after round %d of a run that was stopped", len(state.rounds))
        self.rounds = list(state.rounds)
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


def _seed(seed: int, purpose: tuple[int, int], rank: int) -> int:
    """Return the seed of something that is drawn for a purpose, in a process."""
    words = np.random.SeedSequence([seed, *purpose, rank]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))
