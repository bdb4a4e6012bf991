"""Findings, incidents and blind spots as sentences: severity in word and shape, each with the way to a run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import streamlit as st

from tachograph.registry import load
from tachograph_analytics.app import incidents, links
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import many, plain, when
from tachograph_analytics.detections import Coverage, Group, sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.incidents import Incident

_Colour = Literal["red", "orange", "blue"]

# Word, shape and colour: each alone says how severe it is.
SEVERITIES: Mapping[str, tuple[str, _Colour]] = {
    "page": ("▲ Urgent", "red"),
    "ticket": ("◆ Soon", "orange"),
    "info": ("● Note", "blue"),
}


def severity(name: str) -> None:
    """The badge of a severity."""
    words, colour = SEVERITIES.get(name, (f"● {name}", "blue"))
    st.badge(words, color=colour)


def draw(group: Group) -> None:
    """One group of findings in a line, with its newest run; more runs and the query behind a button."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        severity(group.severity)
        st.markdown(f"**{plain(group.sentence)}**  \n:small[:gray[{_about(group)}]]", width="stretch")
        if group.examples:
            _run_link(group.examples[0], "See the newest run", icon=":material/account_tree:")
        with st.popover("SQL", type="tertiary", icon=":material/database:", help=f"The query of {group.rule}"):
            st.markdown(f"**{group.rule}** ({group.pattern}): {plain(load().detections[group.rule].brief)}")
            for run_id in group.examples[1:]:
                _run_link(run_id, plain(run_id))
            st.code(sql(group.rule), language="sql", wrap_lines=True)


def _run_link(run_id: str, words: str, icon: str | None = None) -> None:
    st.page_link(
        links.RUN_PAGE,
        label=f":primary[{words}]",
        icon=icon,
        query_params=links.run(run_id),
        help=run_id,
        width="content",
    )


def _about(group: Group) -> str:
    seen = (
        f"seen {when(group.last_seen)}"
        if group.count == 1
        else f"{many(group.count, 'time')}, first {when(group.first_seen)}, last {when(group.last_seen)}"
    )
    releases = f" · release {plain(', '.join(group.releases))}" if group.releases else ""
    return f"agent {plain(group.agent or 'unknown')}{releases} · {seen} · `{group.rule}`"


def draw_incident(incident: Incident) -> None:
    """An incident that goes on, with the ways to its page, to the cause and to the runbook."""
    incidents.draw_line(incident)


def draw_coverage(coverage: Sequence[Coverage]) -> None:
    """Which detections cannot see anything of which agent, and the hooks that they miss."""
    st.header("Not instrumented", anchor="coverage")
    blind = [c for c in coverage if c.state == "not instrumented"]
    if not blind:
        st.markdown(f"All {many(len(coverage), 'detection')} have what they need.")
        return
    agents = sorted({c.agent for c in blind})
    for agent in agents:
        of_agent = [c for c in coverage if c.agent == agent]
        missed = [c for c in blind if c.agent == agent]
        with st.expander(
            f"{plain(agent)}: {len(missed)} of {len(of_agent)} detections are not instrumented, so they say neither "
            "clean nor violated",
            icon=":material/visibility_off:",
        ):
            table(
                {
                    "Detection": [c.rule for c in missed],
                    "Would tell": [load().detections[c.rule].brief for c in missed],
                    "Missing hook": [", ".join(c.missing) for c in missed],
                }
            )
