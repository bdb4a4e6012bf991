# ruff: noqa: S608 - the SQL is made here, of names and times of ours
"""The support platform over five weeks: what is found in it, what a release costs, and what an outage does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from analytics.app.recorded import append, bodies

from tachograph.demo.arrivals import arrivals
from tachograph.demo.clock import SimulatedClock
from tachograph.demo.support import limiter
from tachograph.demo.support.breaker import Breaker, CircuitOpenError
from tachograph.demo.support.customers import CANARY_DAYS
from tachograph.demo.support.model import dollars
from tachograph.demo.support.systems import DAY_S, HOUR_S, OUTAGE_DAYS, outages
from tachograph.demo.support.traffic import MODULES, Traffic
from tachograph.plain.install import install
from tachograph.prices.lookup import Usage, price
from tachograph.testing import Recorded, recording
from tachograph_analytics.detections import Finding, detect
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.query import query
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tachograph.demo.arrivals import Arrival
    from tachograph.demo.support.model import Model, Prompt, Reply
    from tachograph.demo.support.provider import Providers
    from tachograph.demo.support.request import Answer

UNTIL = datetime(2026, 11, 24, 9, tzinfo=UTC).timestamp()  # a Tuesday
SEED, RUNS = 7, 8_000
EARLIER = 17  # of the runs before the days of the outages every seventeenth is recorded

THROUGHOUT = {
    "budget_no_degraded",
    "cache_cross_tenant",
    "cache_key_no_tenant",
    "route_llm_unconstrained",
    "route_no_candidates",
    "write_cached",
}
IN_OUTAGES = {"fallback_silent", "limit_raised_saturated", "loop_runaway"}


@dataclass(frozen=True, slots=True)
class History:
    """What was played, in a store and in the agent's own counters."""

    home: Home
    found: list[Finding]
    counted: dict[str, float]
    answers: list[tuple[Answer, float]]

    def ask(self, sql: str) -> list[dict[str, Any]]:
        answer = query(self.home, sql)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def one(self, sql: str) -> dict[str, Any]:
        (row,) = self.ask(sql)
        return row


def some(seed: int = SEED) -> Iterator[Arrival]:
    """All arrivals of the last five days, and some before them."""
    for arrival in arrivals("support", RUNS, seed=seed, until=UNTIL):
        if arrival.days_left < OUTAGE_DAYS or arrival.number % EARLIER == 0:
            yield arrival


def played(clock: SimulatedClock, which: Iterator[Arrival], seed: int = SEED) -> list[tuple[Answer, float]]:
    """The answers, and when each was given."""
    traffic = Traffic(clock, seed)
    answers: list[tuple[Answer, float]] = []
    for arrival in which:
        clock.jump(arrival.at)
        answers.append((traffic.play(arrival), clock.now()))
    return answers


def record(clock: SimulatedClock, which: Iterator[Arrival]) -> tuple[Recorded, list[tuple[Answer, float]]]:
    with recording("support", clock=clock) as recorded:
        installation = install(list(MODULES))
        try:
            return recorded, played(clock, which)
        finally:
            installation.undo()


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> History:
    home = Home(tmp_path_factory.mktemp("support") / "home").create()
    recorded, answers = record(SimulatedClock(), some())
    append(home, *bodies(recorded))
    with connect(home) as connection:
        return History(home, detect(connection), recorded.detections(), answers)


def within_outages() -> str:
    """SQL that says whether a row's `ts` lies in an outage."""
    spans = [(datetime.fromtimestamp(each.begin, UTC), datetime.fromtimestamp(each.end, UTC)) for each in both()]
    return " OR ".join(f"(ts >= '{begin:%F %T}' AND ts < '{end:%F %T}')" for begin, end in spans)


def both():
    return outages(SEED, UNTIL)


@pytest.mark.slow
def test_what_is_meant_to_be_found_is_found_and_nothing_else(history):
    found = Counter(finding.rule for finding in history.found)
    assert set(found) == THROUGHOUT | IN_OUTAGES
    # the simulated runs overlap: the store puts their waits in order of time, the counter sees one run after the other
    assert abs(found.pop("limit_raised_saturated") - history.counted.pop("limit_raised_saturated")) <= 2
    assert found == history.counted
    assert all(found[rule] < 0.02 * len(history.answers) for rule in THROUGHOUT)


