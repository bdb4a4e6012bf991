from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tachograph_analytics.app import links
from tachograph_analytics.app.links import Window
from tachograph_analytics.runs.scope import Condition, Scope

NOW = datetime(2026, 11, 24, 13, 17, 29, tzinfo=UTC)
YESTERDAY = datetime(2026, 11, 23, 13, 17, tzinfo=UTC)


def test_a_bare_address_means_the_last_day_and_chose_nothing():
    assert links.window({}, NOW) == Window("24h", Scope(YESTERDAY), chosen=False)


def test_a_named_range_and_an_agent():
    since = datetime(2026, 11, 24, 12, 17, tzinfo=UTC)
    assert links.window({"range": "1h", "agent": "a b"}, NOW) == Window("1h", Scope(since, None, "a b"), chosen=True)
    assert links.window({"range": "all"}, NOW) == Window("all", Scope(), chosen=True)


@pytest.mark.parametrize(
    "written",
    ["2026-11-23T13:17:00Z", "2026-11-23T13:17", "2026-11-23 13:17", "2026-11-23T14:17:00 01:00", "1795439820000"],
)
def test_a_moment_in_every_form_that_links_have(written):
    assert links.window({"from": written}, NOW) == Window("custom", Scope(YESTERDAY), chosen=True)


def test_what_cannot_be_read_is_said_and_counts_as_absent():
    found = links.window({"from": "banana", "range": "5y"}, NOW)
    assert (found.name, found.scope, found.chosen) == ("24h", Scope(YESTERDAY), False)
    assert found.complaints == (
        "The address has from=“banana”, which is no time: 2026-11-24T13:00Z would be one.",
        "The address asks for the range “5y”; there are 1h, 24h, 7d, 30d, all.",
    )


@pytest.mark.parametrize("written", ["99999999999999999999", "²", "-1", "2026-13-01"])
def test_numbers_beyond_all_clocks_are_no_times(written):
    assert len(links.window({"from": written}, NOW).complaints) == 1


def test_a_range_that_ends_before_it_begins():
    found = links.window({"from": "2026-11-24T13:00Z", "to": "2026-11-24T11:00Z"}, NOW)
    assert (found.name, len(found.complaints)) == ("24h", 1)


def test_a_written_link_reads_back_as_the_same_scope():
    scope = Scope(YESTERDAY, NOW, "airline")
    assert links.window(links.start(scope), NOW).scope == scope


def test_links_to_a_run():
    assert [links.run("r1"), links.run("r1", "s1")] == [{"run": "r1"}, {"run": "r1", "step": "s1"}]


def test_several_agents_are_all_agents_and_that_is_said():
    found = links.window({"agent": "desk,clerk"}, NOW)
    assert (found.scope.agent, len(found.complaints)) == (None, 1)


@pytest.mark.parametrize("everything", ["", ".+", "All", "$__all"])
def test_what_grafana_sends_for_all_agents_means_all(everything):
    assert links.window({"agent": everything}, NOW) == Window("24h", Scope(YESTERDAY), chosen=False)


def test_what_a_link_is_about_is_kept():
    found = links.window({"rule": "write_unapproved", "alert": "TachographWriteUnapproved"}, NOW)
    assert (found.rule, found.alert) == ("write_unapproved", "TachographWriteUnapproved")


def filtered(**filters):
    return links.window({}, NOW, filters=filters)


def test_filters_are_read_from_every_only_and_not():
    found = filtered(only=["release:2.8", "tenant:"], **{"not": ["outcome:failed", "outcome:failed"]})
    assert found.scope.conditions == (
        Condition("release", "2.8"),
        Condition("tenant", None),
        Condition("outcome", "failed", negated=True),
    )
    assert found.complaints == ()


def test_a_written_filter_reads_back_as_the_same_condition():
    conditions = (Condition("release", "a:b' c"), Condition("failed_tool", None, negated=True))
    written = links.spike(Scope(YESTERDAY, NOW, "support", conditions), alert="TachographCostSpike")
    assert written["only"] == ["release:a:b' c"]
    read = links.window(
        {name: value for name, value in written.items() if isinstance(value, str)},
        NOW,
        filters={name: value for name, value in written.items() if not isinstance(value, str)},
    )
    assert (read.scope, read.alert) == (Scope(YESTERDAY, NOW, "support", conditions), "TachographCostSpike")


@pytest.mark.parametrize("written", ["run_id:13", "cost) OR (1=1:x", "model:gpt-4o", "release", ""])
def test_a_filter_by_what_is_no_attribute_is_said_and_passed_over(written):
    found = filtered(only=[written])
    assert found.scope.conditions == ()
    (complaint,) = found.complaints
    assert complaint.startswith(f"The address asks for only=“{written}”, which is no filter: release:2.8 would be one")


def test_a_page_that_shows_no_filters_has_none():
    assert links.window({"only": "release:2.8"}, NOW).scope.conditions == ()


@pytest.mark.parametrize("written", ["${__from}", "${__from:date:iso}"])
def test_a_time_that_the_dashboard_did_not_fill_in_is_absent(written):
    found = links.window({"from": written, "to": "${__to}", "agent": "${agent:csv}"}, NOW)
    assert found == Window("24h", Scope(YESTERDAY), chosen=False)
