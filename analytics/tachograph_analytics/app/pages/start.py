"""Start: is anything wrong now?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app import (
    breakdowns,
    controls,
    figures,
    findings,
    frame,
    incidents,
    links,
    prices,
    sampled,
    state,
)
from tachograph_analytics.app.snapshot import Snapshot, add_to_incident
from tachograph_analytics.app.words import many, plain, when
from tachograph_analytics.detections import Coverage, Group, grouped, sql
from tachograph_analytics.incidents import listed
from tachograph_analytics.runs.estimate import sampling
from tachograph_analytics.runs.totals import Pricing, pricing, totals
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph_analytics.app.links import Window
    from tachograph_analytics.incidents import Incident
    from tachograph_analytics.runs.scope import Scope

_LINES = 12  # incidents and findings together: what one look takes in
_LEAST_FINDINGS = 5  # however many incidents there are


def page() -> None:
    """Draws the page."""
    st.title("Is anything wrong now?")
    home = Home.default()
    if not home.wal.is_dir():
        frame.nothing_yet(home)
        return
    store = state.store()
    extent = state.everything(store)
    ongoing = [incident for incident in listed(store.connection) if incident.ongoing]
    for incident in ongoing:
        incidents.draw_line(incident)
    if not extent.runs:
        frame.nothing_yet(home)
        return
    window = links.window(st.query_params, datetime.now(UTC))
    controls.draw(window, extent)
    for complaint in window.complaints:
        st.warning(plain(complaint))
    scope, title = controls.with_data(store, window, extent)
    priced = None
    if scope is not None:
        groups = grouped(state.findings(store, scope))
        coverage = [c for c in state.coverage(store) if scope.agent in {None, c.agent}]
        _asked_for(window, groups, ongoing)
        room = max(_LINES - len(ongoing), _LEAST_FINDINGS)
        _findings(sorted(groups, key=lambda group: group.rule != window.rule), coverage, title, room)
        priced = pricing(store.connection, scope)
        _totals(store, scope, priced)
        breakdowns.draw(store.connection, scope)
        findings.draw_coverage(coverage)
    frame.foot(extent, priced.price_dates if priced else (), home)


def _asked_for(window: Window, groups: Sequence[Group], ongoing: Sequence[Incident]) -> None:
    """Says what a link was about, and where the thing stands when it is not on the page."""
    fires = [incident for incident in ongoing if window.alert and incident.name == window.alert]
    if fires:
        st.caption(plain(f"▲ The alert {window.alert} that led here fires since {when(fires[0].since)}."))
    elif window.alert:
        st.info(plain(f"The alert {window.alert} that led here does not fire in this data."), icon=":material/link:")
    if window.rule and window.rule not in {group.rule for group in groups}:
        st.info(plain(f"The link is about {window.rule}: it has no finding in this range."), icon=":material/link:")


def _findings(groups: Sequence[Group], coverage: Sequence[Coverage], title: str, room: int) -> None:
    st.header("Findings", anchor="findings")
    if not groups:
        _nothing_found(coverage, title)
        return
    total = sum(group.count for group in groups)
    sentence = f"{many(total, 'finding')} of {many(len(groups), 'kind')} · {title}, most severe first."
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(plain(sentence), width="content")
        add_to_incident(_snapshot(groups, sentence))
    for group in groups[:room]:
        findings.draw(group)
    if len(groups) > room:
        with st.expander(f"{len(groups) - room} more"):
            for group in groups[room:]:
                findings.draw(group)


def _snapshot(groups: Sequence[Group], sentence: str) -> Snapshot:
    """The findings as they stand on the page, and the queries that give them."""
    rules = dict.fromkeys(group.rule for group in groups)
    return Snapshot(
        sentence,
        "\n\n".join(f"-- {rule}\n{sql(rule)};" for rule in rules),
        ("rule", "agent", "findings", "runs", "sentence", "newest run"),
        tuple((g.rule, g.agent, g.count, g.runs, g.sentence, next(iter(g.examples), None)) for g in groups),
    )


def _nothing_found(coverage: Sequence[Coverage], title: str) -> None:
    blind = sum(c.state == "not instrumented" for c in coverage)
    if not blind:
        st.success(plain(f"Nothing unusual: {title}."), icon=":material/check:")
        return
    st.info(
        plain(
            f"Nothing unusual was seen: {title}. But {blind} of {len(coverage)} detections cannot see anything here, "
            "because what they need is not instrumented (below)."
        ),
        icon=":material/visibility_off:",
    )


def _totals(store: state.Store, scope: Scope, priced: Pricing) -> None:
    st.header("In figures", anchor="figures")
    answers = totals(store.connection, scope)
    money = plain(prices.said(priced))
    remarks = (money, money, "of the runs that ended", "runs refused, or denied by a checkpoint")
    drawn = (answers.spend, answers.cost_per_success, answers.success_rate, answers.blocked)
    for column, figure, remark in zip(st.columns(4), drawn, remarks, strict=True):
        with column:
            figures.draw(figure, remark)
    kept = sampling(store.connection, scope)
    if kept is not None:
        st.caption(plain(sampled.estimated(kept, "These four figures")))


page()
