"""Twenty people look at one store at once: each sees what they asked for, and nothing of the others."""

from __future__ import annotations

import itertools

import pytest
from journeys.conftest import PATIENCE_MS
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.debian("chromium")]

VIEWERS = 20
AGENTS = ("support", "invoice", "airline")
PAGES = ("/?range=all", "/?range=7d", "/spike?range=30d", "/spike?range=7d")


def test_twenty_viewers_at_once_each_see_their_own_view(browser, app):
    asked = list(itertools.islice(itertools.product(PAGES, AGENTS), VIEWERS))
    asked += asked[: VIEWERS - len(asked)]
    contexts = [browser.new_context() for _ in asked]
    pages = [context.new_page() for context in contexts]
    try:
        for page, (path, agent) in zip(pages, asked, strict=True):
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{app}{path}&agent={agent}", wait_until="commit")
        for page, (path, agent) in zip(pages, asked, strict=True):
            expect(page.get_by_text("All times are UTC.")).to_be_visible()
            expect(page.get_by_role("combobox", name="Agent")).to_have_value(agent)
            assert f"agent={agent}" in page.url
            assert path.split("?")[1] in page.url
            words = page.inner_text("body")
            assert "could not be" not in words
            assert "diagnostics" not in words
    finally:
        for context in contexts:
            context.close()
