from __future__ import annotations

from datetime import UTC, datetime

from analytics.app.recorded import alert, append

from tachograph_analytics.incidents import Incident, firing
from tachograph_analytics.store.casebook import Casebook
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.views import connect


def test_an_alert_is_an_incident_until_it_is_resolved(tmp_path):
    home = Home(tmp_path).create()
    append(home, alert("firing", "2026-11-24T05:07:00Z"))
    with connect(home) as connection:
        assert firing(connection) == (
            Incident(
                id="abc123",
                title="13 % of runs fail",
                status="firing",
                severity="page",
                agent="airline",
                name="AgentRunsFailing",
                since=datetime(2026, 11, 24, 5, 7, tzinfo=UTC),
                until=None,
                cause=None,
                fix=None,
                notes=0,
                summary="13 % of runs fail",
                description=None,
                runbook_url="https://runbooks.example/runs-failing",
                dashboard_url=None,
                investigate_url=None,
            ),
        )
    append(home, alert("resolved", "2026-11-24T05:07:00Z"))
    with connect(home) as connection:
        assert firing(connection) == ()


def test_the_watchdog_is_a_notification_and_no_incident(tmp_path):
    home = Home(tmp_path).create()
    append(home, alert("firing", "2026-11-24T05:07:00Z", severity="none"))
    with connect(home) as connection:
        assert firing(connection) == ()
        assert connection.execute("SELECT count(*) FROM alerts").fetchall() == [(1,)]


def test_what_somebody_opened_does_not_fire(tmp_path):
    home = Home(tmp_path).create()
    Casebook(home).open("Refunds fail", datetime(2026, 11, 24, 5, 7, tzinfo=UTC))
    with connect(home) as connection:
        assert firing(connection) == ()
