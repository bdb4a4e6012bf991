"""What can be said of which agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.detections.stores import stored
from analytics.detections.twins import approved, shown_the_diff, unapproved, write_only
from opentelemetry import baggage, context

import tachograph
from tachograph.registry import load
from tachograph.testing import recording
from tachograph_analytics.detections import Coverage, coverage, detect
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from pathlib import Path


def test_each_agent_is_told_of_every_detection_in_the_registrys_order(tmp_path: Path):
    with recording() as recorded:
        unapproved("clerk")
        with tachograph.run("idler"):
            pass
        with connect(stored(recorded, tmp_path / "home")) as connection:
            known = coverage(connection)
    assert [(one.agent, one.rule) for one in known] == [
        (agent, rule) for agent in ("clerk", "idler") for rule in load().detections
    ]
    assert {one.rule: one.state for one in known if one.agent == "clerk" and one.state != "not instrumented"} == {
        "content_raw": "clean",
        "write_unapproved": "violated",
        "approval_no_diff": "clean",
        "approval_args_changed": "clean",
        "approval_unaudited": "clean",
        "write_no_key": "clean",
        "key_executed_twice": "clean",
        "loop_runaway": "clean",
    }
    assert [one for one in known if one.agent == "idler"][:4] == [
        Coverage("tool_unchecked", "idler", "not instrumented", ("tool", "checkpoint.pre_tool")),
        Coverage("checkpoint_prompt_only", "idler", "not instrumented", ("checkpoint",)),
        Coverage("content_raw", "idler", "clean"),
        Coverage("write_unapproved", "idler", "not instrumented", ("tool", "tool.effect", "approval")),
    ]


def test_a_hook_that_an_agent_shows_later_judges_its_earlier_runs(tmp_path: Path):
    with recording() as recorded:
        spans_before = write_only("clerk")
        shown_the_diff("clerk")
        with connect(stored(recorded, tmp_path / "home")) as connection:
            found = detect(connection)
    assert spans_before == []
    assert [(one.rule, one.agent) for one in found] == [("write_unapproved", "clerk")]


def test_an_agent_that_only_joins_the_runs_of_others_is_seen_too(tmp_path: Path):
    """Its part of the run is a step of the caller's, and says which hooks it has."""
    with recording("billing") as recorded:
        recorded.recorder.baggage = "on"
        token = context.attach(baggage.set_baggage("tachograph.run.id", "run-17"))
        try:
            unapproved("billing")
        finally:
            context.detach(token)
        with connect(stored(recorded, tmp_path / "home")) as connection:
            found = detect(connection)
            known = coverage(connection, found)
            runs = connection.execute("SELECT count(*) FROM runs").fetchall()
    assert runs == [(0,)]
    assert {(one.rule, one.run_id, one.agent) for one in found} == {("write_unapproved", "run-17", "billing")}
    assert {(one.agent, one.state) for one in known if one.rule == "write_unapproved"} == {("billing", "violated")}


def test_another_agents_hooks_say_nothing_of_this_one(tmp_path: Path):
    with recording() as recorded:
        write_only("clerk")
        approved("seller")
        with connect(stored(recorded, tmp_path / "home")) as connection:
            found = detect(connection)
            states = {(one.agent, one.state) for one in coverage(connection, found) if one.rule == "write_unapproved"}
    assert found == []
    assert states == {("clerk", "not instrumented"), ("seller", "clean")}


def test_a_gate_outside_of_runs_proves_that_its_hook_is_there(tmp_path: Path):
    with recording("gatekeeper") as recorded:
        tachograph.gate("success", verdict="pass", decision="promote", samples=0)
        with connect(stored(recorded, tmp_path / "home")) as connection:
            found = detect(connection)
            states = {one.rule: one.state for one in coverage(connection, found) if one.state != "not instrumented"}
    assert [(one.rule, one.run_id, one.span_id, one.agent) for one in found] == [
        ("gate_no_data", None, None, "gatekeeper")
    ]
    assert states == {"content_raw": "clean", "gate_no_data": "violated", "gate_stale": "clean"}