@pytest.mark.slow
def test_storms_silence_and_raised_limits_are_in_the_outages_only(history):
    times = [finding.ts.timestamp() for finding in history.found if finding.rule in IN_OUTAGES]
    slack = 60.0  # of a run that began within and ended after
    assert all(any(each.begin <= at <= each.end + slack for each in both()) for at in times)
    for each in both():
        assert any(each.covers(at) for at in times)


@pytest.mark.slow
def test_every_view_that_the_platform_fills_has_rows(history):
    views = ("checkpoints", "approvals", "audit", "budgets", "routes", "limiter_waits", "cache_lookups", "degradations")
    counted = " UNION ALL ".join(f"SELECT '{view}' AS view, count(*) AS n FROM {view}" for view in views)
    assert [row["view"] for row in history.ask(counted) if not row["n"]] == []


@dataclass(slots=True)
class Meter:
    """The providers, with what they are paid at list prices."""

    providers: Providers
    paid: float = 0.0

    def send(self, model: Model, prompt: Prompt) -> Reply:
        reply = self.providers.send(model, prompt)
        usage = Usage(reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens)
        found = price(reply.provider, reply.model, usage)
        assert found is not None
        assert found.amount == pytest.approx(dollars(reply))
        self.paid += found.amount
        return reply


@dataclass(slots=True)
class Arm:
    """What the runs of one release came to."""

    runs: int = 0
    successes: int = 0
    paid: float = 0.0
    seconds: float = 0.0


def arms(seed: int) -> tuple[Arm, Arm]:
    """The stable and the canary release over the days in which both answered, all runs of them."""
    clock = SimulatedClock()
    traffic = Traffic(clock, seed)
    meter = Meter(traffic._providers)
    traffic._platform._bench.models._provider = meter
    both = Arm(), Arm()
    for arrival in arrivals("support", RUNS, seed=seed, until=UNTIL):
        clock.jump(arrival.at)
        meter.paid = 0.0
        answer = traffic.play(arrival)
        if arrival.days_left < CANARY_DAYS:
            arm = both[arrival.number % 2]
            arm.runs += 1
            arm.successes += answer.outcome == "success"
            arm.paid += meter.paid
            arm.seconds += clock.now() - arrival.at
    return both


@pytest.mark.slow
def test_the_new_release_costs_more_per_success_and_is_as_good_and_as_fast():
    stable, canary = arms(SEED)
    assert stable.runs == pytest.approx(canary.runs, abs=1)
    assert canary.runs >= 1_000
    assert (canary.paid / canary.successes) / (stable.paid / stable.successes) == pytest.approx(1.6, abs=0.05)
    assert canary.successes / canary.runs == pytest.approx(stable.successes / stable.runs, abs=0.02)
    assert canary.seconds == pytest.approx(stable.seconds, rel=0.05)


@pytest.mark.slow
def test_every_other_session_of_the_last_ten_days_is_of_the_new_release(history):
    begin = f"to_timestamp({UNTIL - CANARY_DAYS * DAY_S:.0f})::TIMESTAMP"
    rows = history.ask(
        f"SELECT release, track, ts >= {begin} AS late, count(*) AS runs, count(DISTINCT session) AS sessions"
        " FROM runs GROUP BY ALL ORDER BY late, release"
    )
    assert [(row["release"], row["track"], row["late"]) for row in rows] == [
        ("2.7", "stable", False),
        ("2.7", "stable", True),
        ("2.8", "canary", True),
    ]
    assert all(row["runs"] == row["sessions"] for row in rows)
    assert rows[1]["runs"] == pytest.approx(rows[2]["runs"], rel=0.05)


@pytest.mark.slow
def test_orders_fail_and_cost_more_during_the_outages_and_other_work_goes_on(history):
    rows = history.ask(
        f"SELECT workflow = 'order_status' AS about_orders, {within_outages()} AS is_out, count(*) AS runs,"
        " avg((outcome = 'success')::INT) AS success, avg(cost) AS cost"
        f" FROM runs WHERE ts >= to_timestamp({UNTIL - OUTAGE_DAYS * DAY_S:.0f})::TIMESTAMP GROUP BY ALL"
    )
    facts = {(row["about_orders"], row["is_out"]): row for row in rows}
    assert facts[True, True]["runs"] > 20
    assert facts[True, True]["success"] < 0.4
    assert facts[True, False]["success"] > 0.85
    assert facts[True, True]["cost"] > 1.2 * facts[True, False]["cost"]
    assert facts[False, True]["success"] > 0.75


