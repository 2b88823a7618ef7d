"""Training by Horovod, one Spark task a process: Gloo between CPUs, NCCL between GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from pyspark.sql import SparkSession
from torch import Tensor, nn

from reclust_spark.errors import ConfigError
from reclust_spark.gmvae.backends.base import Work, task_cores

CYCLE_MILLISECONDS = "5"
"""How often Horovod looks for gradients to average between CPUs, where its user has not said.

At its own default, 1, looking takes a sixth of the step of a process that has one core.
"""


class HorovodGroup:
    """The processes of a Horovod job; see `group.Group`.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        import horovod.torch as hvd

        self.hvd, self.device = hvd, device
        self.rank, self.size = hvd.rank(), hvd.size()

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in the order of ranks."""
        # unnamed, an object goes by its type: processes with another one would wait for ever
        return self.hvd.allgather_object(value, name="gather")

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over the processes."""
        return self.hvd.allreduce(values, op=self.hvd.Sum)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of rank 0."""
        for number, tensor in enumerate(tensors):
            self.hvd.broadcast_(tensor, 0, name=f"start.{number}")

    def averaging(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> Any:
        """Return Horovod's DistributedOptimizer."""
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        return self.hvd.DistributedOptimizer(optimizer, named_parameters=named)


def run(spark: SparkSession, work: Work, processes: int) -> Any:
    """Run `work` in so many Spark tasks at a time.

    Parameters
    ----------
    spark : SparkSession
    work : callable
    processes : int

    Raises
    ------
    ConfigError
        If Horovod is not installed.
    """
    try:
        import horovod.spark
        import horovod.torch
    except ImportError as error:
        raise ConfigError(
            "setting gmvae.backend", f"horovod: it cannot be imported here ({error})",
            "an environment with Horovod built for its PyTorch; or local, torch_distributor",
            "run scripts/build_horovod, which builds and installs it",
        ) from None  # fmt: skip
    results = horovod.spark.run(
        _process, args=(work, task_cores(spark)), num_proc=processes, use_gloo=True, verbose=0
    )
    return results[0]


def _process(work: Work, cores: int) -> Any:
    """Join the others, work, and give rank 0's result alone: the others' are copies of it."""
    import horovod.torch as hvd
    from horovod.spark.task import get_available_devices

    torch.set_num_threads(cores)
    # the addresses that Spark has given this task: conf/gpu.yaml asks for one
    addresses = get_available_devices()
    if not addresses:
        os.environ.setdefault("HOROVOD_CYCLE_TIME", CYCLE_MILLISECONDS)
    hvd.init()
    device = torch.device(f"cuda:{addresses[0]}" if addresses else "cpu")
    if torch.cuda.is_available() and addresses:
        torch.cuda.set_device(device)
    result = work(HorovodGroup(device))
    return result if hvd.rank() == 0 else None
