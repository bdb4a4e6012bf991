from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta

import pytest
from analytics.app.opening import opener, text
from analytics.app.recorded import append
from analytics.spikes.test_alarm import webhook
from analytics.spikes.worlds import BEGAN, SINCE, UNTIL, ARun, canary, growth, made, quiet

from tachograph_analytics.app import links
from tachograph_analytics.app.charts.spend import brushed
from tachograph_analytics.runs.scope import Condition, Scope
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.query import as_json, query

WINDOW = links.start(Scope(SINCE, UNTIL, "support"))
ALERT = "TachographCostSpike"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The canary, and the alert that it set off."""
    home = made(tmp_path_factory.mktemp("spike") / "home", canary())
    append(home, webhook("firing", "support", "2026-01-28T00:30:00Z"))
    return home


@pytest.fixture
def open_page(monkeypatch):
    return opener(monkeypatch, links.SPIKE_PAGE)


def rows(table):
    return [
        {name.replace("\\", ""): value.replace("\\", "") for name, value in row.items()}
        for row in table.value.to_dict("records")
    ]


def labels(app):
    return [button.label.replace("\\", "") for button in app.button]


def test_the_sentence_names_the_release_and_what_it_costs(home, open_page):
    said = text(open_page(home, **WINDOW))
    assert "support spent $3.71 from 2026-01-28 00:00 UTC to 2026-01-29 23:46 UTC, $0.87 more (+31 %)" in said
    assert "than in the same hours of the 3 weeks before ($2.83 on average)." in said
    assert "It had 202 runs, about as usual, and a run cost 31 % more than usual." in said
    assert "Release 2.8 explains most: $0.90 beyond its share of the change." in said
    assert "Release 2.8 costs 77 % more per success than 2.7 in the same window" in said


def test_the_differences_are_a_table_with_the_release_on_top(home, open_page):
    app = open_page(home, **WINDOW)
    (table,) = [table for table in app.table if "Attribute" in table.value.columns]
    top = rows(table)[0]
    assert (top["Attribute"], top["Beyond its share"], top["Usual cost"]) == ("▲ release 2.8", "+$0.90", "$0.00")
    assert top["Runs (usual)"] == "101 (0)"
    assert top["Cost of a run (usual)"] == "$0.0229 (none)"
    assert sum("▲" in row["Attribute"] for row in rows(table)) == 2


def test_the_bars_have_a_table_that_says_the_same(home, open_page):
    (bars,) = [table for table in open_page(home, **WINDOW).table if "Part of" in table.value.columns]
    parts = [row["Part of"] for row in rows(bars)]
    assert (parts.count("window"), parts.count("baseline"), len(parts)) == (8, 24, 92)
    assert rows(bars)[0].keys() == {"From (UTC), 6 hours each", "Cost", "Runs", "Successes", "Part of"}


def test_every_figures_sql_can_be_asked(home, open_page):
    app = open_page(home, **WINDOW)
    asked = [code.value for code in app.code if code.language == "sql"]
    assert len(asked) == 7
    assert all(json.loads(as_json(query(home, sql))) for sql in asked)
    commands = [shlex.split(code.value) for code in app.code if code.language == "bash"]
    assert commands == [["tachograph", "query", "--home", str(home.path), "--json", sql] for sql in asked]


def test_a_click_filters_a_second_turns_it_round_a_third_takes_it_away(home, open_page):
    app = open_page(home, **WINDOW)
    app.button(key="offer Only release 2.8").click().run()
    assert app.query_params["only"] == "release:2.8"
    assert "support (only release 2.8) spent $2.31" in text(app)
    assert "no run meets the filters in the same hours of the 3 weeks before" in text(app)
    app.button(key="filter Only release 2.8").click().run()
    assert app.query_params["not"] == "release:2.8"
    assert "only" not in app.query_params
    assert "support (not release 2.8) spent $1.39" in text(app)
    app.button(key="Not release 2.8 ✕ Remove").click().run()
    assert "not" not in app.query_params
    assert "support spent $3.71" in text(app)


def test_the_address_is_the_whole_view(home, open_page):
    scope = Scope(SINCE, UNTIL, "support", (Condition("tenant", "acme"), Condition("release", "2.8", negated=True)))
    app = open_page(home, **links.spike(scope))
    assert [label for label in labels(app) if label != "✕ Remove"][:2] == ["Only tenant acme", "Not release 2.8"]
    assert app.selectbox(key="agent").value == "support"
    assert (app.text_input(key="from").value, app.text_input(key="to").value) == (
        "2026-01-28 00:00",
        "2026-01-29 23:46",
    )


def test_an_alerts_link_without_a_time_shows_its_last_firing(home, open_page):
    app = open_page(home, alert=ALERT)
    said = text(app)
    assert f"▲ The alert {ALERT} of support fired at 2026-01-28 00:30 UTC and goes on." in said
    assert "support spent $3.71 from 2026-01-28 00:00 UTC to 2026-01-29 23:46 UTC" in said


def test_a_time_in_the_alerts_link_counts(home, open_page):
    app = open_page(home, alert=ALERT, **links.start(Scope(SINCE - timedelta(days=2), SINCE, "support")))
    assert "from 2026-01-26 00:00 UTC to 2026-01-28 00:00 UTC" in text(app)


def test_an_alert_that_never_fired_is_said(home, open_page):
    assert "The alert AgentRunsFailing that led here never fired" in text(open_page(home, alert="AgentRunsFailing"))


def test_the_costliest_runs_are_links_that_take_the_incident_along(home, open_page):
    app = open_page(home, incident="inc-13", **WINDOW)
    ways = [link.proto for link in app.get("page_link") if link.proto.page == "run"]
    assert len(ways) == 10
    assert all(way.query_string == f"run={way.label[9:-1]}&incident=inc-13".replace("\\", "") for way in ways)


def test_an_address_that_asks_for_no_attribute_is_complained_of(home, open_page):
    said = text(open_page(home, only="cost>0 OR 1=1:x", **WINDOW))
    assert "which is no filter: release:2.8 would be one" in said
    assert "support spent $3.71" in said


def test_typed_moments_go_to_the_address(home, open_page):
    app = open_page(home, range="all")
    app.text_input(key="from").input("2026-01-28 12:00").run()
    assert app.query_params["from"] == "2026-01-28 12:00"
    assert "range" not in app.query_params
    assert " from 2026-01-28 12:00 UTC to 2026-01-29 23:46 UTC, " in text(app)


def test_all_data_have_nothing_before_them(home, open_page):
    assert "There is not enough history to compare with: the records of support begin" in text(
        open_page(home, range="all", agent="support")
    )


def test_a_window_from_before_all_records_begins_with_them(home, open_page):
    said = text(open_page(home, **{"from": "0900-01-01", "agent": "support"}))
    assert "support spent $36.44 from 2026-01-05 00:00 UTC to 2026-01-29 23:46 UTC, in 2,525 runs." in said
    assert "the records of support begin with this window, or too shortly before it." in said


def test_an_empty_range_offers_the_nearest_day_with_runs(home, open_page):
    later = Scope(UNTIL + timedelta(days=2), UNTIL + timedelta(days=3), "support")
    app = open_page(home, **links.start(later))
    assert "No runs of support in this range" in text(app)
    app.button[0].click().run()
    assert "support spent" in text(app)


def test_filters_that_no_run_meets_are_said_and_stay_removable(home, open_page):
    app = open_page(home, only="tenant:nobody", **WINDOW)
    assert "No run of support in this range meets all filters" in text(app)
    assert labels(app) == ["Only tenant nobody", "✕ Remove"]


@pytest.mark.parametrize(("world", "said"), [(quiet, ""), (growth, " The additional runs came from everywhere alike.")])
def test_where_no_attribute_differs_the_page_says_so(tmp_path, open_page, world, said):
    app = open_page(made(tmp_path / "home", world()), **WINDOW)
    assert f"No attribute stands out against the baseline by more than chance.{said}**" in text(app)


@pytest.mark.parametrize(
    ("hours", "usual", "said"),
    [
        (6, 30, "6 runs are too few to say why."),
        (6, 7, "6 runs are too few to say why."),
        (19, 30, "19 runs are too few to say why."),
        (20, 30, "No attribute stands out against the baseline by more than chance."),
    ],
)
def test_few_runs_are_said_to_be_few(tmp_path, open_page, hours, usual, said):
    """A run an hour in the window, and in the time before it; every fourth is of another tenant."""
    began = BEGAN + timedelta(hours=usual)
    runs = [
        ARun(n, BEGAN + timedelta(hours=n), "acme" if n % 4 else "globex", "answer", 0.11) for n in range(usual + hours)
    ]
    shown = text(open_page(made(tmp_path / "home", iter(runs)), **links.start(Scope(began, None, "support"))))
    assert said in shown
    assert "cost nothing" not in shown
    assert shown.count("chance") == (hours == 20)


def test_runs_without_a_price_are_said(tmp_path, open_page):
    runs = [ARun(n, BEGAN + timedelta(hours=n), None, "answer", 0.11 if n % 3 else None) for n in range(13)]
    said = text(open_page(made(tmp_path / "home", iter(runs)), range="all"))
    assert "Cost: as the provider says; without 5 calls that have no price." in said
    assert "5 runs of the window have no price and are not in its cost." in said


def test_without_data_the_page_says_which_commands_make_some(tmp_path, open_page):
    assert "There are no runs yet" in text(open_page(Home(tmp_path / "nothing")))


@pytest.mark.parametrize(
    ("first", "last", "hours"),
    [("12:20", "12:40", (12, 13)), ("12:20", "15:01", (12, 16)), ("12:00", "13:00", (12, 13))],
)
def test_a_brush_is_widened_to_whole_steps(first, last, hours):
    def ms(clock):
        return datetime.fromisoformat(f"2026-01-28T{clock}Z").timestamp() * 1000

    day = datetime(2026, 1, 28, tzinfo=UTC)
    chosen = brushed({"brush": {"start": [ms(first), ms(last)]}}, timedelta(hours=1))
    assert chosen == tuple(day + timedelta(hours=hour) for hour in hours)


def test_no_brush_chooses_nothing():
    assert brushed({"brush": {}}, timedelta(hours=1)) is None
    assert brushed({}, timedelta(hours=1)) is None
