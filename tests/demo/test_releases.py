"""The release pipeline judges each release every night, and its two weak gates are found."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tachograph.demo.arrivals import DAY_S, DAYS
from tachograph.demo.clock import SimulatedClock
from tachograph.demo.releases import CANDIDATE_DAYS, GATES, Gate, Measured, nightly
from tachograph.registry import names as n
from tachograph.testing import recording

if TYPE_CHECKING:
    from tachograph.testing import Recorded

UNTIL = 1_790_000_000.0
EVENTS = (n.EVENT_RELEASE_ASSIGNED, n.EVENT_GEN_AI_EVALUATION_RESULT, n.EVENT_GATE_DECIDED)
PREFIX = "tachograph.gate."


def nights(*left: float, seed: int = 7) -> Recorded:
    """What the pipeline says so many days before the end."""
    clock = SimulatedClock()
    with recording("support", clock=clock) as recorded:
        for days_left in left:
            clock.jump(UNTIL - days_left * DAY_S)
            nightly(days_left, random.Random(f"{seed} {days_left}"), clock)
    return recorded


def gates(recorded: Recorded) -> list[dict[str, Any]]:
    found = recorded.events(n.EVENT_GATE_DECIDED)
    return [{name.removeprefix(PREFIX): value for name, value in each["attributes"].items()} for each in found]


@pytest.fixture(scope="module")
def history() -> Recorded:
    """Five weeks of nights."""
    return nights(*(DAYS - 0.4 - night for night in range(DAYS)))


def test_a_night_evaluates_cases_and_decides_four_gates_without_a_run():
    recorded = nights(29.6)
    events = [event["name"] for event in recorded.events()]
    cases = events.count(n.EVENT_GEN_AI_EVALUATION_RESULT)
    assert 13 <= cases <= 41
    on_record = n.EVENT_AUDIT_RECORDED
    assert [event for event in events if event != on_record] == [
        EVENTS[0],
        *[EVENTS[1]] * cases,
        *[EVENTS[2]] * 4,
        EVENTS[0],
    ]
    assert events.count(on_record) == 4  # each gate's decision
    assert [gate["name"] for gate in gates(recorded)] == ["success", "cost_per_success", "blocked", "latency"]
    assert recorded.spans() == []
    assert recorded.metric("tachograph.gate.decisions", gen_ai_agent_name="support") == 4
    ids = [event["attributes"][n.EVALUATION_CASE_ID] for event in recorded.events(EVENTS[1])]
    assert len(set(ids)) == cases


def test_the_candidate_is_judged_beside_the_current_release_from_the_night_before_it_gets_traffic(history):
    def releases(days_left: float) -> list[tuple[str, str]]:
        records = [each.log_record for each in nights(days_left)._logs.get_finished_logs()]
        assigned = [each.attributes or {} for each in records if each.event_name == n.EVENT_RELEASE_ASSIGNED]
        return [(str(each[n.RELEASE_ID]), str(each[n.RELEASE_TRACK])) for each in assigned]

    current, candidate = ("2.7", "stable"), ("2.8", "canary")
    assert releases(CANDIDATE_DAYS) == [current, current]
    assert releases(CANDIDATE_DAYS - 0.4) == [current, candidate, current]
    assert len(gates(history)) == 4 * (DAYS + CANDIDATE_DAYS)


def test_one_gate_passed_on_nothing_and_one_on_old_data(history):
    passed = [gate for gate in gates(history) if gate["verdict"] == "pass"]
    blind = [gate for gate in passed if "observed" not in gate]
    stale = [gate for gate in passed if gate.get("data.age", 0) > n.THRESHOLDS["gate_stale"]]
    assert [(gate["name"], gate["samples"], gate["decision"]) for gate in blind] == [("latency", 0, "promote")]
    assert [(gate["name"], gate["samples"] >= 20, gate["decision"]) for gate in stale] == [
        ("cost_per_success", True, "promote")
    ]
    assert history.detections() == {"gate_no_data": 1, "gate_stale": 1}


def test_other_data_are_a_minute_old_at_most_and_few_cases_decide_nothing(history):
    ages = sorted(gate["data.age"] for gate in gates(history) if "data.age" in gate)
    assert 0 < ages[0] <= ages[-2] < 60
    few = {gate["verdict"] for gate in gates(history) if gate["samples"] < 20 and gate["name"] != "latency"}
    assert few == {"inconclusive"}


def test_the_candidate_costs_too_much_and_is_held(history):
    cost = [gate for gate in gates(history) if gate["name"] == "cost_per_success"]
    verdicts = Counter((number >= DAYS - CANDIDATE_DAYS, gate["verdict"]) for number, gate in enumerate(cost))
    assert verdicts[False, "fail"] <= 1
    assert verdicts[True, "fail"] >= 5
    assert {gate["decision"] for gate in cost if gate["verdict"] != "pass"} == {"hold"}


@pytest.mark.parametrize(
    ("gate", "measured", "verdict"),
    [
        (GATES[0], Measured(0.74, 23, 11.0), "fail"),
        (GATES[0], Measured(0.97, 23, 11.0), "pass"),
        (GATES[0], Measured(0.11, 19, 11.0), "inconclusive"),
        (GATES[2], Measured(0.17, 23, 11.0), "fail"),
        (GATES[3], Measured(None, 0, None), "pass"),
    ],
)
def test_a_gate_fails_what_is_worse_by_more_than_its_threshold(gate: Gate, measured: Measured, verdict: str):
    assert gate.verdict(measured) == verdict


def test_the_same_seed_gives_the_same_night_and_another_one_another():
    assert nights(8.6).events() == nights(8.6).events()
    assert nights(8.6).events() != nights(8.6, seed=8).events()


def test_nothing_is_needed_of_tachograph_to_let_the_night_pass():
    clock = SimulatedClock()
    nightly(8.6, random.Random(7), clock)
    assert clock.now() > 60
