from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from analytics.app.recorded import filled, incident_runs

from tachograph.testing import EPOCH
from tachograph_analytics.runs.extent import Extent, Listed, count, extent, nearest, newest
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.views import connect

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AFTER = BEGAN + timedelta(days=113)


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    home = filled(tmp_path_factory.mktemp("extent"), incident_runs, EPOCH)
    with connect(home) as connection:
        yield connection


def test_extent_of_everything(connection):
    found = extent(connection)
    assert (found.runs, found.agents, found.sample_rates) == (23, ("airline", "lookup-bot"), (1.0,))
    assert found.first == BEGAN + timedelta(milliseconds=100)
    assert found.last is not None
    assert found.until is not None
    assert found.first < found.last < found.until


def test_an_empty_store_has_no_extent(tmp_path):
    with connect(Home(tmp_path).create()) as connection:
        assert extent(connection) == Extent(0, None, None, None, (), ())
        assert nearest(connection, Scope(LONG_AFTER)) is None


def test_count_in_a_scope(connection):
    assert [count(connection, s) for s in (Scope(agent="airline"), Scope(until=BEGAN), Scope(BEGAN))] == [16, 0, 23]


def test_nearest_day_before_an_empty_range(connection):
    end = BEGAN + timedelta(minutes=1)
    assert nearest(connection, Scope(LONG_AFTER, None, "airline")) == Scope(end - timedelta(days=1), end, "airline")


def test_nearest_day_after_an_empty_range(connection):
    assert nearest(connection, Scope(None, BEGAN - timedelta(days=17))) == Scope(BEGAN, BEGAN + timedelta(days=1))


def test_nothing_is_near_for_an_agent_without_runs(connection):
    assert nearest(connection, Scope(LONG_AFTER, None, "nobody")) is None


def test_newest_runs(connection):
    found = newest(connection, 2)
    assert [(one.run_id, one.agent, one.outcome) for one in found] == [
        ("look-6", "lookup-bot", "success"),
        ("look-5", "lookup-bot", "success"),
    ]
    assert all(isinstance(one, Listed) and one.ts.tzinfo is UTC for one in found)
