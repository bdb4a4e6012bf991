"""Findings: what they say, in which order, of which time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter

import pytest
from analytics.detections.stores import stored
from analytics.detections.twins import (
    approve,
    approved,
    circling,
    ids,
    unchecked,
    with_candidates,
    without_candidates,
    write,
    write_only,
)
from inline_snapshot import snapshot

import tachograph
from tachograph.telemetry.recorder import active
from tachograph.testing import recording
from tachograph_analytics.detections import Finding, detect, grouped
from tachograph_analytics.store.views import connect


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory):
    with recording() as recorded:
        unchecked("clerk")
        without_candidates("clerk")
        with tachograph.run("seller", release="2.1", track="canary"):
            with tachograph.route("intent", method="llm") as choice:
                choice.choose("refund")
        with connect(stored(recorded, tmp_path_factory.mktemp("home"))) as connection:
            yield connection


def test_findings_come_in_order_of_time_and_rule_and_say_what_happened(connection):
    found = detect(connection)
    assert found == sorted(found, key=attrgetter("ts", "rule", "span_id"))
    assert [(one.rule, one.summary) for one in found] == snapshot(
        [
            ("tool_unchecked", "search (read) ran although no checkpoint had looked at it"),
            ("tool_unchecked", "export (read) ran although limit had denied it"),
            ("tool_unchecked", "report (read) ran although no checkpoint had looked at it"),
            ("route_no_candidates", "the router intent chose refund and does not say what it could choose from"),
            ("route_llm_unconstrained", "a model chose refund for the router intent and no code limited its choice"),
            ("route_no_candidates", "the router intent chose refund and does not say what it could choose from"),
        ]
    )


def test_a_finding_carries_the_facts_of_its_rule_and_run(connection):
    (finding,) = detect(connection, rules=["route_llm_unconstrained"])
    run_id, span_id = connection.execute("SELECT run_id, span_id FROM routes WHERE method = 'llm'").fetchone()
    assert finding == Finding(
        rule="route_llm_unconstrained",
        pattern="P06",
        run_id=run_id,
        span_id=span_id,
        ts=finding.ts,
        summary="a model chose refund for the router intent and no code limited its choice",
        agent="seller",
        release="2.1",
        severity="ticket",
    )


def test_a_row_is_what_json_has_with_times_in_utc(connection):
    finding = detect(connection, rules=["tool_unchecked"])[0]
    assert list(finding.row()) == ["rule", "pattern", "run_id", "span_id", "ts", "summary"]
    assert finding.row()["ts"] == snapshot("2026-01-01T00:00:06Z")


def test_since_is_inclusive_and_until_is_exclusive_in_any_zone(connection):
    def times(**bounds: datetime) -> list[datetime]:
        return [one.ts for one in detect(connection, rules=["tool_unchecked"], **bounds)]

    first, second, third = times()
    elsewhere = second.astimezone(timezone(timedelta(hours=-11)))
    assert times(since=second) == [second, third]
    assert times(since=first, until=third) == [first, second]
    assert times(until=elsewhere) == [first]
    assert times(until=second.replace(tzinfo=None)) == [first]
    assert times(since=datetime(2027, 1, 1, tzinfo=UTC)) == []


def test_the_connection_is_left_as_it_was(connection):
    before = connection.execute("FROM duckdb_tables()").fetchall()
    detect(connection, rules=["write_unapproved"])
    assert connection.execute("FROM duckdb_tables()").fetchall() == before


def test_two_agents_limiters_of_one_name_stand_apart(tmp_path):
    with recording() as recorded:
        with tachograph.run("clerk"), tachograph.limiter("slots", limit=1) as slot:
            slot.acquired()
            with tachograph.limiter("slots", limit=1) as full:
                full.rejected()
        with tachograph.run("seller"), tachograph.limiter("slots", limit=5) as slot:
            slot.acquired()
        with connect(stored(recorded, tmp_path / "home")) as connection:
            assert detect(connection, rules=["limit_raised_saturated"]) == []


def test_a_call_outside_of_a_run_is_not_judged_by_what_a_run_must_have(tmp_path):
    with recording("clerk") as recorded:
        write_only("clerk")
        with_candidates("clerk")
        circling("clerk")
        for _ in range(7):
            with tachograph.tool("search", arguments={"query": "fares"}):
                pass
        with connect(stored(recorded, tmp_path / "home")) as connection:
            found = detect(connection)
    assert [one.rule for one in found] == ["loop_runaway"]
    assert found[0].run_id is not None


def test_a_write_outside_of_a_run_needs_the_approval_of_its_call_in_its_trace(tmp_path):
    with recording("clerk") as recorded:
        approved("clerk")  # so the agent knows how to ask
        with active().spans.tracer.start_as_current_span("request"):  # the framework's, so that it is one trace
            approve("refund", "eve", call_id="call-13")
            write("refund", "call-13")
            other = write("refund", "call-17")
        elsewhere = write("refund", "call-13")
        write("note", "call-19", tier=0)
        with connect(stored(recorded, tmp_path / "home")) as connection:
            found = detect(connection, rules=["write_unapproved"])
    assert [(one.span_id, one.run_id, one.agent) for one in found] == [
        (span, None, "clerk") for span in ids(other, elsewhere)
    ]


def test_a_write_outside_of_a_run_of_an_agent_that_never_asks_is_not_judged(tmp_path):
    with recording("clerk") as recorded:
        write_only("clerk")
        write("refund", "call-13")
        with connect(stored(recorded, tmp_path / "home")) as connection:
            assert detect(connection, rules=["write_unapproved"]) == []


def test_what_has_no_time_comes_last_and_in_no_range(tmp_path):
    with recording("clerk") as recorded:
        unchecked("clerk")
        home = stored(recorded, tmp_path / "home")
    with connect(home) as connection:
        whole = detect(connection, rules=["tool_unchecked"])
        connection.execute("CREATE TABLE kept AS FROM tool_calls")
        connection.execute("UPDATE kept SET ts = NULL WHERE span_id = ?", [whole[0].span_id])
        connection.execute("CREATE OR REPLACE VIEW tool_calls AS FROM kept")
        found = detect(connection, rules=["tool_unchecked"])
        assert [one.span_id for one in found] == [one.span_id for one in (*whole[1:], whole[0])]
        assert (found[-1].ts, found[-1].row()["ts"]) == (None, None)
        assert len(detect(connection, rules=["tool_unchecked"], since=datetime(2020, 1, 1, tzinfo=UTC))) == 2
        (group,) = grouped(found)
        assert (group.first_seen, group.last_seen) == (whole[1].ts, whole[2].ts)
        (group,) = grouped(found[-1:])
        assert (group.first_seen, group.last_seen) == (None, None)
