"""From a counter to the store: Prometheus, Alertmanager, receiver and app as docker-compose.yml starts them."""

from __future__ import annotations

import pytest
from deploy.exposition import exposition
from deploy.processes import TOKEN, answers, free_port, poll, read, stack

from tachograph_analytics.store.home import Home
from tachograph_analytics.store.views import connect


def _rows(home: Home) -> list[tuple[object, ...]]:
    with connect(home) as connection:
        return connection.execute(
            "SELECT name, status, labels['gen_ai_agent_name'], labels['severity'], annotations['investigate_url'] "
            "FROM alerts WHERE name <> 'TachographWatchdog' ORDER BY ts"
        ).fetchall()


@pytest.mark.slow
@pytest.mark.debian("prometheus", "prometheus-alertmanager")
def test_the_very_first_unapproved_write_becomes_an_alert_in_the_store(tmp_path):
    names = ("agent:9464", "receiver:4318", "app:8501", "alertmanager:9093", "prometheus:9090")
    ports = {name: free_port() for name in names}
    here = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    prometheus = f"http://{here['prometheus:9090']}"
    agent = exposition(ports["agent:9464"], TOKEN, "airline")
    with agent as detections, stack(tmp_path, here | {"0.0.0.0": "127.0.0.1"}) as services:  # noqa: S104 - replaced
        services.start("receiver", f"--port={ports['receiver:4318']}")
        poll("the receiver", lambda: answers(f"http://{here['receiver:4318']}/healthz"))
        services.start("app", f"--port={ports['app:8501']}")
        services.start("alertmanager", f"--web.listen-address={here['alertmanager:9093']}")
        services.start("prometheus", f"--web.listen-address={here['prometheus:9090']}")
        poll("Prometheus", lambda: answers(f"{prometheus}/-/ready"))

        # An alert that fires before Prometheus has found Alertmanager is sent a minute later: wait for both first.
        def found() -> bool:
            targets = read(f"{prometheus}/api/v1/targets")["data"]["activeTargets"]
            up = {target["labels"]["job"] for target in targets if target["health"] == "up"}
            return {"agents", "receiver"} <= up and bool(_alertmanagers(prometheus))

        poll("the targets and Alertmanager", found)
        poll("the app", lambda: answers(f"http://{here['app:8501']}/_stcore/health"))
        home = Home.at(str(services.path("receiver", "/data")))
        assert _rows(home) == []

        detections.labels("airline", "write_unapproved").inc()
        rows = poll("the alert", lambda: _rows(home))

    assert rows == [
        (
            "TachographWriteUnapproved",
            "firing",
            "airline",
            "page",
            "http://127.0.0.1:8501/?alert=TachographWriteUnapproved&agent=airline&rule=write_unapproved",
        )
    ]


def _alertmanagers(prometheus: str) -> list[object]:
    return read(f"{prometheus}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
