"""Every option and its default, once.

A resolved configuration is built from YAML files (later wins), then ``RECLUST__`` environment
variables, then ``--set`` pairs. Unknown keys are errors that name the nearest known one.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from reclust_spark.errors import ConfigError

ENVIRONMENT_PREFIX = "RECLUST__"
SPARK_CONF = "spark.conf"

ShareOrRows = Annotated[float, Field(gt=0)]
"""Below 1 a share of the rows at hand, from 1 on a number of rows."""


def _as_list(value: object) -> object:
    """Let one column name stand for a list of one."""
    return [value] if isinstance(value, str) else value


Columns = Annotated[list[str], BeforeValidator(_as_list)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputOptions(_Section):
    """The survey table."""

    path: str | None = Field(None, description="a folder, a file or a table name")
    format: Literal["delta", "parquet", "csv", "table"] | None = Field(
        None, description="guessed from the path where it is not given"
    )
    id: str | None = Field(None, description="the column that identifies a person")
    weight: str | None = Field(None, description="the column of survey weights; without it, 1")
    outside: Columns = Field([], description="columns kept aside as outside questions")
    exclude: Columns = Field([], description="columns left alone")
    codebook: str | None = Field(None, description="a YAML file of question texts and kinds")


class PrepareOptions(_Section):
    """How answers become features."""

    scaling: Literal["question", "none"] = Field(
        "question",
        description="question: every question has equal influence; none: values as they are",
    )
    max_levels: int = Field(
        100, ge=2, description="a text column with more distinct values is not a question"
    )
    max_ordinal_levels: int = Field(
        11, ge=3, description="whole numbers with at most this many values are guessed ordinal"
    )


class ZoomOptions(_Section):
    """How each node is embedded and clustered, and when to stop; UMAP's and HDBSCAN's own names."""

    max_depth: int = Field(3, ge=0, description="levels of splits below the root")
    min_share: float = Field(
        0.01, ge=0, lt=1, description="no cluster is a smaller share of the population's rows"
    )
    n_neighbors: int = Field(30, ge=2)
    min_dist: float = Field(0.0, ge=0)
    n_components: int = Field(2, ge=2)
    metric: str = "euclidean"
    set_op_mix_ratio: float = Field(
        0.6,
        ge=0,
        le=1,
        description="how far one-sided neighbourhoods count; above 30,000 rows it rises, and is "
        "UMAP's 1 from 60,000 on",
    )
    hub_correction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="of distances, against hubs: 0 none, 1 NICDM; above 30,000 rows it fades, and "
        "is 0 from 60,000 on",
    )
    n_epochs: int | None = Field(
        None, ge=1, description="null: 500; under `layout: umap` umap-learn's own rule"
    )
    layout: Literal["parallel", "umap"] = Field(
        "parallel",
        description="ours, the same on any number of threads; umap: umap-learn's own, on one",
    )
    min_cluster_size: ShareOrRows = Field(0.05, description="below 1 a share of the node")
    root_min_cluster_size: ShareOrRows | None = Field(
        None, description="takes min_cluster_size's place at the root"
    )
    min_samples: int = Field(10, ge=1)
    cluster_selection_method: Literal["eom", "leaf"] = "eom"
    seed: int = Field(42, ge=0)
    engine: Literal["auto", "gmvae"] = Field(
        "auto", description="of the root; gmvae: what `reclust train-gmvae` has found"
    )
    inline_rows: int = Field(
        5_000, ge=0, description="a node up to this size is finished to its leaves in one task"
    )
    max_fit_rows: int = Field(
        100_000,
        ge=1_000,
        description="of a larger node samples of so many rows are fitted, and models of the one "
        "that agrees most with the others place the rest",
    )
    samples: int = Field(3, ge=2, description="how many, of a node above max_fit_rows")
    task_memory: int | None = Field(
        None,
        ge=1,
        description="MiB that a task may take: a node that needs more is sampled too; null: what "
        "is free, shared by the slots",
    )


class GmvaeOptions(_Section):
    """The Gaussian mixture variational autoencoder, for populations too large for UMAP."""

    k: int = Field(20, ge=2, le=999, description="clusters, at most")
    cluster_by: Literal["argmax", "hdbscan"] = Field(
        "argmax",
        description="the root's clusters: q(y|x)'s of at least zoom.min_share, or HDBSCAN's of the "
        "latent space",
    )
    objective: Literal["concrete", "exact", "vade"] = "concrete"
    backend: Literal["local", "horovod", "torch_distributor"] = Field(
        "local", description="who trains: the driver, or Spark's tasks together"
    )
    processes: int = Field(2, ge=1, description="Spark tasks that train together")
    attempts: int = Field(3, ge=1, description="after a lost worker, from the last checkpoint")
    checkpoints: str | None = Field(
        None, description="a folder that all reach; null: beside the tables"
    )
    n_latent: int = Field(10, ge=1)
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (500, 500), min_length=1, description="the encoder's layers; the decoder's in reverse"
    )
    numeric: Literal["gaussian", "grey"] = Field(
        "gaussian", description="grey: numbers are shares of one range, as pixels are"
    )
    start: Literal["none", "autoencoder", "mixture"] = Field(
        "mixture",
        description="from random; from nearly an autoencoder; and then taught the clusters that a "
        "sample has in its latent space",
    )
    warm_steps: int = Field(2_500, ge=1, description="of the autoencoder")
    taught_steps: int = Field(1_000, ge=0, description="with the sample's clusters")
    max_steps: int = Field(15_000, ge=1, description="of the objective")
    anneal_steps: int = Field(
        1_250, ge=0, description="in which KL(q(y|x) ‖ p(y)) gains weight; 0: it has it all at once"
    )
    round_steps: int = Field(
        250, ge=1, description="between two looks at the people held out, and two checkpoints"
    )
    patience: int = Field(10, ge=1, description="rounds without a better bound on people held out")
    temperature: float = Field(0.5, gt=0, description="of Concrete draws, at the start")
    temperature_end: float = Field(0.3, gt=0)
    batch_size: int = Field(256, ge=1, description="of each process")
    learning_rate: float = Field(0.001, gt=0)
    held_out: float = Field(0.05, gt=0, lt=1, description="share of people never trained on")
    seed: int = Field(42, ge=0)


class ExplainOptions(_Section):
    """The one-vs-all models of every split, and what they say; XGBoost's own names."""

    max_fit_rows: int | None = Field(
        20_000,
        ge=1,
        description="a node's models are trained on at most this many rows, tuned and tested on a "
        "third as many each; null: all",
    )
    max_task_rows: int = Field(
        200_000, ge=1, description="more rows than this are fitted by all executors together"
    )
    n_estimators: int = Field(60, ge=1, description="trees a model, at most")
    max_depth: int = Field(4, ge=1)
    learning_rate: float = Field(0.3, gt=0, le=1)
    early_stopping_rounds: int = Field(10, ge=1)
    shap_rows: int = Field(
        1_000,
        ge=2,
        description="people a cluster whose answers are explained, half of them its own",
    )


