from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import timedelta
from statistics import fmean

import pytest
from analytics.spikes.worlds import BEGAN, ARun, made

from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.spikes.releases import LEAST_UNITS, Release, pair, sql
from tachograph_analytics.store.views import connect

SESSIONS, LENGTH = 31, 11
COSTS = (0.011, 0.013, 0.017)


def talkative(dear=1.3):
    """Two releases in sessions of eleven runs that cost the same; what a session costs is chance."""
    source = random.Random(13)
    costs = [0.013 * math.exp(source.gauss(0, 0.9)) * (dear if number % 2 else 1) for number in range(2 * SESSIONS)]
    return [
        ARun(
            number * LENGTH + turn,
            BEGAN + timedelta(minutes=17 * (number * LENGTH + turn)),
            "acme",
            "answer",
            round(cost, 6),
            "failed" if turn == 7 and number % 3 == 0 else "success",
            "2.8" if number % 2 else "2.7",
            session=f"session {number}",
        )
        for number, cost in enumerate(costs)
        for turn in range(LENGTH)
    ]


def releases(home):
    with connect(home) as connection:
        return [Release(*row) for row in connection.execute(sql(Scope())).fetchall()]


def standard_error(runs, unit):
    """Of cost per success, from the residuals of each unit, written down anew."""
    groups = {}
    for run in runs:
        groups.setdefault(unit(run), []).append(run)
    pairs = [(sum(r.cost for r in group), sum(r.outcome == "success" for r in group)) for group in groups.values()]
    ratio = sum(x for x, _ in pairs) / sum(k for _, k in pairs)
    return math.sqrt(sum((x - ratio * k) ** 2 for x, k in pairs)) / sum(k for _, k in pairs)


def test_the_standard_error_is_over_sessions_and_not_over_their_runs(tmp_path):
    runs = talkative()
    newer, older = releases(made(tmp_path / "home", iter(runs)))
    assert (newer.name, newer.runs, newer.units, older.units) == ("2.8", SESSIONS * LENGTH, SESSIONS, SESSIONS)
    for found in (newer, older):
        own = [run for run in runs if run.release == found.name]
        assert found.error == pytest.approx(standard_error(own, lambda run: run.session), abs=1e-6)
        assert found.error > 3 * standard_error(own, lambda run: run.number)


def test_dear_sessions_by_chance_are_no_dearer_release(tmp_path):
    """Eleven runs of a session are one piece of news: as eleven they would be beyond three standard errors."""
    runs = talkative()
    home = made(tmp_path / "home", iter(runs))
    newer, older = releases(home)
    by_run = [standard_error([r for r in runs if r.release == one.name], lambda r: r.number) for one in (newer, older)]
    assert abs(newer.cost_per_success - older.cost_per_success) > 3 * math.hypot(*by_run)
    assert abs(newer.cost_per_success / older.cost_per_success - 1) > 0.1
    with connect(home) as connection:
        assert pair(connection, Scope()) is None


def test_a_release_that_is_dearer_in_every_session_is_spoken_of(tmp_path):
    with connect(made(tmp_path / "home", iter(talkative(dear=5)))) as connection:
        assert pair(connection, Scope()).ratio > 1


@pytest.mark.parametrize("unit", [{"session": "one"}, {"user": "one"}])
def test_one_session_or_user_with_many_runs_says_nothing_about_a_release(tmp_path, unit):
    runs = [
        replace(
            ARun(n, BEGAN + timedelta(hours=n), "acme", "answer", COSTS[n % 3] * (2 if n % 2 else 1)),
            release="2.8" if n % 2 else "2.7",
            **(unit if n % 2 else {}),
        )
        for n in range(4 * LEAST_UNITS)
    ]
    with connect(made(tmp_path / "home", iter(runs))) as connection:
        assert pair(connection, Scope()) is None


def test_runs_without_session_and_user_count_each(tmp_path):
    runs = [
        ARun(
            n,
            BEGAN + timedelta(hours=n),
            "acme",
            "answer",
            COSTS[n % 3] * (2 if n % 2 else 1),
            release="2.8" if n % 2 else "2.7",
        )
        for n in range(4 * LEAST_UNITS)
    ]
    with connect(made(tmp_path / "home", iter(runs))) as connection:
        found = pair(connection, Scope())
    assert (found.newer.units, found.older.units) == (2 * LEAST_UNITS, 2 * LEAST_UNITS)
    assert found.newer.cost_per_success == pytest.approx(2 * fmean(COSTS), rel=1e-4)
