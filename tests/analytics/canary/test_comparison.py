from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from math import exp, log, sqrt
from statistics import fmean, quantiles, variance

import pytest
from analytics.canary.traffic import ARun, alternating, filled, judged, together

from tachograph_analytics.canary import Pair, compare, default_pair, releases
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.views import connect

Z = 1.959964
N = 331


def costly():
    """+60 % of cost, the rest much the same; odd numbers of everything. Two sessions see both releases."""
    source = random.Random(7)

    def one(release, factor, n):
        return ARun(
            release,
            outcome=None if n == 17 and factor > 1 else "failed" if n % 11 == 3 else "success",
            cost=0.013 * factor * source.lognormvariate(0, 0.3) * (500 if n == 29 and factor > 1 else 1),
            seconds=source.lognormvariate(1, 0.4) * (1.5 if factor > 1 and n % 9 == 0 else 1),
            denied=n % (13 if factor > 1 else 29) == 0,
            redacted=3 if n % 7 == 0 else 0,
            approval=None if n % 3 else "rejected" if n % 15 == 0 else "approved",
            degraded=n % 31 == 1,
            budget_hit=n % (17 if factor > 1 else 37) == 2,
        )

    arms = alternating([one("2.7", 1.0, n) for n in range(N)], [one("2.8", 1.6, n) for n in range(N)], agent="costly")
    crossing = [ARun(r, session=f"cross {n}", cost=91.0, agent="costly") for n in range(2) for r in ("2.7", "2.8")]
    return arms[:60] + crossing + arms[60:]


def sessions_of_five():
    """The same success in each of the five runs of a session: 40 sessions are 40 pieces of news, not 200."""
    runs = []
    for n in range(40):
        for release in ("2.7", "2.8"):
            outcome = "failed" if n % 8 == 5 else "success"
            runs += [ARun(release, f"{release} {n}", outcome, agent="talkative") for _ in range(5)]
    return runs


def dropping():
    fails = {"2.7": 5, "2.8": 10}
    return [
        ARun(release, f"{release} {n}", "failed" if n % 100 < fails[release] else "success", agent="dropping")
        for n in range(101)
        for release in ("2.7", "2.8")
    ]


def others():
    """Agents that something is missing of."""
    bare = [ARun(release, guarded=False, cost=None) for release in ("2.7", "2.8")]
    broken = [ARun("2.7"), ARun("2.8", outcome="failed")]
    small = [ARun("2.7"), ARun("2.8", cost=0.05)]
    return [
        *alternating(*([one] * 33 for one in bare), agent="bare"),
        *alternating(*([one] * 33 for one in broken), agent="broken"),
        *alternating(*([one] * 13 for one in small), agent="small"),
        *(ARun("1.0", agent="in turn") for _ in range(3)),
        *(ARun("1.1", agent="in turn") for _ in range(3)),
    ]


def golden():
    for night in (1, 2):
        # The second night counts: what was judged last.
        flipped = {f"case-{n}": night == 1 for n in range(5)}
        judged(
            "costly",
            "2.7",
            [(f"case-{n}", "fail" if n % 13 == 1 else "pass") for n in range(41)],
            night=night,
        )
        cases = [(f"case-{n}", "fail" if n % 6 == 1 or flipped.get(f"case-{n}") else "pass") for n in range(3, 41)]
        judged("costly", "2.8", cases, night=night)
    judged("dropping", "2.7", [("case-1", "pass")])
    judged("broken", "2.7", [("case-1", "pass")])
    judged("broken", "2.8", [("case-1", None)], error="Timeout")


RUNS = [*costly(), *sessions_of_five(), *dropping(), *others()]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("canary"), RUNS, then=golden)


@pytest.fixture(scope="module")
def of_agent(home):
    with connect(home) as connection:
        known = releases(connection)

        def compared(agent):
            return compare(connection, default_pair(known, agent), Scope())

        yield compared


def gates(comparison):
    return {gate.criterion.name: gate for gate in comparison.gates}


def arms_of(agent):
    """The runs that count: from the time in which both ran, without sessions that saw both."""
    of_agent = [one for one in RUNS if one.agent == agent]
    return [[one for one in arm if not (one.session or "").startswith("cross")] for arm in together(of_agent)]


