"""The demo's alerts: named, labelled and annotated as the generated rules would, and leading to what they are about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from demo.played import UNTIL, findings, query

import tachograph_alerts
from tachograph.demo.arrivals import arrivals
from tachograph.demo.incidents import CANARY_DAYS, notifications
from tachograph.demo.support.systems import outages
from tachograph.demo.world import AGENTS, World
from tachograph.registry import load as registry
from tachograph_alerts.catalogue import load
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
        ("TachographCanaryCostHigh", "firing"),
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
    over = {alert.labels["alertname"] for alert in read if alert.ends_at is not None}
    assert over == {"TachographWriteUnapproved"}


@pytest.mark.slow
def test_the_write_that_nobody_approved_is_in_the_history(played):
    (alert,) = query(
        played.home,
        "SELECT epoch(starts_at) AS starts, epoch(ends_at) AS ends FROM incidents WHERE status = 'resolved'",
    )
    airlines = {row["run_id"] for row in query(played.home, "SELECT run_id FROM runs WHERE agent = 'airline'")}
    writes = [
        datetime.fromisoformat(finding["ts"]).timestamp()
        for finding in findings(played.home)
        if finding["rule"] == "write_unapproved" and finding["run_id"] in airlines
    ]
    window = 600  # seconds; the rule's
    assert any(write <= alert["starts"] <= write + 60 for write in writes)
    assert any(write + window <= alert["ends"] <= write + window + 60 for write in writes)
    assert not [write for write in writes if alert["ends"] - window < write < alert["ends"]]


def test_the_canarys_window_begins_with_it_and_ends_before_the_outages():
    since, until = window_of("TachographCanaryCostHigh")
    assert since == END - timedelta(days=10)
    assert until.timestamp() <= outages(7, END.timestamp())[0].begin
    assert since < started("TachographCanaryCostHigh") < until


def test_the_canarys_alert_waits_for_what_its_rule_waits_for():
    canary = load(registry()).alerts["TachographCanaryCostHigh"]
    assert (canary.number("guard"), canary.number("for"), canary.number("window")) == (50, "30m", "1d")
    for until, hours in ((END, (24, 36)), (END + timedelta(days=3), (4, 8))):  # it begins on a Saturday, on a Tuesday
        begin = until - timedelta(days=CANARY_DAYS)
        began = started("TachographCanaryCostHigh", notifications(World(7, until.timestamp(), 12_000), AGENTS, APP))
        came = [a for a in arrivals("support", 8_000, seed=7, until=until.timestamp()) if a.at < began.timestamp()]
        new = [a for a in came if a.at >= begin.timestamp() and a.number % 2]
        assert len(new) >= canary.number("guard")
        assert timedelta(hours=hours[0]) < began - begin < timedelta(hours=hours[1])


def test_a_history_too_small_for_the_rule_has_the_canarys_alert_all_the_same():
    posted = notifications(World(7, END.timestamp(), 270), AGENTS, APP)
    assert started("TachographCanaryCostHigh", posted) == END - timedelta(days=9) + timedelta(minutes=30)


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


def started(name: str, posted=POSTED) -> datetime:
    (alert,) = [one for notification in posted for one in notification["alerts"] if one["labels"]["alertname"] == name]
    return datetime.fromisoformat(alert["startsAt"])


def window_of(name: str) -> tuple[datetime, datetime]:
    (alert,) = [alert for alert in ALERTS if alert["labels"]["alertname"] == name]
    asked = parse_qs(urlsplit(alert["annotations"]["investigate_url"]).query)
    since, until = (datetime.fromisoformat(asked[name][0]).astimezone(UTC) for name in ("from", "to"))
    return since, until
