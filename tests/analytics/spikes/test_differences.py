from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from analytics.spikes import worlds
from analytics.spikes.worlds import BEGAN, UNTIL, WINDOW, made

from tachograph_analytics.runs.scope import Condition, Scope
from tachograph_analytics.spikes.differences import COLUMNS, LEAST_RUNS, MODEL, differences, sql
from tachograph_analytics.spikes.releases import pair
from tachograph_analytics.spikes.totals import totals
from tachograph_analytics.spikes.window import compared
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.views import connect


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A home with the world of a name; each is made once."""
    homes = {}

    def named(name):
        if name not in homes:
            homes[name] = made(tmp_path_factory.mktemp(name) / "home", getattr(worlds, name)())
        return homes[name]

    return named


def found(home, scope=WINDOW):
    with connect(home) as connection:
        return differences(connection, compared(connection, scope, UNTIL))


def by_value(rows):
    return {(row.attribute, row.value): row for row in rows}


def clear(rows):
    return [row.words for row in rows if row.stands_out]


def test_the_dear_canary_is_on_top_and_its_predecessor_is_not_there(world):
    rows = found(world("canary"))
    assert clear(rows) == ["release 2.8", "track canary"]
    top = rows[0]
    assert (top.runs, top.usual_runs, top.usual_cost, top.usual_share) == (101, 0.0, 0.0, 0.0)
    assert top.cost_per_run / found(world("quiet"))[0].usual_cost_per_run == pytest.approx(1.6, rel=0.2)
    assert ("release", "2.7") not in by_value(rows)


def test_the_canary_explains_the_whole_change(world):
    with connect(world("canary")) as connection:
        comparison = compared(connection, WINDOW, UNTIL)
        changed = totals(connection, comparison).more
        assert differences(connection, comparison)[0].excess == pytest.approx(changed, rel=0.15)


def test_a_canary_at_the_old_cost_takes_runs_and_explains_nothing(world):
    rows = found(world("harmless_canary"))
    assert clear(rows) == []
    row = by_value(rows)["release", "2.7"]
    assert row.difference < -0.4 * row.usual_cost
    assert abs(row.excess) < 0.05 * row.usual_cost


def test_where_nothing_changed_nothing_stands_out(world):
    assert clear(found(world("quiet"))) == []


def test_growth_that_comes_from_everywhere_is_no_attributes_doing(world):
    rows = found(world("growth"))
    assert clear(rows) == []
    acme = by_value(rows)["tenant", "acme"]
    assert acme.difference > 0.5 * acme.usual_cost


def test_one_tenants_traffic_is_on_top_though_its_runs_cost_as_before(world):
    rows = found(world("one_tenant"))
    assert clear(rows) == ["tenant initech"]
    top = rows[0]
    assert top.runs / top.usual_runs > 5
    assert top.cost_per_run == pytest.approx(top.usual_cost_per_run, rel=0.2)


def test_the_tool_that_fails_is_named_before_the_retries_that_it_causes(world):
    rows = found(world("outage"))
    assert clear(rows)[:2] == ["first failed tool lookup", "retries with retries"]


def test_a_filter_leaves_only_its_runs(world):
    rows = found(world("canary"), replace(WINDOW, conditions=(Condition("release", "2.8", negated=True),)))
    assert clear(rows) == []
    assert {row.attribute for row in rows} == {"tenant", "workflow", "outcome", "stop_reason"}
    assert {row.runs for row in rows if row.attribute == "outcome"} != set()
    assert sum(row.runs for row in rows if row.attribute == "tenant") == 101


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        (Condition("failed_tool", "lookup"), 67),
        (Condition("failed_tool", None), 135),
        (Condition("retries", "with retries"), 67),
        (Condition("tier", None), 0),
        (Condition("degraded", None), 202),
        (Condition("cached", "nothing cached"), 202),
        (Condition("agent", "support", negated=True), 0),
    ],
)
def test_what_can_be_ranked_can_be_filtered_by(world, condition, runs):
    with connect(world("outage")) as connection:
        comparison = compared(connection, replace(WINDOW, conditions=(condition,)), UNTIL)
        assert totals(connection, comparison).runs == runs


def test_a_models_calls_count_by_their_own_cost(tmp_path):
    def dearer():
        for run in worlds.quiet():
            fallback = run.at >= worlds.SINCE and run.number % 2
            yield replace(run, model="large-model", cost=5 * run.cost) if fallback else run

    rows = found(made(tmp_path / "home", dearer()))
    assert clear(rows) == ["model large-model"]
    assert (rows[0].about, rows[0].runs, rows[0].cost_per_success) == (MODEL, 101, None)


def test_a_release_is_compared_with_runs_of_its_own_agent(tmp_path):
    """An agent whose every run is dear would else make a cheap agent's dear release look cheap."""

    def two_agents():
        for run in worlds.canary():
            yield run
            dear = replace(run, number=run.number + 50_000, agent="invoice", release="1.3", track="stable")
            yield replace(dear, cost=0.04)

    rows = found(made(tmp_path / "home", two_agents()), replace(WINDOW, agent=None))
    assert rows[0].words == "release 2.8"
    assert rows[0].stands_out


def test_values_with_few_runs_are_left_out(world):
    assert all(max(row.runs, 3 * row.usual_runs) >= LEAST_RUNS for row in found(world("quiet")))


def test_without_history_there_are_no_differences(world):
    assert found(world("quiet"), Scope(BEGAN, BEGAN + timedelta(days=2))) == ()


@pytest.mark.parametrize("name", ["canary", "outage"])
def test_the_query_on_the_command_line_gives_the_same_rows(world, name):
    with connect(world(name)) as connection:
        comparison = compared(connection, WINDOW, UNTIL)
        rows = differences(connection, comparison)
    asked = json.loads(as_json(query(world(name), sql(comparison))))
    assert asked == [{column: getattr(row, column) for column in COLUMNS} for row in rows]


def test_two_releases_of_the_same_window(world):
    with connect(world("canary")) as connection:
        found_pair = pair(connection, WINDOW)
    assert (found_pair.newer.name, found_pair.older.name) == ("2.8", "2.7")
    assert (found_pair.newer.runs, found_pair.older.runs) == (101, 101)
    assert 0.4 < found_pair.ratio < 0.9
    assert found_pair.extra > 0


@pytest.mark.parametrize("name", ["harmless_canary", "quiet"])
def test_releases_that_cost_the_same_are_not_spoken_of(world, name):
    with connect(world(name)) as connection:
        assert pair(connection, WINDOW) is None


def test_releases_with_few_successes_are_not_spoken_of(world):
    with connect(world("canary")) as connection:
        assert pair(connection, replace(WINDOW, until=worlds.SINCE + timedelta(hours=7))) is None
