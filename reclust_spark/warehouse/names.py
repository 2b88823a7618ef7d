"""The tables as data: names, columns, keys and what a row is. No pyspark here.

Types are Spark's DDL names; ``tables.py`` turns them into StructTypes. Every table is readable by
delta-rs, DuckDB and Polars, which is why there are no maps, intervals or variant columns.
"""

from __future__ import annotations

from typing import NamedTuple


class Table(NamedTuple):
    """A table of the warehouse.

    Attributes
    ----------
    name : str
        Its name in the warehouse.
    row : str
        What one row is.
    columns : dict of str to str
        Column names and Spark DDL types, in order.
    key : tuple of str
        The columns that identify a row within a version.
    version : str or None
        The column that says which version of a step's result a row belongs to; the table is
        partitioned by it.
    required : tuple of str
        The columns that are never null, beside the key.
    """

    name: str
    row: str
    columns: dict[str, str]
    key: tuple[str, ...]
    version: str | None = None
    required: tuple[str, ...] = ()


TREE = "tree_version"
PREPARED = "prepare_version"
GMVAE = "gmvae_version"

TRAIN_GMVAE = "train-gmvae"
"""The step that trains what `zoom.engine: gmvae` splits the root by."""

RUNS = Table(
    "runs",
    "a step of a run, written last: the manifest",
    {
        "run_id": "string",
        "stage": "string",
        "status": "string",
        "started_at": "timestamp",
        "finished_at": "timestamp",
        "input_table": "string",
        "input_version": "string",
        "prepare_version": "int",
        "gmvae_version": "int",
        "tree_version": "int",
        "output_versions": "string",
        "step_hash": "string",
        "config_hash": "string",
        "config": "string",
        "code_version": "string",
        "rows_in": "bigint",
        "rows_out": "bigint",
        "error": "string",
    },
    ("run_id", "stage"),
    required=("status", "started_at", "config_hash", "config"),
)

METRICS = Table(
    "metrics",
    "a figure of a run (seconds live here, not in nodes)",
    {"run_id": "string", "stage": "string", "path": "string", "name": "string", "value": "double"},
    ("run_id", "stage", "path", "name"),
)

PROFILE = Table(
    "profile",
    "a source column",
    {
        "prepare_version": "int",
        "source_column": "string",
        "kind": "string",
        "n": "bigint",
        "n_missing": "bigint",
        "n_distinct": "bigint",
        "mean": "double",
        "sd": "double",
        "quantiles": "array<double>",
        "top_levels": "array<struct<level:string,n:bigint>>",
        "dropped_reason": "string",
    },
    ("source_column",),
    PREPARED,
    ("kind", "n", "n_missing"),
)

QUESTION_MAP = Table(
    "question_map",
    "a question: a position in `answers`",
    {
        "prepare_version": "int",
        "position": "int",
        "source_column": "string",
        "question": "string",
        "short": "string",
        "kind": "string",
        "levels": "array<string>",
        "labels": "array<string>",
        "codes": "array<double>",
        "missing_codes": "array<string>",
        "unit": "string",
        "block_id": "string",
    },
    ("position",),
    PREPARED,
    ("source_column", "question", "kind"),
)

FEATURE_MAP = Table(
    "feature_map",
    "a slot of `features`: (transformed answer − centre) / scale, cut to ±limit, × weight",
    {
        "prepare_version": "int",
        "slot": "int",
        "feature": "string",
        "position": "int",
        "level": "string",
        "transform": "string",
        "centre": "double",
        "scale": "double",
        "limit": "double",
        "weight": "double",
    },
    ("slot",),
    PREPARED,
    ("feature", "position", "transform", "centre", "scale", "weight"),
)

FEATURES = Table(
    "features",
    "a person",
    {
        "prepare_version": "int",
        "row_id": "string",
        "weight": "double",
        "features": "array<float>",
        "answers": "array<float>",
    },
    ("row_id",),
    PREPARED,
    ("weight", "features", "answers"),
)

