"""Twenty people look at one store at once: each sees what they asked for, and nothing of the others."""

from __future__ import annotations

import pytest
from journeys.conftest import PATIENCE_MS
from playwright.sync_api import expect

from tachograph_analytics.app.words import usd

pytestmark = [pytest.mark.slow, pytest.mark.debian("chromium")]

AGENTS = ("airline", "invoice", "support")
RUNS_OF_EACH = 4


@pytest.fixture(scope="module")
def views(world):
    """Twenty addresses, no two alike, each with a text that only it shows."""
    spent = {
        row["agent"]: row["spend"]
        for row in world.ask("SELECT agent, round(sum(cost), 9) AS spend FROM runs GROUP BY agent")
    }
    runs = world.ask(
        "SELECT run_id, agent, outcome FROM runs WHERE outcome IS NOT NULL"  # noqa: S608 - a number of ours
        f" QUALIFY row_number() OVER (PARTITION BY agent ORDER BY ts DESC) <= {RUNS_OF_EACH}"
    )
    incidents = world.ask("SELECT id, title FROM incidents ORDER BY id")
    seen = [
        *((f"/?range=all&agent={agent}", usd(spent[agent])) for agent in AGENTS),
        *((f"/spike?range=all&agent={agent}", f"{agent} spent {usd(spent[agent])}") for agent in AGENTS),
        *((f"/run?run={run['run_id']}", f"This run of {run['agent']} ended as {run['outcome']}") for run in runs),
        *((f"/incident?id={incident['id']}", incident["title"]) for incident in incidents),
    ]
    return [*seen[:19], ("/canary?agent=support", "2.8 costs")]


def test_twenty_viewers_at_once_each_see_their_own_view(browser, app, views):
    assert len(views) == len({path for path, _ in views}) == 20
    contexts = [browser.new_context() for _ in views]
    pages = [context.new_page() for context in contexts]
    try:
        for page, (path, _) in zip(pages, views, strict=True):
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{app}{path}", wait_until="commit")
        for page, (path, words) in zip(pages, views, strict=True):
            expect(page.get_by_text("All times are UTC.")).to_be_visible()
            expect(page.get_by_text(words).first).to_be_visible()
            assert page.url == f"{app}{path}"
            assert "diagnostics" not in page.inner_text("body")
    finally:
        for context in contexts:
            context.close()
