from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from analytics.app.recorded import filled, incident_runs

from tachograph.testing import EPOCH
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.runs.totals import Pricing, pricing, totals
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.views import connect

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("totals"), incident_runs, EPOCH)


def test_figures_of_one_agent(home):
    with connect(home) as connection:
        found = totals(connection, Scope(BEGAN, None, "airline"))
    assert found.spend.value == pytest.approx(16 * 0.0313)
    assert found.spend.sql == (
        "SELECT round(sum(cost / coalesce(nullif(sample_rate, 0), 1)), 9) AS spend FROM runs\n"
        "WHERE ts >= TIMESTAMP '2026-01-01 00:00:00' AND agent = 'airline'"
    )
    assert found.cost_per_success.value == pytest.approx(16 * 0.0313 / 11)
    assert found.success_rate.value == pytest.approx(11 / 16)
    assert found.blocked.value == 2
    assert [f.unit for f in (found.spend, found.cost_per_success, found.success_rate, found.blocked)] == [
        "USD",
        "USD",
        "share",
        "runs",
    ]


def test_each_figure_is_what_its_sql_gives(home):
    with connect(home) as connection:
        found = totals(connection, Scope())
    for figure in (found.spend, found.cost_per_success, found.success_rate, found.blocked):
        rows = json.loads(as_json(query(home, figure.sql)))
        assert list(rows[0].values()) == [figure.value]


def test_a_range_without_runs_says_nothing_rather_than_zero(home):
    with connect(home) as connection:
        found = totals(connection, Scope(BEGAN + timedelta(days=11), None))
    assert (found.spend.value, found.cost_per_success.value, found.success_rate.value) == (None, None, None)
    assert found.blocked.value == 0


def test_calls_without_a_price_are_counted(home):
    with connect(home) as connection:
        assert pricing(connection, Scope()) == Pricing(
            estimated_calls=0, reported_calls=16, unpriced_calls=7, price_dates=()
        )


def test_an_agents_name_cannot_leave_its_quotes(home):
    with connect(home) as connection:
        assert totals(connection, Scope(agent="o'hara' OR 'a'='a")).spend.value is None