OUTSIDE = Table(
    "outside",
    "an answer kept aside",
    {
        "prepare_version": "int",
        "row_id": "string",
        "source_column": "string",
        "value": "string",
        "number": "double",
    },
    ("row_id", "source_column"),
    PREPARED,
)

GMVAES = Table(
    "gmvaes",
    "a trained GMVAE",
    {
        "gmvae_version": "int",
        "objective": "string",
        "k": "int",
        "seed": "bigint",
        "bound": "double",
        "n_steps": "int",
        "model": "binary",
    },
    (),
    GMVAE,
    ("objective", "k", "seed", "bound", "n_steps", "model"),
)

LATENTS = Table(
    "latents",
    "a person's place in a GMVAE: the most probable clusters, falling, and the mean of z",
    {
        "gmvae_version": "int",
        "row_id": "string",
        "weight": "double",
        "clusters": "array<int>",
        "probabilities": "array<float>",
        "z": "array<float>",
    },
    ("row_id",),
    GMVAE,
    ("weight", "clusters", "probabilities", "z"),
)

NODES = Table(
    "nodes",
    "a node of the tree",
    {
        "tree_version": "int",
        "path": "string",
        "parent_path": "string",
        "depth": "int",
        "n_rows": "bigint",
        "weight": "double",
        "share": "double",
        "parent_share": "double",
        "n_children": "int",
        "n_noise": "bigint",
        "stop_reason": "string",
        "engine": "string",
        "n_fit": "bigint",
        "stability": "double",
        "fidelity": "double",
        "persistence": "double",
        "trustworthiness": "double",
        "medoid_row_id": "string",
        "seed": "bigint",
    },
    ("path",),
    TREE,
    ("depth", "n_rows", "weight", "share", "n_children", "n_noise", "seed"),
)

ASSIGNMENTS = Table(
    "assignments",
    "a person the tree was built on",
    {
        "tree_version": "int",
        "path": "string",
        "row_id": "string",
        "depth": "int",
        "is_noise": "boolean",
        "strength": "double",
        "assigned_by": "string",
        "weight": "double",
    },
    ("row_id",),
    TREE,
    ("path", "depth", "is_noise", "assigned_by", "weight"),
)

EMBEDDINGS = Table(
    "embeddings",
    "a fitted row at an embedded node",
    {
        "tree_version": "int",
        "path": "string",
        "row_id": "string",
        "x": "float",
        "y": "float",
        "child_path": "string",
    },
    ("path", "row_id"),
    TREE,
    ("x", "y"),
)

MODELS = Table(
    "models",
    "a cluster's one-vs-all model against its siblings and their node's noise",
    {
        "tree_version": "int",
        "path": "string",
        "parent_path": "string",
        "model": "binary",
        "digest": "string",
        "threshold": "double",
        "calibration": "array<double>",
        "auc": "double",
        "average_precision": "double",
        "f1": "double",
        "brier": "double",
        "calibration_error": "double",
        "n_train": "bigint",
        "n_test": "bigint",
    },
    ("path",),
    TREE,
    ("parent_path", "model", "digest", "threshold", "calibration", "n_train", "n_test"),
)

CONFUSION = Table(
    "confusion",
    "a pair of siblings: the share of the test people of one that the models place in the other; "
    "the parent's own path stands for noise",
    {
        "tree_version": "int",
        "path": "string",
        "other_path": "string",
        "parent_path": "string",
        "share": "double",
        "n": "bigint",
    },
    ("path", "other_path", "parent_path"),
    TREE,
    ("share", "n"),
)

EXPLANATIONS = Table(
    "explanations",
    "a question's part in a cluster",
    {
        "tree_version": "int",
        "path": "string",
        "rank": "int",
        "source_column": "string",
        "question": "string",
        "mean_abs_shap": "double",
        "direction": "string",
        "cluster_value": "string",
        "parent_value": "string",
        "population_value": "string",
        "lift": "double",
    },
    ("path", "source_column"),
    TREE,
    ("rank", "question", "mean_abs_shap"),
)

