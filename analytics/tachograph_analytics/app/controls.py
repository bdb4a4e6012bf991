"""What a page is about, chosen by hand: range, agent and moments. The address decides, the widgets follow it.

Each writes to the address what is chosen, so that a link shows what its sender saw.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app import links
from tachograph_analytics.app.words import plain
from tachograph_analytics.runs.extent import Extent, count, nearest

if TYPE_CHECKING:
    from tachograph_analytics.app.links import Window
    from tachograph_analytics.app.state import Store
    from tachograph_analytics.runs.scope import Scope

_ALL_AGENTS = ""


def draw(window: Window, extent: Extent) -> None:
    """Range and agent."""
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


def draw_moments(since: datetime, until: datetime) -> None:
    """The two ends of the window as texts: what the chart's brush does, for the keyboard."""
    left, right, _ = st.columns([2, 2, 3])
    for column, name, label, at in ((left, "from", "From (UTC)", since), (right, "to", "To (UTC)", until)):
        st.session_state[name] = _minutes(at)
        column.text_input(label, key=name, on_change=_moments_changed)


def choose(since: datetime, until: datetime) -> None:
    """Writes a range to the address."""
    st.query_params.pop("range", None)
    st.query_params.update({"from": _address(since), "to": _address(until)})


def with_data(store: Store, window: Window, extent: Extent) -> tuple[Scope | None, str]:
    """The scope to show and its title: the asked one, or a day with data where the address asks for no time.

    None where there is nothing to show; the page has then said so, and offered what there is.
    """
    scope, of_agent = window.scope, f" of {window.scope.agent}" if window.scope.agent else ""
    if count(store.connection, scope):
        return scope, window.title + of_agent
    if scope.conditions and count(store.connection, replace(scope, conditions=())):
        st.info(plain(f"No run{of_agent} in this range meets all filters: {window.title}."), icon=":material/inbox:")
        return None, ""
    other = nearest(store.connection, scope)
    if other is None:
        known = f" The agents in it are {', '.join(extent.agents)}." if extent.agents else ""
        st.info(plain(f"No runs{of_agent} in this data.{known}"), icon=":material/inbox:")
        return None, ""
    title = links.window(links.start(other), datetime.now(UTC)).title
    if window.chosen:
        st.info(plain(f"No runs{of_agent} in this range: {window.title}."), icon=":material/inbox:")
        st.button(f"Show the nearest day with runs: {title}", type="primary", on_click=_choose_scope, args=(other,))
        return None, ""
    st.info(
        plain(f"No runs{of_agent} in the last 24 hours. Shown instead is the newest day with runs: {title}."),
        icon=":material/history:",
    )
    return other, title + of_agent


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


def _moments_changed() -> None:
    """Both ends, as they were typed: what cannot be read as a time is said by the page that reads the address."""
    st.query_params.pop("range", None)
    st.query_params.update({name: st.session_state[name].strip() for name in ("from", "to")})


def _choose_scope(scope: Scope) -> None:
    st.query_params.pop("range", None)
    st.query_params.update(links.start(scope))


def _minutes(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _address(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
