from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from analytics.app.recorded import append

from tachograph_analytics.spikes.alarm import Alarm, last
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.segment import Signal
from tachograph_analytics.store.views import connect

NEVER = "0001-01-01T00:00:00Z"


def webhook(status, agent, starts_at, ends_at=NEVER, name="TachographCostSpike"):
    one = {
        "status": status,
        "labels": {"alertname": name, "severity": "ticket", "gen_ai_agent_name": agent},
        "annotations": {},
        "startsAt": starts_at,
        "endsAt": ends_at,
        "generatorURL": "",
        "fingerprint": f"{name} {agent}",
    }
    return Signal.ALERTS, json.dumps({"version": "4", "status": status, "alerts": [one]}).encode()


@pytest.fixture
def connection(tmp_path):
    home = Home(tmp_path / "home").create()
    append(
        home,
        webhook("firing", "support", "2026-01-20T11:00:00Z"),
        webhook("resolved", "support", "2026-01-20T11:00:00Z", "2026-01-20T13:17:00Z"),
        webhook("firing", "airline", "2026-01-19T07:00:00Z"),
        webhook("firing", "support", "2026-01-23T05:00:00Z", name="Another"),
    )
    with connect(home) as connection:
        yield connection


def test_the_last_firing_begins_half_an_hour_before_the_alert_and_ends_with_it(connection):
    since, until = datetime(2026, 1, 20, 10, 30, tzinfo=UTC), datetime(2026, 1, 20, 13, 17, tzinfo=UTC)
    assert last(connection, "TachographCostSpike", None) == Alarm(since, until, "support")


def test_of_one_agent_and_still_going_on(connection):
    since = datetime(2026, 1, 19, 6, 30, tzinfo=UTC)
    assert last(connection, "TachographCostSpike", "airline") == Alarm(since, None, "airline")


def test_an_alert_that_never_fired(connection):
    assert last(connection, "TachographCostSpike", "invoice") is None
    assert last(connection, "Nothing' OR 'a'='a", None) is None
