"""A mixed survey whose people are of three kinds, as `features` and `answers` would hold it."""

import numpy as np
import pandas as pd
import yaml

from reclust_spark.onevsall.predict import Question

QUESTIONS = (
    Question("age", "Age", "numeric"),
    Question("visits", "Visits a month", "count"),
    Question("member", "Member", "binary", ("no", "yes"), None, (0, 1)),
    Question("trust", "Trust", "ordinal", tuple("12345"), None, (1, 2, 3, 4, 5)),
    Question("party", "Party", "nominal", ("a", "b", "c"), None, (0, 1, 2)),
    Question("likes", "Likes", "ordinal", tuple("1234"), None, (1, 2, 3, 4)),
)
KINDS = 3


def mixed_people(n, seed, missing=0.1):
    """Return features (n, 6), inputs (n, 6) with missing answers, and each person's kind."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, KINDS, n)
    answers = np.stack(
        [
            rng.normal(np.array([-2.0, 0.0, 2.0])[kind], 0.5),
            rng.poisson(np.array([1.0, 12.0, 4.0])[kind]),
            rng.random(n) < np.array([0.05, 0.95, 0.5])[kind],
            np.clip(np.rint(rng.normal(np.array([0.3, 2.0, 3.7])[kind], 0.5)), 0, 4),
            np.where(rng.random(n) < 0.9, kind, rng.integers(0, 3, n)),
            np.clip(np.rint(rng.normal(np.array([3.0, 0.0, 1.5])[kind], 0.6)), 0, 3),
        ],
        axis=1,
    ).astype(np.float32)
    features = (answers - answers.mean(0)) / answers.std(0)
    inputs = np.where(rng.random(answers.shape) < missing, np.nan, answers).astype(np.float32)
    return features, inputs, kind


def survey_of(inputs):
    """Return the same people as a survey table, and the codebook that tells its kinds."""
    frame = pd.DataFrame({"person": [f"p{i:05d}" for i in range(len(inputs))]})
    questions = {}
    for question, column in zip(QUESTIONS, inputs.T, strict=True):
        name, entry = question.source_column, {"kind": question.kind}
        if question.levels is None:
            frame[name] = column.astype(float)
        else:
            levels = np.array([*question.levels, None], dtype=object)
            frame[name] = levels[np.where(np.isnan(column), -1, column).astype(int)]
            if question.kind == "ordinal":
                entry["levels"] = list(question.levels)
        questions[name] = entry
    return frame, yaml.safe_dump({"questions": questions})
