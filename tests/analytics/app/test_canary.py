from __future__ import annotations

import json

import pytest
from analytics.app.opening import opener, text
from analytics.app.recorded import alert, append
from analytics.canary.traffic import AGENT, ARun, alternating, filled, judged

import tachograph
from tachograph_analytics.app import links
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.query import as_json, query


def two_releases():
    """2.8 costs 60 % more a run, all else is the same; golden case 7 is lost; a gate of it was decided on nothing."""
    arms = (
        [
            ARun(
                release, outcome="failed" if n % 10 == 3 else "success", cost=cost, tenant="globex" if n % 4 else "acme"
            )
            for n in range(313)
        ]
        for release, cost in (("2.7", 0.013), ("2.8", 0.0208))
    )
    return [
        *alternating(*arms),
        ARun("1.0", agent="lonely"),
        ARun("5.0", agent="in turn"),
        ARun("5.1", agent="in turn"),
    ]


def pipeline():
    for release in ("2.7", "2.8"):
        judged(AGENT, release, [(f"case-{n}", "fail" if n == 7 and release == "2.8" else "pass") for n in range(31)])
    with tachograph.run(AGENT, release="2.8", id="gates"):
        tachograph.gate("success", verdict="pass", decision="promote", samples=17, observed=0.91, data_age=600)
        tachograph.gate("latency", verdict="pass", decision="promote", samples=0, data_age=3 * 86_400)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = filled(tmp_path_factory.mktemp("canary"), two_releases(), then=pipeline)
    append(made, alert("firing", "2026-11-24T05:07:00Z"))
    return made


@pytest.fixture
def open_page(monkeypatch):
    return opener(monkeypatch, links.CANARY_PAGE)


def rows(table):
    return [tuple(str(value).replace("\\", "") for value in row) for row in table.value.to_numpy().tolist()]


# -- what is wrong


def test_the_most_worrying_number_comes_first(home, open_page):
    said = text(open_page(home))
    assert (
        "**2.8 costs 60 % more per success than 2.7 (312 and 312 sessions); success is the same within ±5 points.**"
        in said
    )
    assert "the time in which both ran, never what was before with what came after" in said
    assert "this page gives numbers and no verdict" in said


def test_the_gates_in_a_table_the_worst_first_and_those_without_data_apart(home, open_page):
    app = open_page(home)
    told, silent = rows(app.table[0]), rows(app.table[1])
    assert told[0] == (
        "money",
        "Cost per success",
        "▲ looks worse",
        "$0.0144",
        "$0.0231",
        "+60.0 %",
        "+51.9 to +68.6 %",
        "312 | 312",
        "more",
        "yes",
    )
    assert {(row[0], row[1], row[2], row[-1]) for row in told} == {
        ("money", "Cost per success", "▲ looks worse", "yes"),
        ("money", "Budget hit", "○ no clear difference", "no"),
        ("quality", "Success", "○ no clear difference", "yes"),
        ("quality", "Golden-set success", "○ no clear difference", "no"),
        ("safety", "Blocked or refused", "○ no clear difference", "no"),
        ("safety", "Redacted", "○ no clear difference", "no"),
        ("speed", "95th percentile of duration", "○ no clear difference", "no"),
        ("speed", "Slower than the baseline's 95th percentile", "○ no clear difference", "no"),
    }
    assert [(row[1], row[3]) for row in silent] == [
        ("In a degraded mode", "degraded"),
        ("Approval rejected", "approval"),
    ]
    assert "not the same as nothing being wrong" in text(app)


def test_both_values_of_a_gate_show_the_sql_that_gives_them(home, open_page):
    app = open_page(home)
    assert [(m.label, m.value) for m in app.metric] == [
        ("Cost per success, 2.7", "$0.0144"),
        ("Cost per success, 2.8", "$0.0231"),
        ("Difference", "+60.0 %"),
    ]
    asked = [code.value for code in app.code if code.language == "sql" and "cost_per_success" in code.value]
    assert [json.loads(as_json(query(home, sql))) for sql in asked[:2]] == [
        [{"cost_per_success": pytest.approx(0.013 * 312 / 281, abs=1e-8)}],
        [{"cost_per_success": pytest.approx(0.0208 * 312 / 281, abs=1e-8)}],
    ]


# -- what is behind a gate


def test_the_runs_that_moved_a_gate_are_links(home, open_page):
    app = open_page(home, gate="success")
    (header,) = [h.value for h in app.subheader if "Newest runs" in h.value]
    assert header.replace("\\", "") == "Newest runs that were no success of 2.8"
    ways = [link.proto.query_string for link in app.get("page_link") if link.proto.page == "run"]
    assert ways == [f"run=run-{2 * n + 1}" for n in (303, 293, 283, 273, 263, 253, 243)]
    kinds = next(table for table in app.table if table.value.columns[0] == "Outcome")
    assert rows(kinds) == [
        ("success", "281 (90.1 %)", "281 (90.1 %)"),
        ("failed", "31 (9.9 %)", "31 (9.9 %)"),
    ]