SHAP_VALUES = Table(
    "shap_values",
    "a sampled person × a leading question",
    {
        "tree_version": "int",
        "path": "string",
        "row_id": "string",
        "source_column": "string",
        "answer": "double",
        "shap": "double",
    },
    ("path", "row_id", "source_column"),
    TREE,
    ("shap",),
)

LABELS = Table(
    "labels",
    "a name given to a cluster, by whom; the analyst's newest counts, else the models'",
    {
        "tree_version": "int",
        "path": "string",
        "label": "string",
        "source": "string",
        "author": "string",
        "at": "timestamp",
    },
    ("path", "source", "at"),
    TREE,
    ("label",),
)

SCORES = Table(
    "scores",
    "a placed person",
    {
        "tree_version": "int",
        "row_id": "string",
        "path": "string",
        "depth": "int",
        "is_noise": "boolean",
        "probability": "double",
        "weight": "double",
        "run_id": "string",
        "input_table": "string",
        "input_version": "string",
    },
    ("row_id", "input_table", "input_version"),
    TREE,
    ("path", "depth", "is_noise", "probability", "weight", "run_id"),
)

CLUSTER_SIZES = Table(
    "cluster_sizes",
    "a cluster, all below it included, as of a run",
    {
        "tree_version": "int",
        "as_of": "timestamp",
        "run_id": "string",
        "path": "string",
        "n": "bigint",
        "weight": "double",
        "share": "double",
        "input_table": "string",
        "input_version": "string",
    },
    ("path", "run_id"),
    TREE,
    ("as_of", "n", "weight", "share"),
)

CROSSTABS = Table(
    "crosstabs",
    "an outside question's answer in a cluster, all below it included; empty texts where the "
    "question is not crossed with another one, or the statistic is not of a level",
    {
        "tree_version": "int",
        "path": "string",
        "question": "string",
        "question_text": "string",
        "by_question": "string",
        "by_text": "string",
        "by_level": "string",
        "by_order": "int",
        "level": "string",
        "level_order": "int",
        "statistic": "string",
        "value": "double",
        "population_value": "double",
        "index": "double",
        "ci_low": "double",
        "ci_high": "double",
        "confidence": "double",
        "n": "bigint",
        "n_eff": "double",
        "p_value": "double",
        "q_value": "double",
        "suppressed": "boolean",
        "input_table": "string",
        "input_version": "string",
        "run_id": "string",
    },
    ("path", "question", "by_question", "by_level", "level", "statistic"),
    TREE,
    ("question_text", "suppressed", "input_table", "run_id"),
)

NOTES = Table(
    "notes",
    "what an analyst wrote of a cluster",
    {
        "tree_version": "int",
        "path": "string",
        "note": "string",
        "author": "string",
        "at": "timestamp",
    },
    ("path", "at"),
    TREE,
    ("note",),
)

TABLES = (
    RUNS,
    METRICS,
    PROFILE,
    QUESTION_MAP,
    FEATURE_MAP,
    FEATURES,
    OUTSIDE,
    GMVAES,
    LATENTS,
    NODES,
    ASSIGNMENTS,
    EMBEDDINGS,
    MODELS,
    CONFUSION,
    EXPLANATIONS,
    SHAP_VALUES,
    LABELS,
    SCORES,
    CLUSTER_SIZES,
    CROSSTABS,
    NOTES,
)

SHARE, MEAN, MEDIAN = "share", "mean", "median"
"""What is estimated of an outside question: `crosstabs.statistic`."""

BY_MODEL, BY_ANALYST = "model", "analyst"
"""Who gave a label."""

NUMERIC, COUNT, ORDINAL, NOMINAL, BINARY, IGNORED = (
    "numeric",
    "count",
    "ordinal",
    "nominal",
    "binary",
    "ignored",
)
KINDS = (NUMERIC, COUNT, ORDINAL, NOMINAL, BINARY, IGNORED)
"""The kinds of a source column, as `profile.kind` and the codebook name them."""

MAX_DEPTH, TOO_SMALL, ONE_CLUSTER, NO_STRUCTURE = (
    "max_depth",
    "too_small",
    "one_cluster",
    "no_structure",
)
"""Why a node was not split: `nodes.stop_reason`, null where it was."""
