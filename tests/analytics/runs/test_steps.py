from __future__ import annotations

import pytest
from analytics.app.recorded import append, filled, incident_runs
from analytics.otlp import ASpan, traces

from tachograph.registry import names
from tachograph.testing import EPOCH
from tachograph_analytics.runs.steps import events, steps
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.segment import Signal
from tachograph_analytics.store.views import connect


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    with connect(filled(tmp_path_factory.mktemp("steps"), incident_runs, EPOCH)) as connection:
        yield connection


def test_steps_in_tree_order_with_what_is_wrong(connection):
    found = [
        (step.depth, step.kind, step.name, step.start_ms, step.duration_ms, step.cost, step.problem)
        for step in steps(connection, "bad-1")
    ]
    assert found == [
        (0, "run", "invoke_agent airline", 0.0, 1300.0, None, "the run failed"),
        (1, "turn", "turn 1", 100.0, 300.0, None, None),
        (2, "llm", "chat gpt-4o", 200.0, 100.0, 0.0313, None),
        (1, "checkpoint", "checkpoint pre_tool policy", 500.0, 100.0, None, None),
        (1, "turn", "turn 2", 700.0, 400.0, None, None),
        (2, "tool", "execute_tool refund", 800.0, 100.0, None, "the tool failed (CardDeclined)"),
    ]


def test_a_clean_run_has_no_problem(connection):
    assert [step.problem for step in steps(connection, "good-3") if step.problem] == []


def test_a_denial_names_its_rule(connection):
    assert [step.problem for step in steps(connection, "ref-1") if step.problem] == [
        "the checkpoint denied it (over_limit)"
    ]


def test_events_in_order_with_the_step_they_belong_to(connection):
    path = {step.span_id: step.name for step in steps(connection, "bad-1")}
    assert [(e.start_ms, e.name, path[e.span_id or ""], e.severity) for e in events(connection, "bad-1")] == [
        (1000.0, "tachograph.audit.recorded", "execute_tool refund", "INFO"),
        (1200.0, "tachograph.budget.used", "invoke_agent airline", "INFO"),
    ]


def test_an_unknown_run_has_no_steps(connection):
    assert (steps(connection, "nobody"), events(connection, "nobody")) == ((), ())


def test_a_request_that_a_later_part_answered_is_no_longer_pending_and_another_is(tmp_path):
    home = Home(tmp_path).create()
    common = {names.RUN_ID: "waits", names.GEN_AI_AGENT_NAME: "a", names.SPAN_KIND: "approval"}
    said = [("ask-11", "pending"), ("ask-13", "pending"), ("ask-11", "approved"), ("ask-17", "rejected")]
    spans = [
        ASpan(
            1 + at // 2,
            at + 3,
            common | {names.APPROVAL_ID: id_, names.APPROVAL_STATUS: status},
            name=f"{id_} {status}",
            start_ms=float(at),
        )
        for at, (id_, status) in enumerate(said)
    ]
    append(home, (Signal.TRACES, traces(spans).SerializeToString()))
    with connect(home) as connection:
        found = {step.name: step.problem for step in steps(connection, "waits")}
    assert found == {
        "ask-11 pending": None,
        "ask-13 pending": "the approval is pending",
        "ask-11 approved": None,
        "ask-17 rejected": "the approval was rejected",
    }


def test_a_step_whose_parent_is_missing_and_steps_in_a_circle_are_kept(tmp_path):
    home = Home(tmp_path).create()
    common = {names.RUN_ID: "torn", names.GEN_AI_AGENT_NAME: "a"}
    spans = [
        ASpan(1, 3, common | {names.SPAN_KIND: "run"}, name="invoke_agent a", parent=99, end_ms=17.0),
        ASpan(1, 5, common | {names.SPAN_KIND: "tool"}, name="execute_tool lost", parent=98, start_ms=2.0),
        ASpan(1, 7, common, name="mine", parent=8, start_ms=3.0),
        ASpan(1, 8, common, name="yours", parent=7, start_ms=4.0),
    ]
    append(home, (Signal.TRACES, traces(spans).SerializeToString()))
    with connect(home) as connection:
        found = [(step.name, step.kind, step.depth, step.orphan) for step in steps(connection, "torn")]
    assert found == [
        ("invoke_agent a", "run", 0, False),
        ("execute_tool lost", "tool", 0, True),
        ("mine", "other", 0, True),
        ("yours", "other", 0, True),
    ]
