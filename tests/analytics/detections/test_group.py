"""Findings of one kind together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tachograph_analytics.detections import Finding, Group, grouped

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

ONE = Finding(
    rule="fallback_silent",
    pattern="P09",
    run_id="run_11",
    span_id="0000000000000011",
    ts=NOON,
    summary="the agent went into fallback_model (timeout, gpt) and did not tell the user",
    agent="airline",
    release="2.1",
    severity="page",
)


def after(minutes: int, finding: Finding = ONE, **changes: object) -> Finding:
    return replace(finding, ts=NOON + timedelta(minutes=minutes), **changes)


def test_no_findings_are_no_groups():
    assert grouped([]) == []


def test_one_finding_speaks_for_itself():
    assert grouped([ONE]) == [
        Group(
            rule="fallback_silent",
            pattern="P09",
            severity="page",
            agent="airline",
            releases=("2.1",),
            count=1,
            runs=1,
            first_seen=NOON,
            last_seen=NOON,
            sentence="The agent went into fallback_model (timeout, gpt) and did not tell the user.",
            examples=("run_11",),
        )
    ]


def test_several_are_counted_with_their_newest_runs_first():
    found = [after(17, run_id="run_17"), ONE, after(3), *(after(n, run_id=f"run_{n}") for n in (13, 5, 7))]
    (group,) = grouped(found)
    assert group.sentence == "The agent answered in a degraded mode and did not tell the user: 6 times in 5 runs."
    assert (group.count, group.runs, group.examples) == (6, 5, ("run_17", "run_13", "run_7"))
    assert (group.first_seen, group.last_seen) == (NOON, NOON + timedelta(minutes=17))


def test_findings_outside_of_runs_name_none():
    gate = replace(ONE, rule="gate_no_data", pattern="P10", run_id=None, span_id=None, release=None)
    (group,) = grouped([gate, gate])
    assert (group.sentence, group.runs, group.examples) == ("A release gate passed without data: 2 times.", 0, ())


def test_agents_stand_apart_and_what_pages_comes_first_then_the_most_frequent():
    ticket = replace(ONE, rule="write_no_key", pattern="P03", severity="ticket")
    found = [*[ticket] * 5, ONE, *[replace(ONE, release="2.2")] * 3, replace(ONE, agent=None, release=None)]
    assert [(group.rule, group.agent, group.releases, group.count) for group in grouped(found)] == [
        ("fallback_silent", "airline", ("2.2", "2.1"), 4),
        ("fallback_silent", None, (), 1),
        ("write_no_key", "airline", ("2.1",), 5),
    ]
