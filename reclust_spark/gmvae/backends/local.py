"""Training in the driver's own process."""

from __future__ import annotations

from typing import Any

import torch
from pyspark.sql import SparkSession

from reclust_spark.gmvae.backends.base import Work
from reclust_spark.gmvae.group import Alone


def run(spark: SparkSession, work: Work, processes: int) -> Any:
    """Run `work` here, whatever the number of processes asked for.

    Parameters
    ----------
    spark : SparkSession
    work : callable
    processes : int
        Not used.
    """
    return work(Alone(torch.device("cuda:0" if torch.cuda.is_available() else "cpu")))
