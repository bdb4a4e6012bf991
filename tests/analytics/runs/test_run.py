from __future__ import annotations

import pytest
from analytics.app.recorded import filled, incident_runs

from tachograph.testing import EPOCH
from tachograph_analytics.runs.run import find
from tachograph_analytics.store.views import connect


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    with connect(filled(tmp_path_factory.mktemp("run"), incident_runs, EPOCH)) as connection:
        yield connection


def test_a_failed_run(connection):
    run = find(connection, "bad-1")
    assert run is not None
    assert (run.agent, run.workflow, run.tenant, run.release, run.track, run.tier) == (
        "airline",
        "refund",
        "acme",
        "1.4",
        "canary",
        1,
    )
    assert (run.outcome, run.stop_reason, run.cost_source, run.price_dates, run.unpriced_calls) == (
        "failed",
        "error",
        "provider",
        (),
        0,
    )
    assert {name: figure.value for name, figure in run.figures.items()} == {
        "cost": 0.0313,
        "duration_ms": 1300.0,
        "turns": 2,
        "llm_calls": 1,
        "tool_calls": 1,
        "input_tokens": 1013,
        "output_tokens": 17,
        "cached_tokens": 0,
    }
    assert run.figures["cost"].sql == "SELECT cost FROM runs WHERE run_id = 'bad-1'"


def test_a_run_of_a_model_without_price_has_no_cost(connection):
    run = find(connection, "look-3")
    assert run is not None
    assert (run.figures["cost"].value, run.cost_source, run.unpriced_calls) == (None, None, 1)


def test_an_unknown_run(connection):
    assert find(connection, "bad-1' OR true --") is None
