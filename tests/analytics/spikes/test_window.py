from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from analytics.spikes.worlds import BEGAN, SINCE, UNTIL, WINDOW, made, quiet

from tachograph_analytics.runs.scope import Condition, Scope
from tachograph_analytics.spikes.window import Comparison, Span, compared
from tachograph_analytics.store.views import connect

WEEK = timedelta(weeks=1)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    few = (run for run in quiet() if run.number % 17 == 0)
    with connect(made(tmp_path_factory.mktemp("window") / "home", few)) as connection:
        yield connection


def test_the_same_hours_of_all_weeks_before_that_are_recorded(connection):
    window = Span(SINCE, UNTIL)
    weeks = tuple(Span(SINCE - WEEK * n, UNTIL - WEEK * n) for n in (1, 2, 3))
    assert compared(connection, WINDOW, UNTIL) == Comparison(window, weeks, "weeks", WEEK, "support")


def test_a_window_longer_than_a_week_is_compared_with_whole_periods_that_do_not_overlap(connection):
    found = compared(connection, Scope(UNTIL - 11 * DAY, UNTIL), UNTIL)
    assert (found.rule, found.step) == ("before", 11 * DAY)
    found = compared(connection, Scope(UNTIL - 8 * DAY, UNTIL), UNTIL)
    assert (found.rule, found.step, found.baseline) == (
        "weeks",
        2 * WEEK,
        (Span(UNTIL - 22 * DAY, UNTIL - 14 * DAY),),
    )


def test_without_a_week_of_history_it_is_the_time_just_before(connection):
    scope = Scope(BEGAN + 3 * DAY, BEGAN + 5 * DAY)
    found = compared(connection, scope, UNTIL)
    assert (found.rule, found.baseline, found.weight) == ("before", (Span(BEGAN + DAY, BEGAN + 3 * DAY),), 1.0)


def test_history_that_is_cut_short_is_scaled_to_the_window(connection):
    found = compared(connection, Scope(BEGAN + DAY, BEGAN + 4 * DAY), UNTIL)
    (span,) = found.baseline
    assert (span.until, span.length) == (BEGAN + DAY, pytest.approx(DAY, abs=timedelta(seconds=1)))
    assert found.weight == pytest.approx(3.0, rel=1e-4)


def test_less_than_a_quarter_of_the_window_before_it_is_not_enough_history(connection):
    found = compared(connection, Scope(BEGAN + DAY, BEGAN + 6 * DAY), UNTIL)
    assert (found.rule, found.baseline, found.weight) == ("none", (), 0.0)
    assert compared(connection, Scope(), UNTIL).rule == "none"


def test_a_window_ends_where_the_data_end(connection):
    assert compared(connection, Scope(SINCE), UNTIL).window == Span(SINCE, UNTIL)
    assert compared(connection, Scope(SINCE, UNTIL + DAY), UNTIL).window == Span(SINCE, UNTIL)
    later = compared(connection, Scope(UNTIL + DAY, UNTIL + 2 * DAY), UNTIL)
    assert later.window.length == timedelta()


@pytest.mark.parametrize("since", [datetime(900, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), BEGAN - 300 * DAY])
def test_a_window_begins_where_the_records_begin(connection, since):
    found = compared(connection, Scope(since, UNTIL, "support"), UNTIL)
    assert (found.rule, found.baseline, found.weight) == ("none", (), 0.0)
    assert found.window.since == pytest.approx(BEGAN, abs=timedelta(seconds=1))
    before = compared(connection, Scope(since, BEGAN - DAY, "support"), UNTIL)
    assert before.window == Span(BEGAN - DAY, BEGAN - DAY)


def test_conditions_do_not_shorten_the_history(connection):
    only = (Condition("tenant", "nobody"),)
    found = compared(connection, Scope(SINCE, UNTIL, "support", only), UNTIL)
    assert (found.rule, len(found.baseline), found.conditions) == ("weeks", 3, only)


def test_an_agent_without_a_run_has_no_history(connection):
    assert compared(connection, Scope(SINCE, UNTIL, "nobody"), UNTIL).rule == "none"
