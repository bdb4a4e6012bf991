"""The Incident page, and the way there from any page with what it shows."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from analytics.app.recorded import alert, append, filled, incident_runs, lookup
from analytics.app.served import served
from analytics.services import wait_for
from playwright.sync_api import expect, sync_playwright
from streamlit.testing.v1 import AppTest

import tachograph_analytics.app
from tachograph_analytics.app import links
from tachograph_analytics.app.incidents import Target, own_page
from tachograph_analytics.store.casebook import Casebook, View
from tachograph_analytics.store.home import ENVIRONMENT, Home
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.segment import Signal

MAIN = Path(tachograph_analytics.app.__file__).with_name("shell") / "main.py"
HOUR_NS = 3600 * 10**9
NOON = datetime(2026, 3, 13, 12, 0, tzinfo=UTC)
ALERT = "abc123"
INVESTIGATE = "http://tacho.example:8501/?alert=AgentRunsFailing&agent=airline"


def alert_with_ways(status: str) -> tuple[Signal, bytes]:
    _, body = alert(status, "2026-03-13T05:07:00Z")
    document = json.loads(body)
    document["alerts"][0]["annotations"] |= {
        "investigate_url": INVESTIGATE,
        "dashboard_url": "https://grafana.example/d/overview",
    }
    return Signal.ALERTS, json.dumps(document).encode()


@pytest.fixture
def home(tmp_path):
    """Runs of the last hour, and an alert that fires."""
    home = filled(tmp_path / "home", incident_runs, time.time_ns() - HOUR_NS)
    append(home, alert_with_ways("firing"))
    return home


@pytest.fixture
def opened(home, monkeypatch):
    def opened(page=links.INCIDENT_PAGE, **params):
        monkeypatch.setenv(ENVIRONMENT, str(home.path))
        app = AppTest.from_file(str(MAIN), default_timeout=60)
        app.context = {"url": f"http://tacho.example/{Path(page).stem}"}
        app.run()
        app.switch_page(page)
        app.query_params.update(params)
        app.run()
        assert not app.exception
        return app

    return opened


def text(app):
    said = [*app.title, *app.header, *app.subheader, *app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(str(element.value) for element in said).replace("\\", "")


def button(app, label):
    (found,) = [one for one in app.button if one.label.replace("\\", "") == label]
    return found


def ways(app):
    return [(link.proto.page, link.proto.query_string) for link in app.get("page_link")]


# -- all of them


def test_without_an_id_those_that_go_on_come_first(home, opened):
    casebook = Casebook(home)
    over = casebook.open("Old trouble", NOON)
    casebook.close(over, NOON + timedelta(minutes=17))
    by_hand = casebook.open("Refunds fail", NOON, agent="airline")
    app = opened()
    labels = [one.label.replace("\\", "") for one in app.button]
    assert labels[:3] == [f":primary[{title}]" for title in ("Refunds fail", "13 % of runs fail", "Old trouble")]
    said = text(app)
    assert f"airline · since 2026-03-13 12:00 UTC · 0 notes · {by_hand}" in said
    assert [said.count(words) for words in ("▲ Firing", "▲ Open", "✓ Closed")] == [1, 1, 1]
    app.button[1].click().run()
    assert app.query_params == {"id": ALERT}
    assert "▲ Firing since 2026-03-13 05:07 UTC: AgentRunsFailing (airline): 13 % of runs fail" in text(app)


def test_an_unknown_id_says_so_and_offers_those_that_there_are(opened):
    app = opened(id="nonsense")
    assert "There is no incident nonsense in this data." in text(app)
    assert ":primary[13 % of runs fail]" in [one.label for one in app.button]


def test_one_is_opened_by_hand_closed_and_opened_again(home, opened):
    app = opened()
    button(app, "Open an incident").click().run()
    assert "An incident needs a title." in text(app)
    app.text_input[0].input("Refunds fail")
    app.selectbox[0].select("airline")
    button(app, "Open an incident").click().run()
    (entry,) = Casebook(home).written().entries
    assert (entry.title, entry.agent) == ("Refunds fail", "airline")
    assert app.query_params == {"id": entry.id}
    assert "▲ Open since " in text(app)
    button(app, "Close the incident").click().run()
    assert "✓ Closed" in text(app)
    button(app, "Open it again").click().run()
    assert "▲ Open since " in text(app)


def test_a_home_without_data_says_how_to_get_some(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "nothing"))
    app = AppTest.from_file(str(MAIN), default_timeout=60).run()
    app.switch_page(links.INCIDENT_PAGE).run()
    assert "There are no runs yet in" in text(app)
    assert not app.exception


# -- one of them


def test_the_links_of_the_alert_lead_to_our_own_page_and_to_the_web(opened):
    app = opened(id=ALERT)
    assert ways(app) == [("", f"alert=AgentRunsFailing&agent=airline&incident={ALERT}")]
    assert "[Dashboard](https://grafana.example/d/overview) · [Runbook](https://runbooks.example/runs-failing)" in text(
        app
    )


def test_title_cause_and_fix_are_kept_and_others_see_them_at_once(home, opened):
    app, other = opened(id=ALERT), opened(id=ALERT)
    app.text_input(key="title").input("Refund service down").run()
    app.text_area(key="cause").input("Its certificate ended.").run()
    app.text_area(key="fix").input("A new one.").run()
    other.run()
    assert [one.value for one in (other.text_input(key="title"), other.text_area[0], other.text_area[1])] == [
        *("Refund service down", "Its certificate ended.", "A new one."),
    ]
    (entry,) = Casebook(home).written().entries
    assert (entry.id, entry.title, entry.cause, entry.fix) == (
        *(ALERT, "Refund service down", "Its certificate ended.", "A new one."),
    )
    other.text_input(key="title").input("").run()
    assert other.text_input(key="title").value == "13 % of runs fail"


def test_notes_show_what_was_seen_and_can_be_rewritten_and_deleted(home, opened):
    casebook = Casebook(home)
    seen = View("It got dear", "/run?run=bad-1", "SELECT cost FROM runs", ("cost",), ((0.1 + 0.2,), (None,)))
    first, second = (casebook.add(ALERT, seen, NOON + timedelta(minutes=n)) for n in (13, 17))
    app = opened(id=ALERT)
    assert ways(app)[1:] == [("run", f"run=bad-1&incident={ALERT}")] * 2
    assert app.table[0].value.to_dict("list") == {"cost": ["0\\.30000000000000004", "null"]}
    app.text_area(key=f"note {second}").input("Look here.").run()
    button(app, "Delete note 1 for good").click().run()
    assert [(note.id, note.text) for note in casebook.notes(ALERT)] == [(second, "Look here.")]
    assert first != second
    assert "Note 1: It got dear" in text(app)
    assert "Note 2" not in text(app)


def test_the_timeline_and_the_three_files(home, opened):
    Casebook(home).add(ALERT, View("It got dear", "/", "", (), ()), NOON)
    app = opened(id=ALERT)
    rows = [tuple(value.replace("\\", "") for value in row[:3]) for row in app.table[0].value.values.tolist()]
    assert ("2026-03-13 05:07:00 UTC", "alert", "AgentRunsFailing began to fire") in rows
    assert ("2026-03-13 12:00:00 UTC", "note", "Note 1: It got dear") in rows
    assert "release" in {source for _, source, _ in rows}
    assert [one.label for one in app.get("download_button")] == [
        *("Download Markdown", "Download HTML", "Download CSV"),
    ]


def test_what_an_alert_says_is_no_markup(home, opened):
    _, body = alert("firing", "2026-03-13T05:11:00Z")
    document = json.loads(body)
    document["alerts"][0]["annotations"] = {
        "summary": "[x](https://evil.example) <b>",
        "runbook_url": "javascript:alert(1)",
        "investigate_url": "https://evil.example/steal?alert=x",
        "dashboard_url": "https://evil.example/a)b",
    }
    append(home, (Signal.ALERTS, json.dumps(document).encode()))
    app = opened(id=ALERT)
    shown = "\n".join(element.value for element in (*app.markdown, *app.subheader))
    assert "\\[x\\]\\(https\\:" in shown
    assert "javascript" not in shown
    assert "(https://evil.example/a)b" not in shown
    assert ways(app) == []


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (INVESTIGATE, Target(links.START_PAGE, {"alert": "AgentRunsFailing", "agent": "airline"})),
        ("https://x.example/spike?only=a%3A1&only=b%3A2", Target(links.SPIKE_PAGE, {"only": ["a:1", "b:2"]})),
        ("https://x.example/canary?agent=", Target(links.CANARY_PAGE, {"agent": ""})),
        ("https://x.example/incident?id=i-1&x=y", Target(links.INCIDENT_PAGE, {"id": "i-1", "x": "y"})),
        ("http://127.0.0.1:8501/", Target(links.START_PAGE, {})),
        ("http://127.3.0.1:8501/canary", Target(links.CANARY_PAGE, {})),
        ("http://[::1]:8501/canary/", Target(links.CANARY_PAGE, {})),
        ("http://localhost/spike?range=7d", Target(links.SPIKE_PAGE, {"range": "7d"})),
        ("http://127.0.0.1:3000/d/overview/spike?alert=x", None),
        ("http://127.0.0.1.evil.example/canary", None),
        ("/?range=7d", Target(links.START_PAGE, {"range": "7d"})),
        ("https://github.com/acme/run?x=1", None),
        ("https://github.com/acme/run?run=1", None),
        ("https://wiki.example.com/", None),
        ("https://wiki.example.com/run?x=1", None),
        ("https://ci.example/jobs/7/canary", None),
        ("https://ci.example/canary", None),
        ("/run?run=a%26b", Target(links.RUN_PAGE, {"run": "a&b"})),
        ("https://grafana.example/d/overview", None),
        ("javascript:alert(1)", None),
        ("http://[broken", None),
        (None, None),
    ],
)
def test_the_apps_own_pages_are_known_by_any_host(url, target):
    assert own_page(url) == target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://app.example/tacho/canary", Target(links.CANARY_PAGE, {})),
        ("http://APP.example:8501/tacho/", Target(links.START_PAGE, {})),
        ("https://app.example/canary", Target(links.CANARY_PAGE, {})),
        ("https://other.example/tacho/spike?alert=x", Target(links.SPIKE_PAGE, {"alert": "x"})),
        ("https://app.example/wiki/canary?alert=x", None),
        ("https://app.example/tachograph", None),
        ("https://other.example/tacho/canary", None),
    ],
)
def test_the_apps_own_host_and_base_path_need_no_parameter(url, target):
    assert own_page(url, "https://app.example/tacho") == target


@pytest.mark.parametrize(
    "url", ["https://github.com/acme/run?x=1", "https://wiki.example.com/", "https://ci.example/jobs/7/canary"]
)
def test_a_foreign_page_to_investigate_stays_a_link_to_the_web(home, opened, url):
    _, body = alert("firing", "2026-03-13T05:11:00Z")
    document = json.loads(body)
    document["alerts"][0]["annotations"] = {"summary": "x", "investigate_url": url}
    append(home, (Signal.ALERTS, json.dumps(document).encode()))
    app = opened(id=ALERT)
    assert ways(app) == []
    assert f"[Investigate]({url})" in text(app)


# -- from a page into an incident


def test_one_click_adds_a_run_to_the_incident_that_the_address_carries(home, opened):
    app = opened(links.RUN_PAGE, run="bad-1", incident=ALERT)
    button(app, "Add to incident").click().run()
    (note,) = Casebook(home).notes(ALERT)
    assert app.query_params == {"id": ALERT, "note": str(note.id)}
    assert "● Added just now: say what it shows" in text(app)
    assert note.view.title == "Run bad-1 of airline ended as failed after 1.3 s, for $0.0313 as the provider says"
    assert note.view.url == "/run?run=bad-1"
    assert json.loads(as_json(query(home, note.view.sql))) == [
        dict(zip(note.view.columns, row, strict=True)) for row in note.view.rows
    ]
    assert dict(zip(note.view.columns, note.view.rows[0], strict=True))["cost"] == 0.0313


def test_the_alert_of_an_address_leads_to_its_incident(home, opened):
    app = opened(links.RUN_PAGE, run="bad-1", alert="AgentRunsFailing", agent="airline")
    button(app, "Add to incident").click().run()
    assert app.query_params["id"] == ALERT
    assert Casebook(home).notes(ALERT)[0].view.url == "/run?run=bad-1&alert=AgentRunsFailing&agent=airline"


@pytest.mark.parametrize("params", [{}, {"incident": "nonsense"}, {"alert": "AgentRunsFailing", "agent": "lookup-bot"}])
def test_without_an_incident_people_choose_one_that_goes_on(home, opened, params):
    app = opened(links.RUN_PAGE, run="bad-1", **params)
    assert [one.proto.popover.label for one in app.get("popover")][:1] == ["Add to incident"]
    assert app.selectbox(key="add to").options == ["13 % of runs fail"]
    button(app, "Add").click().run()
    assert app.query_params["id"] == ALERT
    assert len(Casebook(home).notes(ALERT)) == 1


def test_or_begin_a_new_one(home, opened):
    append(home, alert_with_ways("resolved"))
    app = opened(links.RUN_PAGE, run="bad-1", agent="airline")
    assert "add to" not in {one.key for one in app.selectbox}
    button(app, "New incident").click().run()
    assert "An incident needs a title." in text(app)
    app.text_input(key="title of new").input("Refunds fail").run()
    button(app, "New incident").click().run()
    (entry,) = Casebook(home).written().entries
    assert (entry.title, entry.agent, entry.notes) == ("Refunds fail", "airline", 1)
    assert app.query_params["id"] == entry.id


def test_another_run_keeps_the_incident(opened):
    app = opened(links.RUN_PAGE, run="bad-1", incident=ALERT)
    app.text_input(key="run").input("bad-2").run()
    assert app.query_params == {"run": "bad-2", "incident": ALERT}


def test_what_one_viewer_adds_another_sees_without_new_data(opened):
    watching = opened()
    assert "0 notes" in text(watching)
    button(opened(links.RUN_PAGE, run="bad-1", incident=ALERT), "Add to incident").click().run()
    assert "1 note · abc123" in text(watching.run())


def test_a_newer_casebook_is_a_sentence(tmp_path, monkeypatch):
    home = filled(tmp_path, lambda: lookup(0), time.time_ns())
    Casebook(home).open("x", NOON)
    with sqlite3.connect(home.casebook) as connection:
        connection.execute("UPDATE casebook SET version = 97")
    connection.close()
    monkeypatch.setenv(ENVIRONMENT, str(Home(tmp_path).path))
    app = AppTest.from_file(str(MAIN), default_timeout=60).run()
    (error,) = app.error
    assert "was written by a newer tachograph" in error.value.replace("\\", "")


# -- in a browser


@pytest.mark.slow
@pytest.mark.debian("chromium")
def test_from_the_run_to_the_report_in_two_clicks(home, tmp_path):
    with served(home) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(f"{url}/run?run=bad-1&incident={ALERT}")
        page.get_by_role("button", name="Add to incident").click()
        expect(page).to_have_url(re.compile(rf"/incident\?id={ALERT}&note=1$"))
        page.get_by_label("Text of note 1").fill("The card was declined.")
        page.keyboard.press("Tab")
        wait_for(lambda: Casebook(home).notes(ALERT)[0].text)
        reports = {}
        # the page runs again for the note, and offers its reports anew when it has
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
        for form in ("Markdown", "HTML", "CSV"):
            with page.expect_download() as download:
                page.get_by_role("button", name=f"Download {form}").click()
            file = tmp_path / download.value.suggested_filename
            download.value.save_as(file)
            reports[file.name] = file.read_text("utf-8")
        page.get_by_role("link", name="See it again").click()
        expect(page).to_have_url(re.compile(rf"/run\?run=bad-1&incident={ALERT}$"))
        browser.close()
    assert sorted(reports) == ["incident-abc123.csv", "incident-abc123.html", "incident-abc123.md"]
    (note,) = Casebook(home).notes(ALERT)
    assert note.text == "The card was declined."
    for report in reports.values():
        assert "The card was declined." in report
        assert f"{url}/run?run=bad-1" in report
        assert json.loads(as_json(query(home, note.view.sql)))[0]["cost"] == 0.0313
        assert "0.0313" in report
