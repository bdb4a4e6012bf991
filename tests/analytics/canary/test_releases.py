from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from analytics.canary.traffic import ARun, filled

from tachograph.testing import EPOCH
from tachograph_analytics.canary import Pair, Release, default_pair, releases
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.store.views import connect

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def a_release(id, first, last, *tracks, agent="support", runs=100):
    return Release(agent, id, tracks, BEGAN + timedelta(days=first), BEGAN + timedelta(days=last), runs, runs)


STABLE = a_release("2.7", 3, 30, "stable")
CANARY = a_release("2.8", 20, 30, "canary")


def test_releases_are_counted_in_runs_and_sessions_the_newest_first(tmp_path):
    runs = [
        ARun("2.7", session="a"),
        ARun("2.7", session="a"),
        ARun("2.7", user="u"),
        ARun("2.8", session="b"),
        ARun("2.7"),
        ARun("7.0", agent="other"),
    ]
    with connect(filled(tmp_path, runs)) as connection:
        found = releases(connection)
    assert [(r.agent, r.id, r.tracks, r.runs, r.sessions) for r in found] == [
        ("other", "7.0", ("stable",), 1, 1),
        ("support", "2.8", ("canary",), 1, 1),
        ("support", "2.7", ("stable",), 4, 3),
    ]
    began = datetime.fromtimestamp(EPOCH / 1e9, UTC)
    assert all(timedelta(0) < r.first - began < timedelta(minutes=10) for r in found)
    assert found[2].last - found[2].first > timedelta(minutes=2)


@pytest.mark.parametrize(
    ("known", "agent", "expected"),
    [
        ([STABLE, CANARY], None, (STABLE, CANARY)),
        ([a_release("2.6", 0, 5, "stable", runs=900), STABLE, CANARY], None, (STABLE, CANARY)),
        ([STABLE, a_release("2.6", 0, 25, "stable", runs=7), CANARY], None, (STABLE, CANARY)),
        ([a_release("2.9", 31, 33, "stable"), STABLE, CANARY], None, (STABLE, CANARY)),
        ([STABLE, a_release("2.8", 31, 33, "stable")], None, (STABLE, a_release("2.8", 31, 33, "stable"))),
        ([STABLE, a_release("1", 40, 41, "canary", agent="other")], "support", None),
        ([a_release("1", 40, 41, "canary", agent="other"), STABLE, CANARY], None, (STABLE, CANARY)),
        ([a_release("1", 40, 41, "canary", agent="other"), STABLE, CANARY], "other", None),
        ([STABLE], None, None),
        ([], None, None),
    ],
    ids=[
        "the canary beside the stable one",
        "not the one that had gone before",
        "the one with most runs beside it",
        "a canary before what came later",
        "the two newest without a canary",
        "one release of the asked agent",
        "an agent with one release is passed over",
        "unless it is asked for",
        "one release",
        "none",
    ],
)
def test_the_default_pair(known, agent, expected):
    found = default_pair(known, agent)
    assert found == (Pair(*expected) if expected else None)


def test_both_run_from_the_later_first_to_the_earlier_last_run():
    pair = Pair(STABLE, a_release("2.8", 20, 25, "canary"))
    whole = Scope(BEGAN + timedelta(days=20), BEGAN + timedelta(days=25, microseconds=1), "support")
    assert pair.overlap(Scope()) == whole
    assert pair.overlap(Scope(BEGAN + timedelta(days=22), None)) == Scope(
        BEGAN + timedelta(days=22), whole.until, "support"
    )
    assert pair.overlap(Scope(None, BEGAN + timedelta(days=23))) == Scope(
        whole.since, BEGAN + timedelta(days=23), "support"
    )
    assert pair.overlap(Scope(BEGAN + timedelta(days=26), None)) is None
    assert Pair(STABLE, a_release("2.8", 31, 33)).overlap(Scope()) is None