class ScoreOptions(_Section):
    """Placing people by the models alone."""

    input: str | None = Field(None, description="what is read; input.path where not given")
    format: Literal["delta", "parquet", "csv", "table"] | None = Field(
        None, description="guessed from the path where it is not given"
    )
    unknown: Literal["missing", "error"] = Field(
        "missing", description="what becomes of answers that the questionnaire does not know"
    )


class CrosstabOptions(_Section):
    """Outside questions, answered cluster by cluster."""

    input: str | None = Field(
        None,
        description="a table with the people's ids; null: the answers that prepare has kept aside",
    )
    format: Literal["delta", "parquet", "csv", "table"] | None = Field(
        None, description="guessed from the path where it is not given"
    )
    id: str | None = Field(None, description="its id column; input.id where not given")
    questions: Columns = Field([], description="its columns to cross; none: all")
    by: Columns = Field([], description="second questions, each crossed with each question")
    crossed: dict[str, Columns] = Field(
        {}, description="second questions of some, where these are asked: {vote: [state, income]}"
    )
    strata: str | None = Field(None, description="its column of the sample's strata")
    clusters: str | None = Field(
        None, description="its column of the sample's primary sampling units"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")
    min_n: int = Field(10, ge=1, description="a cell of fewer people is not shown")
    max_levels: int = Field(
        60, ge=2, description="a text with more different answers is no question"
    )

    def seconds_of(self, question: str) -> tuple[str, ...]:
        """Return what a question is crossed with, each once and never itself."""
        seconds = dict.fromkeys([*self.by, *self.crossed.get(question, ())])
        return tuple(name for name in seconds if name != question)

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that are named as questions, first or second."""
        seconds = chain.from_iterable(self.crossed.values())
        return (*self.questions, *self.by, *self.crossed, *seconds)


class ReportOptions(_Section):
    """The page, the deck and the workbook."""

    out: str | None = Field(None, description="a folder; null: <warehouse>/report")
    title: str | None = Field(None, description="null: made of the survey's name")
    template: str | None = Field(None, description="a .pptx whose design the deck takes")
    image: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        None, description="[rows, columns] where the questions are the pixels of a grey image"
    )


class SparkOptions(_Section):
    """The cluster."""

    master: str = Field("local[*]", description="applies where spark-submit has set none")
    conf: dict[str, str] = Field({}, description="Spark's own properties")


class Config(_Section):
    """A resolved configuration."""

    warehouse: str = Field("./warehouse", description="a folder, or a catalog schema")
    input: InputOptions = InputOptions()
    prepare: PrepareOptions = PrepareOptions()
    gmvae: GmvaeOptions = GmvaeOptions()
    zoom: ZoomOptions = ZoomOptions()
    explain: ExplainOptions = ExplainOptions()
    score: ScoreOptions = ScoreOptions()
    crosstab: CrosstabOptions = CrosstabOptions()
    report: ReportOptions = ReportOptions()
    tree_version: int | None = Field(
        None, ge=1, description="the tree to explain, score, show and report; null: the newest"
    )
    spark: SparkOptions = SparkOptions()


def load_config(
    files: Iterable[str | Path] = (),
    settings: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Resolve a configuration.

    Parameters
    ----------
    files : iterable of path
        YAML files; later wins, key by key.
    settings : iterable of str
        ``a.b=value`` pairs, the value YAML; after ``spark.conf.`` the rest is one property name.
    environment : mapping, optional
        Where ``RECLUST__A__B`` variables are looked up; ``os.environ`` by default.

    Returns
    -------
    Config

    Raises
    ------
    ConfigError
        If a file is missing or not YAML, a key is unknown, or a value does not fit.
    """
    merged: dict[str, Any] = {}
    for file in files:
        _merge(merged, _read_yaml(Path(file)))
    for name, text in sorted((os.environ if environment is None else environment).items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            keys = [key.lower() for key in name.removeprefix(ENVIRONMENT_PREFIX).split("__")]
            if keys[:2] == ["spark", "conf"]:
                keys = [*keys[:2], name.removeprefix(f"{ENVIRONMENT_PREFIX}SPARK__CONF__")]
            _merge(merged, _nested(keys, _value(text, name)))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(
                f"--set {setting}", "no '='", "key=value", "write --set zoom.max_depth=3"
            )
        _merge(merged, _nested(_split_key(key), _value(text, f"--set {key}")))
    return _validated(merged)


def config_hash(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of settings, whatever their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _split_key(key: str) -> list[str]:
    if key.startswith(f"{SPARK_CONF}."):
        return ["spark", "conf", key.removeprefix(f"{SPARK_CONF}.")]
    return key.split(".")


def _read_yaml(file: Path) -> dict[str, Any]:
    where = f"configuration file {file}"
    try:
        content = yaml.safe_load(file.read_text())
    except OSError as error:
        raise ConfigError(
            where, f"cannot be read ({error.strerror})", "a YAML file", "check the path"
        ) from None
    except yaml.YAMLError as error:
        found = str(error).replace("\n", " ")
        raise ConfigError(where, f"is not YAML ({found})", "YAML", "mend that line") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            where, f"holds a {type(content).__name__}", "keys and values", "see conf/base.yaml"
        )
    return content


def _value(text: str, where: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(
            where, f"the value {text!r} is not YAML", "a YAML value", "quote the text"
        ) from None


def _nested(keys: list[str], value: object) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value  # type: ignore[return-value]


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _validated(merged: dict[str, Any]) -> Config:
    spark = merged.get("spark")
    conf = spark.get("conf") if isinstance(spark, dict) else None
    if isinstance(conf, dict):
        merged["spark"]["conf"] = {key: _spark_text(value) for key, value in conf.items()}
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            raise _unknown_key(keys) from None
        raise ConfigError(
            f"setting {'.'.join(keys)}",
            f"found {first['input']!r}",
            first["msg"][0].lower() + first["msg"][1:],
            f"mend it in the file, the environment or --set {'.'.join(keys)}=…",
        ) from None


def _spark_text(value: object) -> str:
    """Spark's properties are text: YAML's true becomes 'true'."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown_key(keys: list[str]) -> ConfigError:
    section: type[BaseModel] = Config
    for key in keys[:-1]:
        section = section.model_fields[key].annotation  # type: ignore[assignment]
    known = list(section.model_fields)
    near = difflib.get_close_matches(keys[-1], known, 1)
    remedy = f"did you mean {'.'.join([*keys[:-1], near[0]])}?" if near else "remove it"
    return ConfigError(f"setting {'.'.join(keys)}", "is not a setting", ", ".join(known), remedy)
