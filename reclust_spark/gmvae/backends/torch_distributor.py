"""Training by pyspark.ml.torch's TorchDistributor: what comes with Spark and PyTorch themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from pyspark.sql import SparkSession
from torch import Tensor, distributed, nn

from reclust_spark.gmvae.backends.base import Work, task_cores


class TorchGroup:
    """The processes of a torch.distributed job; see `group.Group`.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in the order of ranks."""
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over the processes."""
        summed = values.clone().to(self.device)
        distributed.all_reduce(summed)
        return summed.to(values.device)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of rank 0."""
        for tensor in tensors:
            distributed.broadcast(tensor, 0)

    def averaging(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> Any:
        """Return the optimizer with a step that averages gradients first."""
        return _Averaging(optimizer, self.size)


class _Averaging:
    """An optimizer whose step averages gradients over the processes, in one message."""

    def __init__(self, optimizer: torch.optim.Optimizer, size: int) -> None:
        self.optimizer, self.size = optimizer, size

    def step(self) -> None:
        gradients = [p.grad for g in self.optimizer.param_groups for p in g["params"]]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        at = 0
        for gradient in gradients:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        self.optimizer.step()


def run(spark: SparkSession, work: Work, processes: int) -> Any:
    """Run `work` in so many Spark tasks at a time.

    Parameters
    ----------
    spark : SparkSession
    work : callable
    processes : int
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    on_gpu = int(spark.conf.get("spark.task.resource.gpu.amount", "0")) > 0
    distributor = TorchDistributor(num_processes=processes, local_mode=False, use_gpu=on_gpu)
    return distributor.run(_process, work, task_cores(spark), on_gpu)


def _process(work: Work, cores: int, on_gpu: bool) -> Any:
    torch.set_num_threads(cores)
    if on_gpu:
        torch.cuda.set_device(0)
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        # the distributor shows a process nothing but the GPU that Spark has given its task
        result = work(TorchGroup(torch.device("cuda:0" if on_gpu else "cpu")))
        return result if distributed.get_rank() == 0 else None
    finally:
        distributed.destroy_process_group()
