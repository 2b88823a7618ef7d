"""Fit a node's models on all executors together: for nodes that do not fit one task.

xgboost.spark holds a barrier stage: all of its tasks run at once and share their histograms, so
that no machine needs all rows. As many slots must be free as it has workers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reclust_spark.config import ExplainOptions
from reclust_spark.onevsall.fit import feature_types, parameters
from reclust_spark.onevsall.predict import Question, inputs_of
from reclust_spark.warehouse.lists import lists_of, matrix

TRAIN, STOP = "train", "stop"

log = logging.getLogger(__name__)


def fit_children(
    people: DataFrame,
    n_children: int,
    questions: tuple[Question, ...],
    options: ExplainOptions,
    workers: int,
) -> list[Any]:
    """Fit one model for each child on rows that are spread over the cluster.

    Parameters
    ----------
    people : DataFrame
        answers (array<float>), child (int, −1 for noise) and use: `TRAIN` or `STOP`.
    n_children : int
    questions : tuple of Question
    options : ExplainOptions
    workers : int
        Tasks that run at once; at most the slots there are.

    Returns
    -------
    list of xgboost.Booster
        Ended at their best round on the rows to stop by.
    """
    from xgboost.spark import SparkXGBClassifier

    def indexed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not batch.num_rows:
                continue
            inputs = inputs_of(matrix(batch.column("answers")), questions)
            columns = [lists_of(inputs), batch.column("child"), batch.column("use")]
            yield pa.RecordBatch.from_arrays(columns, names=["inputs", "child", "use"])

    rows = people.select("answers", "child", "use").mapInArrow(
        indexed, "inputs array<float>, child int, use string"
    )
    rows = rows.withColumn("is_stop", F.col("use") == STOP).persist()
    try:
        train = rows.where(F.col("use") == TRAIN)
        shares = {row["child"]: row["count"] for row in train.groupBy("child").count().collect()}
        boosters = []
        for child in range(n_children):
            share = shares.get(child, 0) / max(1, sum(shares.values()))
            estimator = SparkXGBClassifier(
                features_col="inputs",
                label_col="label",
                validation_indicator_col="is_stop",
                num_workers=workers,
                feature_types=feature_types(questions),
                n_estimators=options.n_estimators,
                early_stopping_rounds=options.early_stopping_rounds,
                eval_metric="logloss",
                verbose=False,
                **_estimator_parameters(options, share, len(questions)),
            )
            labelled = rows.withColumn("label", (F.col("child") == child).cast("double"))
            booster = estimator.fit(labelled).get_booster()
            boosters.append(booster[: booster.best_iteration + 1])
            log.info("child %d of %d fitted on %d workers", child + 1, n_children, workers)
    finally:
        rows.unpersist()
    return boosters


def _estimator_parameters(options: ExplainOptions, share: float, n_inputs: int) -> dict[str, Any]:
    settings = parameters(options, share, n_inputs)
    settings["random_state"] = settings.pop("seed")
    del settings["objective"]  # the classifier's own
    return settings
