from __future__ import annotations

import json
from datetime import timedelta

import pytest
from analytics.spikes.worlds import BEGAN, UNTIL, ARun, made

from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.spikes.spend import MOST_BARS, Bucket, floor, spend, width_of
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.views import connect

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    runs = [
        ARun(1, BEGAN + 7 * MINUTE, "acme", "answer", 0.11),
        ARun(2, BEGAN + 8 * MINUTE, "acme", "answer", 0.13, outcome="failed"),
        ARun(3, BEGAN + 17 * MINUTE, "acme", "answer", None),
        ARun(4, BEGAN + 18 * MINUTE, "acme", "answer", 0.17, agent="other"),
    ]
    return made(tmp_path_factory.mktemp("spend") / "home", iter(runs))


@pytest.mark.parametrize(
    ("length", "width"),
    [(HOUR, 5 * MINUTE), (DAY, 15 * MINUTE), (7 * DAY, HOUR), (35 * DAY, 6 * HOUR), (90 * DAY, DAY), (900 * DAY, DAY)],
)
def test_the_step_grows_with_the_range(length, width):
    assert width_of(length) == width
    assert width == DAY or length <= MOST_BARS * width


def test_steps_begin_at_whole_steps_of_the_day():
    at = BEGAN + timedelta(hours=13, minutes=17, seconds=19)
    assert [floor(at, width) for width in (5 * MINUTE, 6 * HOUR, DAY)] == [
        BEGAN + timedelta(hours=13, minutes=15),
        BEGAN + timedelta(hours=12),
        BEGAN,
    ]


def test_every_step_is_there_and_empty_ones_cost_nothing(home):
    with connect(home) as connection:
        found = spend(connection, Scope(agent="support"), BEGAN + 2 * MINUTE, BEGAN + 22 * MINUTE)
    assert found.width == 5 * MINUTE
    assert found.buckets == (
        Bucket(BEGAN, 0.0, 0, 0),
        Bucket(BEGAN + 5 * MINUTE, 0.24, 2, 1),
        Bucket(BEGAN + 10 * MINUTE, 0.0, 0, 0),
        Bucket(BEGAN + 15 * MINUTE, 0.0, 1, 1),
        Bucket(BEGAN + 20 * MINUTE, 0.0, 0, 0),
    )


def test_the_sql_gives_the_same_steps(home):
    with connect(home) as connection:
        found = spend(connection, Scope(), BEGAN, UNTIL)
    rows = json.loads(as_json(query(home, found.sql)))
    assert [(row["cost"], row["runs"], row["successes"]) for row in rows] == [
        (bucket.cost, bucket.runs, bucket.successes) for bucket in found.buckets
    ]
    assert sum(row["runs"] for row in rows) == 4
