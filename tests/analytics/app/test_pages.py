from __future__ import annotations

import json
import logging
import sqlite3
import time
from pathlib import Path

import pytest
from analytics.app.recorded import alert, append, filled, incident_runs, lookup, refund
from analytics.otlp import ASpan, traces
from streamlit.testing.v1 import AppTest

import tachograph_analytics.app
from tachograph.registry import names
from tachograph.testing import EPOCH
from tachograph_analytics.app import links
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.runs.totals import totals
from tachograph_analytics.store.home import ENVIRONMENT, Home
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.segment import Signal
from tachograph_analytics.store.views import connect

MAIN = Path(tachograph_analytics.app.__file__).with_name("shell") / "main.py"
HOUR_NS = 3600 * 10**9


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Runs of the last hour, and an alert that fires."""
    home = filled(tmp_path_factory.mktemp("fresh"), incident_runs, time.time_ns() - HOUR_NS)
    append(home, alert("firing", "2026-11-24T05:07:00Z"))
    return home


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The same runs, long ago."""
    return filled(tmp_path_factory.mktemp("old"), incident_runs, EPOCH)


@pytest.fixture
def open_page(monkeypatch):
    def opened(home, page="start", **params):
        monkeypatch.setenv(ENVIRONMENT, str(home.path))
        app = AppTest.from_file(str(MAIN), default_timeout=60)
        app.query_params.update(params)
        app.run()
        if page != "start":
            app.switch_page(links.RUN_PAGE)
            app.query_params.update(params)
            app.run()
        assert not app.exception
        return app

    return opened


