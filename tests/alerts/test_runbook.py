from __future__ import annotations

import re

import pytest

from tachograph.registry import load as registry
from tachograph_alerts.catalogue import load
from tachograph_alerts.render import RUNBOOKS

REGISTRY = registry()
CATALOGUE = load(REGISTRY)
SECTIONS = ["Meaning", "Impact", "First five minutes", "Causes", "Contain", "False alarm"]


def test_every_alert_has_its_page_and_every_page_its_alert():
    assert sorted(path.stem for path in RUNBOOKS.glob("*.md")) == sorted(CATALOGUE.alerts)


@pytest.mark.parametrize("name", CATALOGUE.alerts)
def test_a_page_has_all_sections_with_text_in_them(name):
    text = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == SECTIONS
    assert [title for title, body in zip(parts[1::2], parts[2::2], strict=True) if len(body.strip()) < 20] == []
    assert "{" not in text.replace("{tachograph", "").replace('="', "")


@pytest.mark.parametrize("name", CATALOGUE.alerts)
def test_its_queries_are_on_views_of_the_store(name):
    queries = CATALOGUE.alerts[name].runbook.queries
    assert len(queries) == 2
    for query in queries:
        view = re.search(r"FROM (\w+)", query)
        assert view is not None
        assert view[1] in {*REGISTRY.views, "alerts"}
