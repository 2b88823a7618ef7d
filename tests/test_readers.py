"""Every table is readable without Spark, and answers questions by cluster path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from reclust_spark.config import load_config
from reclust_spark.crosstab import stage as crosstab
from reclust_spark.explain import stage as explain
from reclust_spark.gmvae import stage as gmvae
from reclust_spark.prepare import stage as prepare
from reclust_spark.research.stage import add_note
from reclust_spark.score import stage as score
from reclust_spark.warehouse.names import (
    ASSIGNMENTS,
    EMBEDDINGS,
    FEATURE_MAP,
    FEATURES,
    NODES,
    TABLES,
    Table,
)
from reclust_spark.warehouse.runs import Ledger
from reclust_spark.warehouse.tables import Warehouse
from reclust_spark.zoom import stage as zoom
from tests.planted import blobs

SUBTREE = "/003/"


@pytest.fixture(scope="module")
def built(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse with every table, of a survey with all kinds of columns."""
    home = tmp_path_factory.mktemp("readers")
    values, group = blobs([300, 300, 300], width=4)
    frame = pd.DataFrame(values, columns=["a", "b.c", "select", "d"]).astype(float)
    frame["town"] = np.array(["x", "y", "z"])[group]
    frame.loc[::7, "a"] = np.nan
    frame["uid"], frame["age"] = range(len(frame)), 20 + np.arange(len(frame)) % 50
    frame.to_parquet(home / "survey.parquet")
    config = load_config(
        settings=[
            f"warehouse={home}/warehouse",
            f"input.path={home}/survey.parquet",
            "input.id=uid",
            "input.outside=age",
            "zoom.n_neighbors=15",
            "zoom.n_epochs=100",
            "zoom.max_depth=2",
            "gmvae.k=3",
            *(f"gmvae.{name}_steps=50" for name in ("warm", "taught", "max", "anneal", "round")),
        ],
        environment={},
    )
    warehouse = Warehouse(spark, config.warehouse)
    ledger = Ledger(warehouse, config)
    for stage in (prepare, gmvae, zoom, explain, score, crosstab):
        stage.run(warehouse, config, ledger)
    add_note(warehouse, None, SUBTREE, "far from everyone")
    yield warehouse


@pytest.fixture(scope="module")
def by_spark(built: Warehouse) -> Callable[[Table], pd.DataFrame]:
    """A table as Spark reads it, which it does once."""
    frames: dict[str, pd.DataFrame] = {}

    def frame_of(table: Table) -> pd.DataFrame:
        if table.name not in frames:
            frames[table.name] = built.read(table).toPandas()
        return frames[table.name].copy()

    return frame_of


def delta_rs(warehouse: Warehouse, table: Table) -> pd.DataFrame:
    return DeltaTable(warehouse.location(table.name)).to_pandas()


def duck(warehouse: Warehouse, table: Table) -> pd.DataFrame:
    with duckdb.connect() as connection:
        rows = DeltaTable(warehouse.location(table.name)).to_pyarrow_dataset()
        connection.register("rows", rows)
        return connection.sql("SELECT * FROM rows").df()


def polars(warehouse: Warehouse, table: Table) -> pd.DataFrame:
    return pl.read_delta(warehouse.location(table.name)).to_pandas()


@pytest.mark.parametrize("reader", [delta_rs, duck, polars])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_is_read_as_spark_reads_it(built, by_spark, table, reader):
    expected = by_spark(table)
    found = reader(built, table)
    assert list(found.columns) == list(expected.columns) == list(table.columns)
    assert len(found) == len(expected) > 0
    keys = list(table.key)
    found, expected = (frame.sort_values(keys, ignore_index=True) for frame in (found, expected))
    for name in keys:
        # Spark's timestamps come without their zone, which is UTC
        shown = [frame[name].astype(str).str.removesuffix("+00:00") for frame in (found, expected)]
        assert shown[0].tolist() == shown[1].tolist()
    for name, kind in table.columns.items():
        if kind in ("double", "float", "bigint", "int"):
            one = pd.to_numeric(found[name]).to_numpy(dtype=float, na_value=np.nan)
            other = pd.to_numeric(expected[name]).to_numpy(dtype=float, na_value=np.nan)
            assert np.array_equal(one, other, equal_nan=True), name
        elif kind == "array<float>":
            assert all(map(_same, found[name], expected[name])), name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_keys_are_unique_and_what_is_required_is_there(by_spark, table):
    rows = by_spark(table)
    keys = [*table.key, *([table.version] if table.version else [])]
    assert not rows.duplicated(keys).any()
    for name in (*keys, *table.required):
        assert rows[name].notna().all(), name


def test_people_below_a_path_are_counted_alike_by_all(built):
    expected = built.read(ASSIGNMENTS).where(f"path LIKE '{SUBTREE}%'").count()
    assert expected == built.read(NODES).where(f"path = '{SUBTREE}'").first()["n_rows"]
    place = built.location(ASSIGNMENTS.name)
    assignments = DeltaTable(place).to_pyarrow_dataset()
    query = f"SELECT count(*) FROM assignments WHERE path LIKE '{SUBTREE}%'"
    with duckdb.connect() as connection:
        connection.register("assignments", assignments)
        assert connection.sql(query).fetchall() == [(expected,)]
    assert assignments.count_rows() == built.read(ASSIGNMENTS).count()
    lazy = pl.scan_delta(place).filter(pl.col("path").str.starts_with(SUBTREE))
    assert lazy.select(pl.len()).collect().item() == expected
    frame = delta_rs(built, ASSIGNMENTS)
    assert frame.path.str.startswith(SUBTREE).sum() == expected


def test_tables_need_no_reader_features_that_others_lack(built):
    for table in TABLES:
        protocol = DeltaTable(built.location(table.name)).protocol()
        assert protocol.min_reader_version == 1, table.name
        assert Path(built.location(table.name), "_delta_log").is_dir()


def test_paths_can_be_skipped_by_their_statistics(built):
    for table in (ASSIGNMENTS, EMBEDDINGS):
        actions = DeltaTable(built.location(table.name)).get_add_actions(flatten=True)
        names = actions.schema.names if hasattr(actions, "schema") else list(actions.columns)
        assert {"min.path", "max.path"} <= set(names)


def test_features_and_answers_are_as_long_as_their_maps(built):
    first = built.read(FEATURES).first()
    n_slots = delta_rs(built, FEATURE_MAP).slot.nunique()
    assert len(first.features) == n_slots
    assert len(first.answers) == 5


def _same(one: object, other: object) -> bool:
    return np.array_equal(np.asarray(one, float), np.asarray(other, float), equal_nan=True)
