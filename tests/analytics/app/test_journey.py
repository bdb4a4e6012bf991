"""From Start by a finding to the run and its waterfall, in a real browser over real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from analytics.app.recorded import filled, incident_runs
from analytics.app.served import served
from playwright.sync_api import Page, expect, sync_playwright

import tachograph
from tachograph.telemetry.recorder import active

HOUR_NS = 3600 * 10**9
pytestmark = [pytest.mark.slow, pytest.mark.debian("chromium")]

# Streamlit looks for its base path by asking below the page's own; the answer “not here” is part of it.
_STREAMLITS_OWN = ("/run/_stcore/health", "/run/_stcore/host-config")

_CONTRAST = Path(__file__).with_name("contrast.js").read_text("utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("journey"), incident_runs, time.time_ns() - HOUR_NS)


@pytest.fixture(scope="module")
def app(home):
    with served(home) as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, app):
    """A page, and the check that neither its console nor the network had anything to complain about."""
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: complaints.append(request.url) if not _local(request.url, app) else None)
    responses: list[str] = []
    page.on("response", lambda answer: responses.append(answer.url) if answer.status >= 400 else None)
    yield page
    page.close()
    ours = [url for url in responses if not url.endswith(_STREAMLITS_OWN)]
    not_found = [text for text in complaints if "404 (Not Found)" in text]
    assert ours == []
    assert len(not_found) <= len(responses)
    assert [text for text in complaints if text not in not_found] == []


def _local(url: str, app: str) -> bool:
    return url.startswith((app, app.replace("http:", "ws:"), "data:", "blob:"))


def ask(home, sql):
    command = [sys.executable, "-m", "tachograph", "query", "--home", str(home.path), "--json", sql]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def shown(page: Page, label: str) -> tuple[str, str, str]:
    """A figure as it stands on the page, its exact value, and the SQL that is said to give it."""
    metric = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    value = metric.get_by_test_id("stMetricValue").inner_text().strip()
    card = page.get_by_test_id("stLayoutWrapper").filter(has=metric).last
    card.get_by_role("button", name="SQL").click()
    popover = page.get_by_test_id("stPopoverBody")
    exact = popover.locator("code").first.inner_text()
    sql = popover.get_by_test_id("stCode").first.inner_text()
    page.keyboard.press("Escape")
    expect(popover).to_have_count(0)
    return value, exact, sql


def test_a_link_to_a_run_opens_whole_as_the_first_page_that_is_ever_asked_for(page, app):
    page.goto(f"{app}/run?run=bad-1")
    expect(page.get_by_text("This run of airline ended as failed")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(
        [re.compile(f"{name}$") for name in ("Start", "Spike", "Canary", "Run", "Incident")]
    )


def test_from_a_finding_to_the_steps_of_its_run(page, app, home, tmp_path):
    page.goto(app)
    finding = "A write of tier 1 or 2 ran with fewer approvers than its tier demands: 3 times in 3 runs."
    expect(page.get_by_text(finding)).to_be_visible()
    for label, words in [("Spend", "$0.50"), ("Success rate", "78.3 %"), ("Blocked or refused", "2")]:
        value, exact, sql = shown(page, label)
        ((answer,),) = (row.values() for row in ask(home, sql))
        assert (value, float(exact)) == (words, pytest.approx(answer))
    page.screenshot(path=tmp_path / "start.png")

    page.get_by_role("link", name="See the newest run").click()
    expect(page).to_have_url(f"{app}/run?run=bad-2")
    expect(page.get_by_text("This run of airline ended as failed (stop reason: error)")).to_be_visible()
    expect(page.get_by_text("refund (write, tier 1, error) ran with 0 of 1 approvers").first).to_be_visible()
    chart = page.locator("[data-testid=stVegaLiteChart] svg")
    expect(chart).to_be_visible()
    for words in ("▲ ■ tool refund", "✦ llm chat gpt-4o", "100 ms · $0.0313", "▲ 100 ms"):
        expect(chart.get_by_text(words, exact=False).first).to_be_visible()
    for label, words in [("Cost", "$0.0313"), ("Duration", "1.3 s"), ("Input tokens", "1,013")]:
        value, exact, sql = shown(page, label)
        ((answer,),) = (row.values() for row in ask(home, sql))
        assert (value, float(exact)) == (words, pytest.approx(answer))
    page.screenshot(path=tmp_path / "run.png")


def test_a_click_on_a_bar_looks_into_that_step(page, app):
    page.goto(f"{app}/run?run=bad-1")
    expect(page.get_by_role("heading", name="■ tool refund")).to_be_visible()
    page.locator("[data-testid=stVegaLiteChart] svg [aria-roledescription=bar]").nth(2).click()
    expect(page.get_by_role("heading", name="✦ llm chat gpt-4o")).to_be_visible()
    assert "step=" in page.url


def test_the_chart_has_a_name_that_tells_it(page, app):
    page.goto(f"{app}/run?run=bad-1")
    chart = page.get_by_test_id("stVegaLiteChart")
    expect(chart).to_have_accessible_name(re.compile(r"^Waterfall of 6 steps in 1\.3 s, 1 of them with a problem\."))


def test_a_wrong_run_id_says_so_and_offers_others(page, app):
    page.goto(f"{app}/run?run=nonsense")
    expect(page.get_by_text("Run nonsense is not in this data.")).to_be_visible()
    expect(page.get_by_label("Run id")).to_have_value("nonsense")
    page.get_by_role("button", name="look-6").click()
    expect(page.get_by_text("This run of lookup-bot ended as success")).to_be_visible()
    expect(page).to_have_url(f"{app}/run?run=look-6")


def test_going_back_shows_what_was_there(page, app):
    page.goto(f"{app}/?range=all&agent=airline")
    expect(page.get_by_text("3 findings of 1 kind · All data of airline, most severe first.")).to_be_visible()
    page.get_by_role("link", name="See the newest run").click()
    expect(page.get_by_text("This run of airline ended as failed")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("3 findings of 1 kind · All data of airline, most severe first.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_lies_behind_it(page, app, scheme):
    page.emulate_media(color_scheme=scheme)
    for path, last in [("/", "Not instrumented"), ("/run?run=bad-1", "Events")]:
        page.goto(app + path)
        expect(page.get_by_role("heading", name=last)).to_be_visible()
        expect(page.get_by_text("Data until")).to_be_visible()
        assert page.evaluate(_CONTRAST) == []


def test_what_an_agent_calls_itself_is_never_a_link(browser, tmp_path_factory):
    name = "see https://evil.example/a www.evil.example me@evil.example <https://evil.example> [x](http://evil.example)"

    def act() -> None:
        for hook in ("checkpoint.pre_tool", "approval"):
            active().cover(hook, name)
        with tachograph.run(name, workflow=name, release=name, id="run-evil"), tachograph.tool(name, effect="write"):
            pass

    home = filled(tmp_path_factory.mktemp("evil"), act, time.time_ns() - HOUR_NS)
    with served(home) as url:
        for path in ("/?range=all", "/run?run=run-evil", "/run?run=https://evil.example"):
            page = browser.new_page()
            page.goto(url + path)
            expect(page.get_by_text("All times are UTC.")).to_be_visible(timeout=60_000)
            assert "evil" in page.inner_text("body")
            assert page.eval_on_selector_all("a", "all => all.map(a => a.href)") != []
            assert page.locator("a[href*='evil.example']").count() == 0
            page.close()
