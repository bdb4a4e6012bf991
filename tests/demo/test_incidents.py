"""The demo's alerts: named, labelled and annotated as the generated rules would, and leading to what they are about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from demo.played import UNTIL

import tachograph_alerts
from tachograph.demo.incidents import notifications
from tachograph.demo.support.systems import outages
from tachograph.demo.world import AGENTS, World
from tachograph_analytics.app import links
from tachograph_analytics.receiver import alerts

GENERATED = Path(tachograph_alerts.__file__).with_name("generated") / "rules.yaml"
RULES = {
    rule["alert"]: rule for group in yaml.safe_load(GENERATED.read_text("utf-8"))["groups"] for rule in group["rules"]
}
END = datetime.fromisoformat(UNTIL)
WORLD = World(7, END.timestamp(), 12_000)
APP = "http://127.0.0.1:18501"
POSTED = notifications(WORLD, AGENTS, APP)
ALERTS = [alert for notification in POSTED for alert in notification["alerts"]]
by_name = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["labels"]["alertname"] + alert["status"])


def test_two_fire_and_an_older_one_is_over():
    assert [(alert["labels"]["alertname"], alert["status"]) for alert in ALERTS] == [
        ("TachographWriteUnapproved", "firing"),
        ("TachographWriteUnapproved", "resolved"),
        ("TachographCostSpike", "firing"),
        ("TachographFallbackSilent", "firing"),
    ]
    assert len({alert["fingerprint"] for alert in ALERTS}) == 3


@by_name
def test_labels_and_annotations_are_the_rules(alert):
    rule = RULES[alert["labels"]["alertname"]]
    agent = alert["labels"]["gen_ai_agent_name"]
    assert alert["labels"] == {"alertname": rule["alert"], "gen_ai_agent_name": agent, **rule["labels"]}
    assert list(alert["annotations"]) == list(rule["annotations"])
    filled = {
        name: text.replace("{{ urlquery $labels.gen_ai_agent_name }}", agent)
        for name, text in rule["annotations"].items()
    }
    for name in ("summary", "runbook_url", "dashboard_url"):
        assert alert["annotations"][name] == filled[name]


@by_name
def test_its_link_is_the_rules_with_the_app_of_this_demo_and_a_window(alert):
    rule = RULES[alert["labels"]["alertname"]]["annotations"]["investigate_url"]
    link, expected = urlsplit(alert["annotations"]["investigate_url"]), urlsplit(rule)
    assert (f"{link.scheme}://{link.netloc}", link.path) == (APP, expected.path)
    asked = {name: values[0] for name, values in parse_qs(link.query).items()}
    agent = alert["labels"]["gen_ai_agent_name"]
    told = {name: values[0] for name, values in parse_qs(expected.query).items()} | {"agent": agent}
    assert told.items() <= asked.items()
    window = links.window(asked, END)
    assert window.complaints == ()
    assert (window.scope.agent, window.alert) == (agent, alert["labels"]["alertname"])


def test_the_receiver_reads_each_notification():
    read = [alert for notification in POSTED for alert in alerts.parse(json.dumps(notification).encode())]
    assert [alert.status for alert in read] == [alert["status"] for alert in ALERTS]
    over = {alert.labels["alertname"]: alert.ends_at for alert in read}
    assert over == {
        "TachographWriteUnapproved": datetime(2026, 11, 4, 9, 40),  # noqa: DTZ001 - the store's times have no zone
        "TachographCostSpike": None,
        "TachographFallbackSilent": None,
    }


def test_the_cost_spike_begins_with_the_canary_and_its_window_ends_before_the_outages():
    since, until = window_of("TachographCostSpike")
    assert since == END - timedelta(days=10)
    assert until.timestamp() <= outages(7, END.timestamp())[0].begin
    assert since < started("TachographCostSpike") < since + timedelta(hours=3)


def test_the_silent_fallback_shows_the_last_outage_as_a_whole():
    since, until = window_of("TachographFallbackSilent")
    last = outages(7, END.timestamp())[-1]
    assert since.timestamp() < last.begin < started("TachographFallbackSilent").timestamp() < last.end
    assert last.end < until.timestamp()


def test_only_alerts_about_agents_that_were_played_are_posted():
    assert {one["commonLabels"]["alertname"] for one in notifications(WORLD, ("airline",), APP)} == {
        "TachographWriteUnapproved"
    }
    assert notifications(WORLD, ("invoice",), APP) == []


def started(name: str) -> datetime:
    (alert,) = [alert for alert in ALERTS if alert["labels"]["alertname"] == name]
    return datetime.fromisoformat(alert["startsAt"])


def window_of(name: str) -> tuple[datetime, datetime]:
    (alert,) = [alert for alert in ALERTS if alert["labels"]["alertname"] == name]
    asked = parse_qs(urlsplit(alert["annotations"]["investigate_url"]).query)
    since, until = (datetime.fromisoformat(asked[name][0]).astimezone(UTC) for name in ("from", "to"))
    return since, until