@pytest.mark.slow
def test_outside_of_the_outages_degraded_answers_say_so(history):
    rows = history.ask(f"SELECT {within_outages()} AS is_out, disclosed, count(*) AS n FROM degradations GROUP BY ALL")
    stays = {(row["is_out"], row["disclosed"]): row["n"] for row in rows}
    assert set(stays) == {(False, True), (True, True), (True, False)}
    silent = history.ask("SELECT DISTINCT trigger, component FROM degradations WHERE NOT disclosed")
    assert silent == [{"trigger": "circuit_open", "component": "get_order"}]


@pytest.mark.slow
def test_most_runs_succeed_for_a_cent_and_some_cost_far_more(history):
    calm = history.one(
        "SELECT avg((outcome = 'success')::INT) AS success, median(cost) AS usual, quantile_cont(cost, 0.99) AS most"
        f" FROM runs WHERE NOT ({within_outages()})"
    )
    assert calm["success"] == pytest.approx(0.88, abs=0.02)
    assert 0.005 <= calm["usual"] <= 0.03
    assert calm["most"] > 5 * calm["usual"]
    outcomes = {row["outcome"] for row in history.ask("SELECT DISTINCT outcome FROM runs")}
    assert outcomes == {"success", "failed", "escalated", "refused", "degraded"}


@pytest.mark.slow
def test_nine_tenants_of_which_one_has_three_tenths(history):
    rows = history.ask("SELECT tenant, count(*) AS n FROM runs GROUP BY tenant ORDER BY n DESC")
    assert len(rows) == 9
    assert rows[0]["tenant"] == "northwind"
    assert rows[0]["n"] / len(history.answers) == pytest.approx(0.30, abs=0.03)


@pytest.mark.slow
def test_a_run_is_a_dozen_spans_and_a_few_events(history):
    calm = f"WHERE NOT ({within_outages()})"
    runs = history.one(f"SELECT count(*) AS n FROM runs {calm}")["n"]
    assert history.one(f"SELECT count(*) AS n FROM spans {calm}")["n"] / runs <= 15
    assert history.one(f"SELECT count(*) AS n FROM events {calm}")["n"] / runs <= 8


@pytest.mark.slow
def test_the_answers_and_their_times_are_the_same_again_and_without_being_recorded(history):
    assert played(SimulatedClock(), some()) == history.answers


def test_another_seed_gives_other_answers():
    def first(seed: int) -> list[tuple[Answer, float]]:
        few = [arrival for arrival in some(seed) if arrival.number < 1_300]
        return played(SimulatedClock(), iter(few), seed)

    assert first(7) == first(7)
    assert first(7) != first(11)


@pytest.mark.parametrize("hours", [0, 5, 17, 31, 48, 61, 72, 96, 113, 120, 139, 144, 159])
def test_both_outages_lie_in_office_hours_of_the_last_five_days_whatever_the_weekday(hours):
    until = UNTIL + hours * HOUR_S
    first, second = outages(SEED, until)
    assert until - OUTAGE_DAYS * DAY_S <= first.begin < first.end < second.begin < second.end <= until
    for each in (first, second):
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (each.begin, each.end))
        assert begin.weekday() < 5
        assert 9 <= begin.hour < end.hour < 17
        assert 3 <= (each.end - each.begin) / HOUR_S <= 5


def test_the_breaker_opens_at_the_fifth_failure_in_a_row_and_closes_again():
    clock = SimulatedClock()
    clock.jump(UNTIL)
    breaker = Breaker(clock)
    for _ in range(4):
        breaker.failed("get_order")
    breaker.succeeded("get_order")
    for _ in range(4):
        breaker.failed("get_order")
    breaker.admit("get_order")
    breaker.failed("get_order")
    with pytest.raises(CircuitOpenError):
        breaker.admit("get_order")
    breaker.admit("get_invoice")
    clock.sleep(1_200)
    breaker.admit("get_order")


def test_who_waits_too_long_for_a_place_raises_the_limit_and_the_next_one_lowers_it():
    clock = SimulatedClock()
    taken = [limiter.PLACES.acquire(blocking=False) for _ in range(limiter.LIMIT)]
    assert all(taken)
    with limiter.place(clock):
        assert limiter.PLACES.limit > limiter.LIMIT
        assert clock.now() == pytest.approx(3.0, abs=0.3)
    for _ in taken:
        limiter.PLACES.release()
    with limiter.place(clock):
        assert limiter.PLACES.limit == limiter.LIMIT
    assert sum(limiter.PLACES.acquire(blocking=False) for _ in range(100)) == limiter.LIMIT
    limiter.PLACES.release(limiter.LIMIT)
