"""Every page for those who see little, see other colours, or use the keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from journeys.conftest import PATIENCE_MS
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.debian("chromium")]

CONTRAST = (Path(__file__).parents[1] / "analytics" / "app" / "contrast.js").read_text("utf-8")
# The label, else the last line of the text: the first may be an icon's name.
NAME_OF_FOCUSED = """() => {
  const e = document.activeElement
  return (e.getAttribute("aria-label") || e.innerText || "").trim().split("\\n").pop()
}"""
TABS = 60
SPIKE = "/spike?alert=TachographCanaryCostHigh&agent=support"
CANARY = "/canary?agent=support"


@pytest.fixture
def page(browser, request):
    page = browser.new_page(viewport={"width": 1280, "height": 1600}, color_scheme=getattr(request, "param", "light"))
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


@pytest.fixture(scope="module")
def paths(world):
    (run,) = world.ask("SELECT run_id FROM runs WHERE agent = 'support' ORDER BY cost DESC LIMIT 1")
    (incident,) = world.ask("SELECT id FROM incidents WHERE name = 'TachographCanaryCostHigh'")
    return ["/", SPIKE, CANARY, f"/run?run={run['run_id']}", f"/incident?id={incident['id']}"]


def open_whole(page, url):
    page.goto(url)
    expect(page.get_by_text("All times are UTC.")).to_be_visible()


def focused(page) -> set[str]:
    """The names of everything that the Tab key comes to."""
    names: set[str] = set()
    page.locator("h1").click()
    for _ in range(TABS):
        page.keyboard.press("Tab")
        name = page.evaluate(NAME_OF_FOCUSED)
        names.add(name)
    return names


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_every_text_of_every_page_stands_out_from_what_lies_behind_it(page, app, paths):
    for path in paths:
        open_whole(page, app + path)
        assert (path, page.evaluate(CONTRAST)) == (path, [])


def test_every_chart_has_a_name_that_tells_it_and_a_table_that_says_the_same(page, app, paths):
    for path, charts in zip(paths, (0, 1, 3, 1, 0), strict=True):
        open_whole(page, app + path)
        drawn = page.get_by_test_id("stVegaLiteChart")
        expect(drawn).to_have_count(charts)
        for chart in drawn.all():
            named = "e => e.getAttribute('aria-label') || e.querySelector('[aria-label]').ariaLabel"
            assert len(chart.evaluate(named)) > 40
        if charts:
            for twin in page.get_by_text("The same as a table").all():
                twin.click()
            expect(page.locator("table").nth(charts - 1)).to_be_visible()


def test_the_keyboard_reaches_what_chooses(page, app):
    open_whole(page, app + SPIKE)
    expect(page.get_by_role("link", name="run_").last).to_be_visible()
    reached = focused(page)
    assert {"From (UTC)", "To (UTC)", "Only release 2.8", "Add to incident", "The same as a table"} <= reached
    assert any(name.startswith("run_") for name in reached)

    open_whole(page, app + CANARY)
    expect(page.get_by_text("Gate to look into")).to_be_visible()
    reached = focused(page)
    for choice in ("Baseline", "Candidate", "Gate to look into"):
        assert any(choice in name for name in reached), (choice, reached)
