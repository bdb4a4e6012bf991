"""The detections by name, their SQL, and the tables that they are written over."""

from __future__ import annotations

import re

import pytest
from analytics.detections.stores import stored

from tachograph.errors import UsageError
from tachograph.privacy.content import CONTENT_KEYS
from tachograph.privacy.redaction import DEFAULT
from tachograph.registry import load
from tachograph.testing import recording
from tachograph_analytics.detections import rules, sql
from tachograph_analytics.detections.catalogue import EXPRESSIONS
from tachograph_analytics.detections.checkpoint import CONTENT_PATTERN
from tachograph_analytics.detections.tables import FINDING, view
from tachograph_analytics.store.views import connect

_DUCKDB = {
    "timestamp(6)": "TIMESTAMP",
    "timestamp": "TIMESTAMP",
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "boolean": "BOOLEAN",
    "array<string>": "VARCHAR[]",
    "array<float64>": "DOUBLE[]",
    "map<string, string>": "MAP(VARCHAR, VARCHAR)",
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory):
    with recording() as recorded, connect(stored(recorded, tmp_path_factory.mktemp("home"))) as connection:
        yield connection


def test_the_names_are_those_of_the_registry():
    assert rules() == tuple(load().detections)
    assert len(rules()) == 23


def test_an_unknown_name_is_a_sentence_with_the_known_ones():
    with pytest.raises(UsageError, match="there is no detection 'write_approved'; there are: tool_unchecked, "):
        sql("write_approved")


@pytest.mark.parametrize("name", [*load().views, "spans"])
def test_the_logical_tables_are_the_stores_views(name, empty):
    described = {column: kind for column, kind, *_ in empty.execute(f"DESCRIBE {name}").fetchall()}
    declared = {column: _DUCKDB[str(kind)] for column, kind in view(name).schema().items()}
    if name == "spans":  # it has a column for every promoted attribute
        described = {column: kind for column, kind in described.items() if column in declared}
    assert declared == described


@pytest.mark.parametrize("rule", rules())
def test_a_detection_answers_in_the_columns_of_a_finding(rule, empty):
    assert tuple(column for column, *_ in empty.execute(sql(rule)).description) == FINDING
    assert str(EXPRESSIONS[rule]().schema()["ts"]).startswith("timestamp")


@pytest.mark.parametrize("rule", rules())
def test_a_detection_can_be_said_to_clickhouse(rule):
    assert "SELECT" in sql(rule, "clickhouse")


def test_content_is_what_the_exporter_takes_for_content():
    examples = [key.replace(".*", ".name") for key in CONTENT_KEYS]
    others = [
        "gen_ai.prompt.17.role",
        "gen_ai.prompt.name",
        "gen_ai.prompts",
        "input.value.x",
        "x.input.value",
        "tool.name",
    ]
    for key in (*examples, *others):
        assert bool(re.search(CONTENT_PATTERN, key)) == DEFAULT.is_content(key), key
