from __future__ import annotations

import json
from datetime import timedelta

import pytest
from analytics.spikes.worlds import BEGAN, ARun, made

from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.spikes.costliest import MOST, costliest, sql
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.views import connect


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    runs = [ARun(n, BEGAN + timedelta(hours=n), "acme", "answer", 0.01 * (n + 1)) for n in range(13)]
    runs += [
        ARun(
            17, BEGAN + timedelta(hours=17), "globex", "refund", 0.31, "failed", "2.8", "canary", failed_tool="lookup"
        ),
        ARun(19, BEGAN + timedelta(hours=19), "globex", "refund", None),
    ]
    return made(tmp_path_factory.mktemp("costly") / "home", iter(runs))


def test_the_costliest_first_beside_what_is_typical(home):
    with connect(home) as connection:
        rows = costliest(connection, Scope())
    assert len(rows) == MOST
    assert [row.run_id for row in rows[:3]] == ["run-17", "run-12", "run-11"]
    top, second = rows[:2]
    assert (top.cost, top.outcome, top.release, top.tenant, top.workflow) == (0.31, "failed", "2.8", "globex", "refund")
    assert (second.cost, second.typical_cost, second.attempts, second.typical_attempts) == (0.13, 0.07, 1, 1)


def test_runs_without_a_price_are_not_among_them(home):
    with connect(home) as connection:
        assert [run.run_id for run in costliest(connection, Scope(since=BEGAN + timedelta(hours=17)))] == ["run-17"]


def test_the_query_gives_the_same_runs(home):
    with connect(home) as connection:
        rows = costliest(connection, Scope())
    asked = json.loads(as_json(query(home, sql(Scope()))))
    assert [(row["run_id"], row["cost"]) for row in asked] == [(row.run_id, row.cost) for row in rows]
