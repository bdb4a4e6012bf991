"""Start: is anything wrong now?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app import figures, findings, frame, links, state
from tachograph_analytics.app.words import many, plain
from tachograph_analytics.detections import Coverage, Group, grouped
from tachograph_analytics.incidents import firing
from tachograph_analytics.runs.extent import Extent, count, nearest
from tachograph_analytics.runs.totals import Pricing, pricing, totals
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph_analytics.app.links import Window
    from tachograph_analytics.incidents import Incident
    from tachograph_analytics.runs.scope import Scope

_SHOWN = 12
_ALL_AGENTS = ""


def page() -> None:
    """Draws the page."""
    st.title("Is anything wrong now?")
    home = Home.default()
    if not home.wal.is_dir():
        frame.nothing_yet(home)
        return
    store = state.store()
    extent = state.everything(store)
    for incident in firing(store.connection):
        findings.draw_incident(incident)
    if not extent.runs:
        frame.nothing_yet(home)
        return
    window = links.window(st.query_params, datetime.now(UTC))
    _controls(window, extent)
    for complaint in window.complaints:
        st.warning(plain(complaint))
    scope, title = _with_data(store, window, extent)
    prices = None
    if scope is not None:
        groups = grouped(state.findings(store, scope))
        coverage = [c for c in state.coverage(store) if scope.agent in {None, c.agent}]
        _asked_for(window, groups, firing(store.connection))
        _findings(sorted(groups, key=lambda group: group.rule != window.rule), coverage, title)
        prices = pricing(store.connection, scope)
        _totals(store, scope, prices)
        findings.draw_coverage(coverage)
    frame.foot(extent, prices.price_dates if prices else (), home)


def _controls(window: Window, extent: Extent) -> None:
    """Range and agent. The URL decides, the widgets follow it and write to it: a link shows what its sender saw."""
    ranges = [*links.RANGES, *([links.CUSTOM] if window.name == links.CUSTOM else [])]
    titles = {name: title for name, (title, _) in links.RANGES.items()} | {links.CUSTOM: window.title}
    agents = sorted({*extent.agents, *([window.scope.agent] if window.scope.agent else [])})
    st.session_state["range"] = window.name
    st.session_state["agent"] = window.scope.agent or _ALL_AGENTS
    left, right, _ = st.columns([2, 2, 3])
    left.selectbox("Time range (UTC)", ranges, format_func=titles.__getitem__, key="range", on_change=_range_changed)
    right.selectbox(
        "Agent",
        [_ALL_AGENTS, *agents],
        format_func=lambda agent: agent or "All agents",
        key="agent",
        on_change=_agent_changed,
    )


def _range_changed() -> None:
    chosen = st.session_state["range"]
    if chosen == links.CUSTOM:
        return
    for name in ("from", "to"):
        st.query_params.pop(name, None)
    st.query_params["range"] = chosen


def _agent_changed() -> None:
    if st.session_state["agent"] == _ALL_AGENTS:
        st.query_params.pop("agent", None)
    else:
        st.query_params["agent"] = st.session_state["agent"]


def _with_data(store: state.Store, window: Window, extent: Extent) -> tuple[Scope | None, str]:
    """The scope to show and its title: the asked one, or a day with data where the URL asks for no time."""
    scope, of_agent = window.scope, f" of {window.scope.agent}" if window.scope.agent else ""
    if count(store.connection, scope):
        return scope, window.title + of_agent
    other = nearest(store.connection, scope)
    if other is None:
        st.info(plain(f"No runs{of_agent} in this data.") + _agents(extent), icon=":material/inbox:")
        return None, ""
    title = links.window(links.start(other), datetime.now(UTC)).title
    if window.chosen:
        st.info(plain(f"No runs{of_agent} in this range: {window.title}."), icon=":material/inbox:")
        if st.button(f"Show the nearest day with runs: {title}", type="primary"):
            st.query_params.clear()
            st.query_params.update(links.start(other))
            st.rerun()
        return None, ""
    st.info(
        plain(f"No runs{of_agent} in the last 24 hours. Shown instead is the newest day with runs: {title}."),
        icon=":material/history:",
    )
    return other, title + of_agent


def _agents(extent: Extent) -> str:
    return f" The agents in it are {plain(', '.join(extent.agents))}." if extent.agents else ""


def _asked_for(window: Window, groups: Sequence[Group], incidents: Sequence[Incident]) -> None:
    """Says where the thing stands that a link was about, when it is not on the page."""
    if window.alert and window.alert not in {incident.name for incident in incidents}:
        st.info(plain(f"The alert {window.alert} that led here does not fire in this data."), icon=":material/link:")
    if window.rule and window.rule not in {group.rule for group in groups}:
        st.info(plain(f"The link is about {window.rule}: it has no finding in this range."), icon=":material/link:")


def _findings(groups: Sequence[Group], coverage: Sequence[Coverage], title: str) -> None:
    st.header("Findings", anchor="findings")
    if not groups:
        _nothing_found(coverage, title)
        return
    total = sum(group.count for group in groups)
    st.markdown(f"{many(total, 'finding')} of {many(len(groups), 'kind')} · {plain(title)}, most severe first.")
    for group in groups[:_SHOWN]:
        findings.draw(group)
    if len(groups) > _SHOWN:
        with st.expander(f"{len(groups) - _SHOWN} more"):
            for group in groups[_SHOWN:]:
                findings.draw(group)


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


def _totals(store: state.Store, scope: Scope, prices: Pricing) -> None:
    st.header("In figures", anchor="figures")
    answers = totals(store.connection, scope)
    remarks = (_prices(prices), _prices(prices), "of the runs that ended", "runs refused, or denied by a checkpoint")
    drawn = (answers.spend, answers.cost_per_success, answers.success_rate, answers.blocked)
    for column, figure, remark in zip(st.columns(4), drawn, remarks, strict=True):
        with column:
            figures.draw(figure, remark)


def _prices(prices: Pricing) -> str:
    """How the money was counted: an estimate says so, with the date of its prices."""
    parts: list[str] = []
    if prices.estimated_calls:
        dates = ", ".join(prices.price_dates)
        parts.append(f"estimated, prices of {dates}" if dates else "estimated")
    if prices.reported_calls:
        parts.append(f"{many(prices.reported_calls, 'call')} as the provider says" if parts else "as the provider says")
    if prices.unpriced_calls:
        parts.append(f"without {many(prices.unpriced_calls, 'call')} that have no price")
    return plain("; ".join(parts) or "no LLM calls")


page()
