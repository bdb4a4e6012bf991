"""Canary: may this release go on?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import streamlit as st

from tachograph_analytics.app import comparisons, frame, gates, links, sampled, side_by_side, state
from tachograph_analytics.app.snapshot import Snapshot, add_to_incident
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import number, plain, when
from tachograph_analytics.canary import Comparison, Pair, Release, compare, default_pair, releases
from tachograph_analytics.canary.decisions import decisions
from tachograph_analytics.canary.evidence import kinds, movers, spread
from tachograph_analytics.canary.golden import cases
from tachograph_analytics.runs.estimate import sampling
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.runs.totals import pricing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tachograph_analytics.app.links import Window

_KEPT: Final = 32  # comparisons; each is a few numbers and its SQL
_ONE_LOOK: Final = (
    "Each interval is that of a single look. Whoever looks again and again until something shows will find something, "
    "so this page gives numbers and no verdict."
)


def page() -> None:
    """Draws the page."""
    found = frame.opened("May this release go on?")
    if found is None:
        return
    store, extent = found
    window = links.window(st.query_params, datetime.now(UTC))
    for complaint in window.complaints:
        st.warning(plain(complaint))
    known = releases(store.connection)
    pair = _pair(window, known)
    dates: tuple[str, ...] = ()
    if pair is not None:
        scope = window.scope if window.chosen else Scope()
        comparison = _comparison(store.connection, str(store.home.path), store.version, pair, scope)
        if comparison is None:
            _never_together(pair, window)
        else:
            _draw(store, comparison, scope)
            dates = pricing(store.connection, comparison.scope.of_calls()).price_dates
    _known(known, pair.agent if pair else window.scope.agent)
    frame.foot(extent, dates, store.home)


# The underscore keeps the connection out of the key: path and version say what it holds.
@st.cache_resource(max_entries=_KEPT, show_spinner="Comparing the releases …")
def _comparison(
    _connection: duckdb.DuckDBPyConnection, path: str, version: str, pair: Pair, scope: Scope
) -> Comparison | None:
    del path, version
    return compare(_connection, pair, scope)


def _pair(window: Window, known: Sequence[Release]) -> Pair | None:
    """The pair that the address asks for, what it leaves open filled up; draws the choice, or says what is missing."""
    agents = sorted({release.agent for release in known})
    asked = window.scope.agent
    default = default_pair(known, asked)
    agent = asked or (default.agent if default else agents[0] if agents else None)
    of_agent = {release.id: release for release in known if release.agent == agent}
    if asked is not None and asked not in agents:
        there = f" Agents with releases are {', '.join(agents)}." if agents else ""
        st.warning(plain(f"No release of {asked} is in this data.{there}"), icon=":material/search_off:")
    if default is None:
        _choice(window, agents, agent, of_agent, None)
        _one_release(agent, list(of_agent))
        return None
    baseline, candidate = (
        _asked_for(name, of_agent, usual)
        for name, usual in (("baseline", default.baseline), ("candidate", default.candidate))
    )
    # Where the address names one of the two, the other must not be the same one by default.
    if baseline == candidate and ("baseline" in st.query_params) != ("candidate" in st.query_params):
        other = next(release for release in of_agent.values() if release != baseline)
        baseline, candidate = (baseline, other) if "baseline" in st.query_params else (other, candidate)
    pair = Pair(baseline, candidate)
    _choice(window, agents, agent, of_agent, pair)
    if baseline == candidate:
        st.warning("A release cannot be compared with itself: choose two different ones.", icon=":material/info:")
        return None
    return pair


def _asked_for(name: str, of_agent: dict[str, Release], usual: Release) -> Release:
    """The release that the address names, or the usual one; an unknown name is said to be unknown."""
    asked = st.query_params.get(name, "")
    if asked and asked not in of_agent:
        st.warning(
            plain(
                f"Release {asked} of {usual.agent} is not in this data. It holds {', '.join(sorted(of_agent))}. "
                f"Shown instead is {usual.id}."
            ),
            icon=":material/search_off:",
        )
    return of_agent.get(asked, usual)


def _choice(
    window: Window, agents: Sequence[str], agent: str | None, of_agent: dict[str, Release], pair: Pair | None
) -> None:
    """Agent, releases and range. The address decides, the widgets follow it and write to it."""
    columns = st.columns([2, 2, 2, 2])
    if agents:
        st.session_state["agent"] = agent if agent in agents else agents[0]
        columns[0].selectbox("Agent", agents, key="agent", on_change=_agent_changed)
    for column, name, chosen in (
        (columns[1], "baseline", pair and pair.baseline),
        (columns[2], "candidate", pair and pair.candidate),
    ):
        if chosen:
            st.session_state[name] = chosen.id
            column.selectbox(
                name.capitalize(),
                list(of_agent),
                format_func=lambda release: _titled(of_agent[release]),
                key=name,
                on_change=_chosen,
                args=(name,),
            )
    ranges = [*links.RANGES, *([links.CUSTOM] if window.name == links.CUSTOM else [])]
    titles = {name: title for name, (title, _) in links.RANGES.items()} | {links.CUSTOM: window.title}
    st.session_state["range"] = window.name if window.chosen else "all"
    columns[3].selectbox(
        "Time range (UTC)", ranges, format_func=titles.__getitem__, key="range", on_change=_range_changed
    )


def _titled(release: Release) -> str:
    tracks = f" ({', '.join(release.tracks)})" if release.tracks else ""
    return f"{release.id}{tracks}"


def _agent_changed() -> None:
    for name in ("baseline", "candidate", "gate"):
        st.query_params.pop(name, None)
    st.query_params["agent"] = st.session_state["agent"]


def _range_changed() -> None:
    if st.session_state["range"] == links.CUSTOM:
        return
    for name in ("from", "to"):
        st.query_params.pop(name, None)
    st.query_params["range"] = st.session_state["range"]


def _chosen(name: str) -> None:
    st.query_params[name] = st.session_state[name]


def _one_release(agent: str | None, there: Sequence[str]) -> None:
    """What to call so that there are two releases to compare."""
    if there:
        said = f"Only release {there[0]} of {agent} is in this data. Another one is told apart when its process says:"
    else:
        said = f"No run{f' of {agent}' if agent else ''} names its release. A process says once which one it serves:"
    st.info(plain(said), icon=":material/alt_route:")
    st.code('import tachograph\n\ntachograph.release("2.8", track="canary")', language="python")


def _never_together(pair: Pair, window: Window) -> None:
    """Says that there is nothing to compare: the one before and the other after is no comparison."""
    spans = " and ".join(f"{r.id} from {when(r.first)} to {when(r.last)}" for r in (pair.baseline, pair.candidate))
    inside = f" within {window.title}" if window.chosen else ""
    st.info(
        plain(
            f"{pair.baseline.id} and {pair.candidate.id} never ran at the same time{inside}: {spans}. What ran before "
            "and what came after cannot be compared, since the traffic changed with the time."
        ),
        icon=":material/inbox:",
    )
    if window.chosen and pair.overlap(Scope()) is not None and st.button("Show all data", type="primary"):
        for name in ("from", "to"):
            st.query_params.pop(name, None)
        st.query_params["range"] = "all"
        st.rerun()


def _draw(store: state.Store, comparison: Comparison, scope: Scope) -> None:
    sentence = comparisons.headline(comparison)
    st.markdown(f"**{plain(sentence)}**")
    st.caption(plain(f"{comparisons.sample(comparison)} {_ONE_LOOK}"))
    warning = comparisons.ramp(comparison)
    if warning:
        st.warning(plain(warning), icon=":material/trending_up:")
    kept = sampling(store.connection, replace(comparison.scope, agent=comparison.pair.agent))
    if kept is not None:
        st.warning(plain(sampled.biased(kept)), icon=":material/filter_alt:")
    told = (*comparison.in_order(), *comparison.silent())
    shown = tuple((gate.criterion.label, gate.baseline.value, gate.candidate.value) for gate in told)
    add_to_incident(Snapshot(sentence, comparison.sql(), ("gate", "baseline", "candidate"), shown))
    gates.draw_all(comparison)
    _one(store, comparison, scope)
    gates.draw_decisions(
        decisions(store.connection, comparison.pair, replace(scope, agent=comparison.pair.agent)), comparison.pair
    )
    side_by_side.draw(store.connection, comparison.pair, comparison.scope)


def _one(store: state.Store, comparison: Comparison, scope: Scope) -> None:
    """One gate with what is behind it: the address's, else the first of the table."""
    st.header("One gate", anchor="gate")
    by_name = {gate.criterion.name: gate for gate in (*comparison.in_order(), *comparison.silent())}
    asked = st.query_params.get("gate", "")
    if asked and asked not in by_name:
        st.warning(plain(f"There is no gate {asked}; there are {', '.join(by_name)}."), icon=":material/search_off:")
    name = asked if asked in by_name else next(iter(by_name))
    st.session_state["gate"] = name
    st.selectbox(
        "Gate to look into",
        list(by_name),
        format_func=lambda gate: by_name[gate].criterion.label,
        key="gate",
        on_change=_chosen,
        args=("gate",),
    )
    gates.draw_numbers(by_name[name])
    about = (store.connection, comparison.pair, comparison.scope, name)
    if (quantity := spread(*about)) is not None:
        gates.draw_spread(quantity, comparison.pair)
    if (happened := kinds(*about)) is not None:
        gates.draw_kinds(happened, comparison)
    if (moved := movers(*about)) is not None:
        gates.draw_movers(moved)
    if name == "golden":
        gates.draw_cases(
            cases(store.connection, comparison.pair, replace(scope, agent=comparison.pair.agent)), comparison.pair
        )


def _known(known: Sequence[Release], agent: str | None) -> None:
    """All releases of the agent, for the choice above."""
    of_agent = [release for release in known if agent in {None, release.agent}]
    if not of_agent:
        return
    with st.expander("All releases", icon=":material/history:"):
        table(
            {
                "Agent": [release.agent for release in of_agent],
                "Release": [release.id for release in of_agent],
                "Tracks": [", ".join(release.tracks) or "none named" for release in of_agent],
                "First run": [when(release.first) for release in of_agent],
                "Last run": [when(release.last) for release in of_agent],
                "Runs": [number(release.runs) for release in of_agent],
                "Sessions": [number(release.sessions) for release in of_agent],
            }
        )


page()
