"""Where a setting comes from, and what is refused."""

import pytest

from reclust_spark.config import load_config
from reclust_spark.errors import ConfigError
from reclust_spark.warehouse.tables import check_place


def test_later_wins_key_by_key(tmp_path):
    base, overlay = tmp_path / "base.yaml", tmp_path / "overlay.yaml"
    base.write_text("zoom: {max_depth: 1, n_neighbors: 5}\n")
    overlay.write_text("zoom: {max_depth: 2, seed: 2}\n")
    config = load_config(
        [base, overlay],
        ["zoom.seed=4"],
        {"RECLUST__ZOOM__SEED": "3", "RECLUST__ZOOM__MIN_DIST": ".5"},
    )
    zoom = config.zoom
    assert (zoom.n_neighbors, zoom.max_depth, zoom.min_dist, zoom.seed) == (5, 2, 0.5, 4)


def test_values_are_yaml_and_one_name_is_a_list():
    config = load_config([], ["input.exclude=[a, b.c]", "input.outside=age"], {})
    assert config.input.exclude == ["a", "b.c"]
    assert config.input.outside == ["age"]


def test_spark_properties_keep_their_dots_and_become_text():
    config = load_config(
        [],
        ["spark.conf.spark.sql.ansi.enabled=true"],
        {"RECLUST__SPARK__CONF__spark.executor.cores": "2"},
    )
    assert config.spark.conf == {"spark.sql.ansi.enabled": "true", "spark.executor.cores": "2"}


@pytest.mark.parametrize(
    ("setting", "found", "remedy"),
    [
        ("zoom.maxdepth=3", "zoom.maxdepth", "zoom.max_depth"),
        ("zoomm.max_depth=3", "zoomm", "zoom"),
        ("zoom.max_depth=deep", "'deep'", "zoom.max_depth"),
        ("zoom.metric", "zoom.metric", "key=value"),
        ("zoom.min_share=2", "2", "zoom.min_share"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(setting, found, remedy):
    with pytest.raises(ConfigError) as caught:
        load_config([], [setting], {})
    assert found in str(caught.value)
    assert remedy in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("content", ["zoom: [unclosed", "- a list"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    file = tmp_path / "broken.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        load_config([file], [], {})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config([tmp_path / "nowhere.yaml"], [], {})


def test_a_warehouses_folder_without_a_slash_is_not_taken_for_a_schema(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_place("mine")  # a schema that may be made
    (tmp_path / "mine/runs/_delta_log").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"(?s)warehouse mine.*--set warehouse=\./mine"):
        check_place("mine")
    check_place("./mine")