def test_golden_cases_stand_side_by_side_and_the_lost_one_first(home, open_page):
    app = open_page(home, gate="golden")
    table = next(table for table in app.table if table.value.columns[0] == "Case")
    assert rows(table)[0][:4] == ("golden · solved · case-7", "▲ only 2.7 passed", "pass", "fail")
    assert {row[1] for row in rows(table)[1:]} == {"both passed"}
    ways = [link.proto.query_string for link in app.get("page_link") if link.proto.page == "run"]
    assert ways == ["run=golden-support-2.7-0", "run=golden-support-2.8-0"]


def test_a_quantity_has_a_table_of_its_quantiles(home, open_page):
    app = open_page(home)
    table = next(t for t in app.table if t.value.columns[0].startswith("Share of sessions"))
    assert [row[0] for row in rows(table)] == ["5 %", "25 %", "50 %", "75 %", "90 %", "95 %", "99 %"]
    assert {row[1:] for row in rows(table)} == {("$0.0130", "$0.0208")}


def test_what_was_decided_on_nothing_or_on_old_data_is_marked(home, open_page):
    app = open_page(home)
    table = next(table for table in app.table if "Verdict" in table.value.columns)
    decided = {row[1]: (row[2], row[3], row[4], row[7], row[8]) for row in rows(table)}
    assert decided == {
        "success": ("pass", "promote", "0.91", "17", "10 min 0 s"),
        "latency": ("pass", "promote", "none", "▲ none", "▲ 72 h 0 min"),
    }


def test_both_releases_by_tenant(home, open_page):
    app = open_page(home)
    table = next(table for table in app.table if table.value.columns[0] == "Tenant")
    assert [row[0] for row in rows(table)] == ["globex", "acme"]
    assert rows(table)[1][1] == "78 | 78"


# -- the address


def test_widgets_write_the_address(home, open_page):
    app = open_page(home)
    app.selectbox(key="gate").select("blocked").run()
    app.selectbox(key="baseline").select("2.8").run()
    assert app.query_params == {"gate": "blocked", "baseline": "2.8"}
    assert app.selectbox(key="candidate").value == "2.7"
    app.selectbox(key="agent").select("lonely").run()
    assert app.query_params == {"agent": "lonely"}


def test_an_unknown_release_is_said_to_be_unknown(home, open_page):
    app = open_page(home, agent=AGENT, candidate="9.9")
    assert "Release 9.9 of support is not in this data. It holds 2.7, 2.8. Shown instead is 2.8." in text(app)
    assert app.selectbox(key="candidate").value == "2.8"


def test_an_unknown_gate_and_an_unknown_agent_are_said_to_be_unknown(home, open_page):
    assert "There is no gate beauty; there are cost_per_success, " in text(open_page(home, gate="beauty"))
    assert "No release of nobody is in this data. Agents with releases are in turn, lonely, support." in text(
        open_page(home, agent="nobody")
    )


def test_a_release_beside_itself_is_no_comparison(home, open_page):
    app = open_page(home, baseline="2.8", candidate="2.8")
    assert "A release cannot be compared with itself" in text(app)
    assert app.header.len == 0


def test_the_link_of_an_alert_opens_the_page_as_it_is(home, open_page):
    app = open_page(home, alert="AgentRunsFailing", agent=AGENT)
    assert "**2.8 costs 60 % more per success than 2.7" in text(app)


# -- what is missing


def test_with_one_release_the_page_says_what_to_call(home, open_page):
    app = open_page(home, agent="lonely")
    assert "Only release 1.0 of lonely is in this data." in text(app)
    assert [code.value for code in app.code] == ['import tachograph\n\ntachograph.release("2.8", track="canary")']


def test_one_after_the_other_is_no_comparison(home, open_page):
    app = open_page(home, agent="in turn")
    assert "5.0 and 5.1 never ran at the same time: " in text(app)
    assert app.header.len == 0


def test_a_range_without_both_offers_all_data(home, open_page):
    app = open_page(home, agent=AGENT, range="24h")
    assert "2.7 and 2.8 never ran at the same time within Last 24 hours" in text(app)
    app.button[0].click().run()
    assert app.query_params == {"agent": AGENT, "range": "all"}
    assert "2.8 costs 60 % more per success" in text(app)


@pytest.mark.parametrize("made", [False, True], ids=["no home", "a home without runs"])
def test_without_data_the_page_says_which_commands_make_some(tmp_path, open_page, made):
    home = Home(tmp_path / "store")
    if made:
        home.create()
    assert f"There are no runs yet in {home.path}" in text(open_page(home))
