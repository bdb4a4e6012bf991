from __future__ import annotations

import json
from datetime import timedelta

import pytest
from analytics.app.recorded import filled, incident_runs
from analytics.spikes.worlds import BEGAN, ARun, made

from tachograph.testing import EPOCH
from tachograph_analytics.runs.breakdown import MOST, Group, breakdown, sql
from tachograph_analytics.runs.scope import Condition, Scope
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.views import connect


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("breakdown"), incident_runs, EPOCH)


def test_a_row_for_each_value_the_highest_cost_first_and_no_price_last(home):
    with connect(home) as connection:
        acme, globex = breakdown(connection, Scope(), "tenant")
    assert acme == Group(
        value="acme",
        runs=16,
        cost=pytest.approx(16 * 0.0313),
        cost_per_success=pytest.approx(16 * 0.0313 / 11, abs=1e-6),
        success_rate=round(11 / 16, 4),
        p95_ms=acme.p95_ms,
        unpriced=0,
    )
    assert acme.p95_ms > 1000
    assert (globex.value, globex.runs, globex.cost, globex.cost_per_success) == ("globex", 7, None, None)
    assert (globex.success_rate, globex.unpriced) == (1.0, 7)


def test_only_the_runs_of_the_scope(home):
    with connect(home) as connection:
        scope = Scope(agent="airline", conditions=(Condition("outcome", "success", negated=True),))
        groups = breakdown(connection, scope, "release")
    assert [(group.value, group.runs, group.success_rate) for group in groups] == [("1.4", 3, 0.0), ("1.3", 2, 0.0)]


def test_what_was_not_recorded_is_a_row_of_its_own(tmp_path):
    runs = [
        ARun(1, BEGAN, "acme", "answer", 0.11),
        ARun(2, BEGAN + timedelta(hours=1), None, "answer", 0.13),
        ARun(3, BEGAN + timedelta(hours=2), None, "answer", None),
    ]
    with connect(made(tmp_path / "home", iter(runs))) as connection:
        groups = breakdown(connection, Scope(), "tenant")
    assert [(group.value, group.runs, group.cost, group.unpriced) for group in groups] == [
        (None, 2, 0.13, 1),
        ("acme", 1, 0.11, 0),
    ]


def test_the_costliest_of_many(tmp_path):
    runs = (ARun(n, BEGAN + timedelta(hours=n), f"t{n}", "answer", 0.01 * n) for n in range(1, MOST + 4))
    with connect(made(tmp_path / "home", runs)) as connection:
        groups = breakdown(connection, Scope(), "tenant")
    assert [group.value for group in groups] == [f"t{n}" for n in range(MOST + 3, 3, -1)]


def test_the_query_gives_the_same_rows(home):
    with connect(home) as connection:
        groups = breakdown(connection, Scope(), "workflow")
    assert json.loads(as_json(query(home, sql(Scope(), "workflow")))) == [
        {field: getattr(group, field) for field in Group.__dataclass_fields__} for group in groups
    ]