def newcombe(before, after):
    """Method 10, written down anew: (hits, n) of baseline and candidate."""

    def bounds(hits, n):
        a, b = 2 * hits + Z * Z, Z * sqrt(Z * Z + 4 * hits * (1 - hits / n))
        return (a - b) / (2 * (n + Z * Z)), (a + b) / (2 * (n + Z * Z))

    (p, (p_low, p_high)), (q, (q_low, q_high)) = ((hits / n, bounds(hits, n)) for hits, n in (before, after))
    down, up = sqrt((q - q_low) ** 2 + (p_high - p) ** 2), sqrt((q_high - q) ** 2 + (p - p_low) ** 2)
    return q - p - down, q - p + up


# -- numbers


@pytest.mark.parametrize(
    ("name", "hit", "among"),
    [
        ("success", lambda one: one.outcome == "success", lambda one: one.outcome is not None),
        ("blocked", lambda one: one.denied, lambda _: True),
        ("redactions", lambda one: one.redacted > 0 and not one.denied, lambda _: True),
        ("approval", lambda one: one.approval == "rejected", lambda one: one.approval is not None),
        ("degraded", lambda one: one.degraded, lambda _: True),
        ("budget", lambda one: one.budget_hit, lambda _: True),
    ],
)
def test_shares_of_sessions(of_agent, name, hit, among):
    gate = gates(of_agent("costly"))[name]
    counts = [(sum(map(hit, asked)), len(asked)) for asked in ([*filter(among, arm)] for arm in arms_of("costly"))]
    (b_hits, b_n), (c_hits, c_n) = counts
    assert b_hits
    assert gate.state == "numbers"
    assert gate.samples == (b_n, c_n)
    assert (gate.baseline.value, gate.candidate.value) == (round(b_hits / b_n, 4), round(c_hits / c_n, 4))
    assert gate.difference == pytest.approx(c_hits / c_n - b_hits / b_n)
    assert gate.interval == pytest.approx(newcombe(*counts))


def test_cost_per_success_counts_each_run_up_to_the_cap(of_agent):
    gate = gates(of_agent("costly"))["cost_per_success"]
    arms = [[one for one in arm if one.outcome is not None] for arm in arms_of("costly")]
    cap = 20 * fmean(one.cost for one in arms[0])
    pairs = [[(min(one.cost, cap), one.outcome == "success") for one in arm] for arm in arms]
    ratios = [sum(x for x, _ in arm) / sum(y for _, y in arm) for arm in pairs]
    assert (gate.baseline.value, gate.candidate.value) == pytest.approx(ratios, abs=1e-8)
    assert gate.difference == pytest.approx(ratios[1] / ratios[0] - 1)

    def variance_of_log(arm, ratio):
        # The linear form of the delta method: residuals of the ratio, relative to the mean cost.
        mean = fmean(x for x, _ in arm)
        return variance((x - ratio * y) / mean for x, y in arm) / len(arm)

    half = Z * sqrt(sum(map(variance_of_log, pairs, ratios)))
    change = log(ratios[1] / ratios[0])
    assert gate.interval == pytest.approx((exp(change - half) - 1, exp(change + half) - 1))
    assert gate.tendency == "worse"
    over = sum(one.cost > cap for arm in arms for one in arm)
    assert over == 1
    cut = sum(max(one.cost - cap, 0) for arm in arms for one in arm) / sum(one.cost for arm in arms for one in arm)
    assert gate.note == (
        f"Each run counts with at most ${cap:,.4g}, 20 times the baseline's mean; "
        f"that cut 1 of {sum(map(len, arms))} runs and {100 * cut:.1f} % of the cost."
    )


def test_the_95th_percentile_and_what_lies_beyond_it(of_agent):
    found = gates(of_agent("costly"))
    gate, beyond = found["latency_p95"], found["latency"]
    # A call takes what it takes and the clock's steps beside: the recorded durations stand in the store.
    b, c = gate.baseline.value, gate.candidate.value
    before, after = ([one.seconds for one in arm] for arm in arms_of("costly"))
    assert b / 1000 == pytest.approx(quantiles(before, n=20, method="inclusive")[-1], abs=0.3)
    assert c / 1000 == pytest.approx(quantiles(after, n=20, method="inclusive")[-1], abs=0.3)
    assert gate.difference == pytest.approx(c / b - 1)
    low, high = gate.interval
    assert low < gate.difference < high
    assert gate.samples == beyond.samples == (len(before), len(after))
    hits = [
        round(share * n)
        for share, n in zip((beyond.baseline.value, beyond.candidate.value), beyond.samples, strict=True)
    ]
    assert hits[0] == pytest.approx(0.05 * len(before), abs=1)
    assert beyond.interval == pytest.approx(newcombe((hits[0], len(before)), (hits[1], len(after))))


