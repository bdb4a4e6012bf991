"""From an alert to a report: five clicks, and the report says what the store says."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.debian("chromium")]


def test_from_a_posted_alert_to_the_exported_report(browser, app, world, tmp_path):
    (alert,) = world.ask(
        "SELECT id, annotations FROM incidents WHERE name = 'TachographCanaryCostHigh' AND status = 'firing'"
    )
    link = urlsplit(alert["annotations"]["investigate_url"])
    page = browser.new_page(viewport={"width": 1280, "height": 1600})

    page.goto(f"{app}{link.path}?{link.query}")  # 1: the alert's link
    expect(page.get_by_text(re.compile(r"2\.8 costs .* more per success than 2\.7"))).to_be_visible()

    page.get_by_role("button", name=re.compile("release.*2.8")).first.click()  # 2: only the release on top
    expect(page).to_have_url(re.compile("only=release"))
    page.get_by_role("link", name=re.compile("^run_")).first.click()  # 3: the costliest run
    expect(page.get_by_text(re.compile("This run of"))).to_be_visible()

    page.get_by_role("button", name="Add to incident").click()  # 4
    expect(page).to_have_url(re.compile(rf"/incident\?id={alert['id']}"))
    with page.expect_download() as download:  # 5
        page.get_by_role("button", name=re.compile("Markdown")).click()
    report = tmp_path / "report.md"
    download.value.save_as(report)
    text = report.read_text("utf-8")
    assert "TachographCanaryCostHigh" in text

    queries = re.findall(r"```sql\n(.*?)\n```", text, re.DOTALL)
    assert queries
    for sql in queries:
        for row in world.ask(sql):
            for value in row.values():
                words = value if isinstance(value, str) else json.dumps(value)
                assert words in text, json.dumps(row)
    page.close()
