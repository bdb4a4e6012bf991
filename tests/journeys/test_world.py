"""What the demo's world holds: every view has rows, every detection something to find, two incidents on top."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tachograph.registry import load

pytestmark = [pytest.mark.slow]


def test_every_view_has_rows(world):
    views = [*load().views, "spans", "events", "alerts", "incidents"]
    counts = {view: world.ask(f"SELECT count(*) AS n FROM {view}")[0]["n"] for view in views}  # noqa: S608 - our names
    assert [view for view, count in counts.items() if not count] == []


def test_every_detection_has_found_something_and_most_runs_are_clean(world):
    found = json.loads(world.command("detect", "--json"))
    per_rule = Counter(finding["rule"] for finding in found)
    assert set(per_rule) == set(load().detections)
    runs = world.ask("SELECT count(*) AS n FROM runs")[0]["n"]
    assert len({finding["run_id"] for finding in found}) < 0.15 * runs


def test_twelve_thousand_runs_of_three_agents_two_thirds_of_them_the_platforms(world):
    rows = world.ask(
        "SELECT agent, count(*) AS runs, count(DISTINCT run_id) AS ids FROM runs GROUP BY agent ORDER BY agent"
    )
    counts = {row["agent"]: row["runs"] for row in rows}
    assert counts == {"airline": 2_000, "invoice": 2_000, "support": 8_000}
    assert all(row["runs"] == row["ids"] for row in rows)


def test_the_new_release_costs_more_per_success_and_succeeds_as_often(world):
    arms = {
        row["track"]: row
        for row in world.ask(
            """SELECT track, count(*) AS runs, count(DISTINCT session) AS sessions,
                      sum(cost) / count(*) FILTER (outcome = 'success') AS cost_per_success,
                      count(*) FILTER (outcome = 'success') / count(*) AS success
               FROM runs WHERE agent = 'support' AND ts >= (SELECT min(ts) FROM runs WHERE track = 'canary')
               GROUP BY track"""
        )
    }
    canary, stable = arms["canary"], arms["stable"]
    assert canary["sessions"] == canary["runs"] >= 1_000
    assert canary["cost_per_success"] / stable["cost_per_success"] == pytest.approx(1.6, abs=0.05)
    assert canary["success"] == pytest.approx(stable["success"], abs=0.03)


def test_both_incidents_fire_and_an_older_one_is_over(world):
    rows = world.ask("SELECT name, agent, status FROM incidents ORDER BY status, name")
    assert [row["status"] for row in rows].count("firing") == 2
    assert {row["name"] for row in rows if row["status"] == "firing"} == {
        "TachographCanaryCostHigh",
        "TachographFallbackSilent",
    }
    assert "resolved" in {row["status"] for row in rows}