def test_golden_cases_are_paired_by_what_was_judged_last(of_agent):
    gate = gates(of_agent("costly"))["golden"]
    before = {n: n % 13 != 1 for n in range(3, 41)}
    after = {n: n % 6 != 1 for n in range(3, 41)}
    assert gate.samples == (38, 38)
    assert (gate.baseline.value, gate.candidate.value) == (
        round(sum(before.values()) / 38, 4),
        round(sum(after.values()) / 38, 4),
    )
    lost = sum(before[n] and not after[n] for n in before)
    won = sum(after[n] and not before[n] for n in before)
    assert (lost, won) == (6, 3)
    assert gate.note == "Of 38 cases 6 passed with 2.7 alone and 3 with 2.8 alone."
    assert gate.difference == pytest.approx((won - lost) / 38)


def test_a_drop_of_five_points_in_a_hundred_sessions_is_seen_and_not_proven(of_agent):
    gate = gates(of_agent("dropping"))["success"]
    fails = [sum(one.outcome == "failed" for one in arm) for arm in arms_of("dropping")]
    assert fails == [5, 10]
    assert gate.samples == (100, 100)
    assert gate.difference == pytest.approx((fails[0] - fails[1]) / 100)
    assert gate.interval == pytest.approx(newcombe((100 - fails[0], 100), (100 - fails[1], 100)))
    assert gate.tendency == "unclear"


def test_the_session_is_what_counts(of_agent):
    gate = gates(of_agent("talkative"))["success"]
    assert gate.samples == (39, 39)
    assert (gate.baseline.value, gate.candidate.value) == (round(34 / 39, 4), round(34 / 39, 4))
    assert gate.interval == pytest.approx(newcombe((34, 39), (34, 39)))


def test_equal_arms_have_an_interval_around_nothing(of_agent):
    for gate in of_agent("talkative").gates:
        if gate.interval is not None:
            assert gate.difference == 0
            assert gate.interval[0] < 0 < gate.interval[1]
            assert gate.tendency == "unclear"


def test_sessions_that_saw_both_releases_are_left_out_and_counted(of_agent):
    comparison = of_agent("costly")
    before, after = arms_of("costly")
    assert comparison.both == 2
    assert (comparison.baseline.sessions, comparison.candidate.sessions) == (len(before), len(after)) == (N - 1, N - 1)


def test_runs_that_wait_are_neither_success_nor_failure(of_agent):
    comparison = of_agent("costly")
    assert (comparison.baseline.unended, comparison.candidate.unended) == (0, 1)
    assert gates(comparison)["success"].note == (
        "1 of 330 runs of 2.8 have not ended in this data and are neither success nor failure."
    )


def test_every_value_is_what_its_sql_gives(home, of_agent):
    comparison = of_agent("costly")
    for gate in comparison.gates:
        for figure in (gate.baseline, gate.candidate):
            (row,) = json.loads(as_json(query(home, figure.sql)))
            assert list(row.values()) == [figure.value], figure.label
    assert json.loads(as_json(query(home, comparison.sql()))) == [
        {"gate": gate.criterion.label, "baseline": gate.baseline.value, "candidate": gate.candidate.value}
        for gate in (*comparison.in_order(), *comparison.silent())
    ]


def test_the_worst_critical_gate_comes_first(of_agent):
    told = of_agent("costly").in_order()
    assert told[0].criterion.name == "cost_per_success"
    groups = [gate.criterion.group for gate in told]
    assert len({(a, b) for a, b in pairwise(groups) if a != b}) == len(set(groups)) - 1


# -- what says nothing