def text(app):
    """All that a page says, markup escapes taken away."""
    said = [*app.title, *app.header, *app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return "\n".join(str(element.value) for element in said).replace("\\", "")


def code(app):
    return [element.value for element in app.code]


# -- start


@pytest.mark.parametrize("made", [False, True], ids=["no home", "a home without runs"])
@pytest.mark.parametrize("page", ["start", "run"])
def test_without_data_the_page_says_which_commands_make_some(tmp_path, open_page, made, page):
    home = Home(tmp_path / "store")
    if made:
        home.create()
    app = open_page(home, page)
    assert f"There are no runs yet in {home.path}" in text(app)
    assert code(app) == [
        f"tachograph demo --headless --home {home.path}",
        f"tachograph up --home {home.path}",
        'import tachograph\n\ntachograph.instrument(my_agent, endpoint="http://127.0.0.1:4318")',
    ]


def test_findings_come_first_with_their_newest_runs(fresh, open_page):
    app = open_page(fresh)
    said = text(app)
    assert "3 findings of 1 kind · Last 24 hours, most severe first." in said
    assert "A write of tier 1 or 2 ran with fewer approvers than its tier demands: 3 times in 3 runs." in said
    assert "▲ Urgent" in said
    assert "agent airline · release 1.4 · 3 times, first " in said
    ways = [(link.proto.page, link.proto.query_string) for link in app.get("page_link")]
    assert ways == [("incident", "id=abc123"), ("run", "run=bad-2"), ("run", "run=bad-1"), ("run", "run=bad-0")]
    assert "▲ Firing since 2026-11-24 05:07 UTC: AgentRunsFailing (airline): 13 % of runs fail" in said
    assert "[Runbook](https://runbooks.example/runs-failing)" in said


def test_four_figures_each_with_the_sql_that_gives_it(fresh, open_page):
    app = open_page(fresh, range="all", agent="airline")
    assert [(metric.label, metric.value) for metric in app.metric] == [
        ("Spend", "$0.50"),
        ("Cost per success", "$0.0455"),
        ("Success rate", "68.8 %"),
        ("Blocked or refused", "2"),
    ]
    with connect(fresh) as connection:
        found = totals(connection, Scope(agent="airline"))
    for figure in (found.spend, found.cost_per_success, found.success_rate, found.blocked):
        assert figure.sql in code(app)
        assert f"**{figure.label}**: `{figure.value}` {figure.unit}" in text(app)
        assert json.loads(as_json(query(fresh, figure.sql))) == [{figure.sql.split(" AS ")[1].split()[0]: figure.value}]


def test_what_is_not_instrumented_names_the_missing_hook(fresh, open_page):
    app = open_page(fresh, agent="lookup-bot")
    assert [e.label for e in app.expander] == [
        "lookup\\-bot: 15 of 23 detections are not instrumented, so they say neither clean nor violated"
    ]
    table = app.table[-1]
    rows = {row["Detection"].replace("\\", ""): row["Missing hook"] for row in table.value.to_dict("records")}
    assert rows["write_unapproved"] == "approval"
    assert rows["budget_no_degraded"] == "budget, degraded"
    assert "tool_unchecked" not in rows


def test_nothing_found_is_not_called_well_where_nobody_watches(fresh, open_page):
    app = open_page(fresh, agent="lookup-bot")
    assert "Nothing unusual was seen: Last 24 hours of lookup-bot. But 15 of 23 detections cannot see" in text(app)
    assert not app.success


def test_calls_without_a_price_are_said_beside_the_sum(fresh, open_page):
    assert "as the provider says; without 7 calls that have no price" in text(open_page(fresh))


def test_the_foot_says_how_far_the_data_reach(old, open_page):
    said = text(open_page(old))
    assert "Data until **2026-01-01 00:00 UTC**" in said
    assert "23 runs · Every run is kept. All times are UTC." in said


def test_old_data_are_shown_and_called_old_where_the_address_asks_for_no_time(old, open_page):
    said = text(open_page(old))
    assert "No runs in the last 24 hours. Shown instead is the newest day with runs: 2025-12-31 00:01 UTC to" in said
    assert "3 findings of 1 kind" in said


def test_an_empty_range_offers_the_nearest_day_with_runs(old, open_page):
    app = open_page(old, range="7d", agent="airline")
    assert "No runs of airline in this range: Last 7 days." in text(app)
    assert not app.metric
    assert not app.success
    (button,) = app.button
    button.click().run()
    assert app.query_params == {"from": "2025-12-31T00:01:00Z", "to": "2026-01-01T00:01:00Z", "agent": "airline"}
    assert app.metric[0].value == "$0.50"


def test_an_agent_that_is_not_there_is_said_to_be_missing(old, open_page):
    app = open_page(old, range="all", agent="nobody")
    assert "No runs of nobody in this data. The agents in it are airline, lookup-bot." in text(app)


def test_widgets_write_the_address(fresh, open_page):
    app = open_page(fresh)
    app.selectbox(key="range").select("30d").run()
    app.selectbox(key="agent").select("airline").run()
    assert app.query_params == {"range": "30d", "agent": "airline"}
    app.selectbox(key="agent").select("").run()
    assert app.query_params == {"range": "30d"}


def test_an_address_that_cannot_be_read_is_not_passed_over_in_silence(fresh, open_page):
    assert "The address has from=“banana”, which is no time" in text(open_page(fresh, **{"from": "banana"}))


def test_what_a_link_was_about_is_said_when_it_is_not_there(fresh, open_page):
    there = text(open_page(fresh, rule="write_unapproved", alert="AgentRunsFailing"))
    assert "The link is about" not in there
    assert "does not fire" not in there
    gone = text(open_page(fresh, rule="loop_runaway", alert="TachographCostSpike"))
    assert "The link is about loop_runaway: it has no finding in this range." in gone
    assert "The alert TachographCostSpike that led here does not fire in this data." in gone


def test_new_data_show_up_without_a_restart(tmp_path, open_page):
    home = filled(tmp_path, lambda: refund(0, approved=False), time.time_ns() - HOUR_NS)
    app = open_page(home)
    assert "· 1 run ·" in text(app)
    later = ASpan(77, 7, {names.RUN_ID: "later", names.SPAN_KIND: "run", names.GEN_AI_AGENT_NAME: "later-bot"})
    append(home, (Signal.TRACES, traces([later]).SerializeToString()))
    assert "· 2 runs ·" in text(app.run())


# -- run


def test_a_run_in_a_sentence_with_its_findings(fresh, open_page):
    said = text(open_page(fresh, "run", run="bad-1"))
    assert (
        "This run of **airline** ended as **failed** (stop reason: error) after 1.3 s: 2 turns, 1 LLM call, "
        "1 tool call, 1,013 input and 17 output tokens, for $0.0313 as the provider says."
    ) in said
    assert "refund (write, tier 1, error) ran with 0 of 1 approvers `write_unapproved`" in said
    assert "workflow refund · release 1.4 (canary) · tenant acme · risk tier 1 · began " in said


def test_every_figure_of_a_run_shows_its_sql(fresh, open_page):
    app = open_page(fresh, "run", run="bad-1")
    assert [(metric.label, metric.value) for metric in app.metric] == [
        ("Cost", "$0.0313"),
        ("Duration", "1.3 s"),
        ("Turns", "2"),
        ("LLM calls", "1"),
        ("Tool calls", "1"),
        ("Input tokens", "1,013"),
        ("Output tokens", "17"),
        ("Cached input tokens", "0"),
    ]
    assert [json.loads(as_json(query(fresh, one.value))) for one in app.code if one.language == "sql"] == [
        [{"cost": 0.0313}],
        [{"duration_ms": 1300.0}],
        [{"turns": 2}],
        [{"llm_calls": 1}],
        [{"tool_calls": 1}],
        [{"input_tokens": 1013}],
        [{"output_tokens": 17}],
        [{"cached_tokens": 0}],
    ]


def test_an_unpriced_run_has_no_price_rather_than_nothing_to_pay(fresh, open_page):
    app = open_page(fresh, "run", run="look-1")
    assert "at no known price" in text(app)
    assert app.metric[0].value == "unknown"


def test_the_first_problem_is_looked_into_unless_the_address_names_a_step(fresh, open_page):
    app = open_page(fresh, "run", run="bad-1")
    problem = app.selectbox(key="step").value
    assert "▲ the tool failed (CardDeclined)" in text(app)
    assert "**Approval**: none recorded for this call" in text(app)
    app.selectbox(key="step").select_index(2).run()
    assert app.query_params["step"] == app.selectbox(key="step").value != problem
    assert [header.value.replace("\\", "") for header in app.subheader] == ["✦ llm chat gpt-4o"]
    (back,) = (button for button in app.button if button.label.startswith("First problem"))
    back.click().run()
    assert app.selectbox(key="step").value == problem


def test_the_table_says_what_the_waterfall_draws(fresh, open_page):
    table = open_page(fresh, "run", run="bad-1").table[0].value
    rows = [tuple(value.replace("\\", "").strip("\u2003") for value in row) for row in table.values.tolist()]
    assert [(step, took, problem) for step, _, took, problem in rows] == [
        ("▣ run airline", "1.3 s", "none"),
        ("↻ turn 1", "300 ms", "none"),
        ("✦ llm chat gpt-4o", "100 ms · $0.0313", "none"),
        ("⬣ checkpoint pre_tool policy", "100 ms", "none"),
        ("↻ turn 2", "400 ms", "none"),
        (
            "■ tool refund",
            "100 ms",
            "▲ the tool failed (CardDeclined); refund (write, tier 1, error) ran with 0 of 1 approvers",
        ),
    ]


def test_the_approval_of_a_call_is_told(fresh, open_page):
    app = open_page(fresh, "run", run="good-3")
    app.selectbox(key="step").select_index(6).run()
    said = text(app)
    assert "approved (single) by " in said
    assert "; with seeing what would change; arguments " in said


def test_an_unknown_run_is_said_to_be_unknown_and_others_are_offered(fresh, open_page):
    app = open_page(fresh, "run", run="run_999999")
    assert "Run run_999999 is not in this data. It holds 23 runs from " in text(app)
    assert app.text_input(key="run").value == "run_999999"
    assert [button.label.replace("\\", "") for button in app.button[:2]] == ["look-6", "look-5"]
    assert not app.metric
    app.button[1].click().run()
    assert app.query_params == {"run": "look-5"}
    assert "This run of **lookup-bot** ended as **success**" in text(app)


def test_typing_an_id_opens_that_run(fresh, open_page):
    app = open_page(fresh, "run")
    app.text_input(key="run").input(" bad-2 ").run()
    assert app.query_params == {"run": "bad-2"}
    assert "ended as **failed**" in text(app)


# -- what can go wrong


def test_a_store_of_a_newer_tachograph_is_a_sentence(tmp_path, open_page):
    home = filled(tmp_path, lambda: lookup(0), EPOCH)
    with sqlite3.connect(home.manifest) as manifest:
        manifest.execute("UPDATE store SET store_version = 997")
    manifest.close()
    (error,) = open_page(home).error
    assert "was written by a newer tachograph (store version 997" in error.value.replace("\\", "")


def test_a_damaged_store_is_a_sentence_that_names_the_file(tmp_path, open_page):
    home = filled(tmp_path, lambda: lookup(0), EPOCH)
    for file in home.table("spans").iterdir():
        file.write_bytes(b"no parquet")
    (error,) = open_page(home).error
    assert "The store is damaged" in error.value.replace("\\", "")
    assert ".parquet is missing or cut off" in error.value.replace("\\", "")


def test_a_fault_is_a_sentence_with_an_id_that_the_log_explains(tmp_path, open_page, caplog, monkeypatch):
    home = filled(tmp_path, lambda: lookup(0), EPOCH)

    def broken(*_):
        raise RuntimeError("ours")

    monkeypatch.setattr("tachograph_analytics.incidents.listed", broken)
    with caplog.at_level(logging.ERROR):
        app = open_page(home)
    (error,) = app.error
    (shown,) = code(app)
    assert "Traceback" not in error.value
    number = shown.removeprefix("tachograph diagnostics ")
    (record,) = [r for r in caplog.records if number in r.getMessage()]
    assert record.exc_info is not None