def test_what_is_not_instrumented_is_no_data_and_names_the_hook(of_agent):
    found = gates(of_agent("bare"))
    silent = {
        name: (gate.state, gate.missing, gate.interval) for name, gate in found.items() if gate.state != "too few"
    }
    assert silent == {
        "success": ("numbers", None, found["success"].interval),
        "golden": ("no data", "evaluation", None),
        "degraded": ("no data", "degraded", None),
        "cost_per_success": ("no data", None, None),
        "budget": ("no data", "budget", None),
        "blocked": ("no data", "checkpoint", None),
        "redactions": ("no data", "checkpoint", None),
        "approval": ("no data", "approval", None),
    }
    assert found["blocked"].reason == "Not instrumented: 2.7 and 2.8 never showed the hook checkpoint."
    assert found["cost_per_success"].reason == (
        "There are no sessions with a price for each run of 2.7 and 2.8 in the time in which both ran."
    )


def test_without_a_success_there_is_no_cost_per_success(of_agent):
    found = gates(of_agent("broken"))
    assert found["cost_per_success"].state == "no data"
    assert found["cost_per_success"].reason == "No run of 2.8 succeeded, so there is no cost per success."
    assert (found["success"].candidate.value, found["success"].tendency) == (0.0, "worse")


def test_evaluations_that_only_failed_are_no_data(of_agent):
    assert gates(of_agent("broken"))["golden"].reason == "All evaluations of a release ended in an error."
    assert gates(of_agent("dropping"))["golden"].reason == "There is no evaluation of 2.8 in this range."


def test_too_few_sessions_have_numbers_and_no_interval(of_agent):
    found = gates(of_agent("small"))
    assert found["success"].state == "too few"
    assert found["success"].samples == (12, 12)
    assert found["success"].interval is None
    assert found["success"].tendency is None
    assert (
        found["success"].reason == "An interval needs 30 sessions of each release; there are 12 of 2.7 and 12 of 2.8."
    )
    assert found["cost_per_success"].difference == pytest.approx(0.05 / 0.013 - 1)
    assert found["cost_per_success"].state == "too few"


def test_a_ratio_of_costs_needs_more_sessions_than_other_means(of_agent):
    found = gates(of_agent("dropping"))
    assert (found["latency_p95"].state, found["latency"].state) == ("numbers", "numbers")
    gate = found["cost_per_success"]
    assert (gate.state, gate.interval, gate.tendency) == ("too few", None, None)
    assert gate.reason == "An interval needs 300 sessions of each release; there are 100 of 2.7 and 100 of 2.8."


def test_what_came_after_is_not_compared_with_what_was_before(home):
    with connect(home) as connection:
        known = [release for release in releases(connection) if release.agent == "in turn"]
        assert compare(connection, Pair(known[1], known[0]), Scope()) is None


def test_an_arm_without_sessions_in_the_time_is_no_data(home, of_agent):
    comparison = of_agent("costly")
    with connect(home) as connection:
        # A moment in which nobody began: both releases ran before and after it.
        at = comparison.scope.since
        (next_at,) = connection.execute(
            "SELECT min(ts) FROM runs WHERE agent = 'costly' AND release = '2.7' AND ts > ?", [at.replace(tzinfo=None)]
        ).fetchone()
        empty = compare(connection, comparison.pair, Scope(None, next_at.replace(tzinfo=at.tzinfo)))
    assert (empty.baseline.sessions, empty.candidate.sessions) == (0, 1)
    assert {gate.state for gate in empty.gates if gate.criterion.name != "golden"} == {"no data"}
    assert gates(empty)["success"].reason == (
        "There are no sessions with a run that ended of 2.7 in the time in which both ran."
    )


def test_a_ramp_is_told(of_agent):
    comparison = of_agent("costly")
    assert comparison.baseline.early == pytest.approx(N / 2, abs=3)
    assert comparison.candidate.early == pytest.approx(N / 2, abs=3)
    assert comparison.ramp is None
    # 13 of 113 sessions at first, then 117 of 147
    ramped = replace(
        comparison,
        baseline=replace(comparison.baseline, sessions=130, early=100),
        candidate=replace(comparison.candidate, sessions=130, early=13),
    )
    assert ramped.ramp == pytest.approx((13 / 113, 117 / 147))


def test_a_release_cannot_leave_its_quotes(home):
    with connect(home) as connection:
        (stable,) = [r for r in releases(connection) if (r.agent, r.id) == ("costly", "2.7")]
        strange = type(stable)(stable.agent, "2.8' OR 'a'='a", (), stable.first, stable.last, 1, 1)
        comparison = compare(connection, Pair(stable, strange), Scope())
    assert comparison.candidate.sessions == 0
    assert all(gate.state == "no data" for gate in comparison.gates)
