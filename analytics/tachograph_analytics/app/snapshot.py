"""From any page into an incident: what the page shows becomes a note, with its link, its SQL and its rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics import incidents
from tachograph_analytics.app import links, state
from tachograph_analytics.app.incidents import CARRIED, here
from tachograph_analytics.app.words import plain
from tachograph_analytics.store.casebook import Casebook, Cell, View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.incidents import Incident

NOTE_PARAMETER = "note"  # of the Incident page: the note that was added just now
_LABEL = "Add to incident"
_ICON = ":material/note_add:"
_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a page shows: the sentence over it, the SQL behind its main table, and that table."""

    title: str
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def add_to_incident(snapshot: Snapshot, *, suggested: str | None = None) -> None:
    """The button that adds what the page shows to an incident and goes there.

    One click where the address carries an incident along, or where `suggested` is the id of one that goes on, else a
    choice of those that go on or a new one.
    """
    store = state.store()
    asked = carried(st.query_params).get(CARRIED)
    meant = incidents.find(store.connection, asked) if asked else None
    if meant is None and suggested:
        found = incidents.find(store.connection, suggested)
        meant = found if found is not None and found.ongoing else None
    if meant is None:
        with st.popover(_LABEL, icon=_ICON, help="Keep what this page shows as a note of an incident"):
            _choice(store, snapshot)
    elif st.button(_LABEL, icon=_ICON, help=plain(f"Keeps what this page shows as a note of: {meant.title}")):
        _add(store, snapshot, meant.id)


def carried(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters that take an incident along to the next page: the one that came here, else the alert's.

    `params` are those of the open page. Where they name an alert, it is the incident of that alert and agent that
    fires, the newest if several do. Empty where there is none.
    """
    if params.get(CARRIED):
        return {CARRIED: params[CARRIED]}
    if not params.get("alert"):
        return {}
    return _of_alert(incidents.firing(state.store().connection), params["alert"], params.get("agent"))


def _of_alert(firing: Sequence[Incident], alert: str, agent: str | None) -> dict[str, str]:
    named = [one for one in firing if one.name == alert]
    meant = [one for one in named if one.agent == agent] or ([] if agent else named)
    return {CARRIED: meant[0].id} if meant else {}


def _choice(store: state.Store, snapshot: Snapshot) -> None:
    ongoing = {one.id: one for one in incidents.listed(store.connection) if one.ongoing}
    if ongoing:
        chosen = st.selectbox("Incident", list(ongoing), format_func=lambda one: ongoing[one].title, key="add to")
        if st.button("Add", icon=_ICON, type="primary"):
            _add(store, snapshot, chosen)
    title = st.text_input("Title of a new incident", max_chars=_TITLE_CHARS, key="title of new")
    if st.button("New incident", icon=":material/add:"):
        if not title.strip():
            st.warning("An incident needs a title.")
            return
        agent = st.query_params.get("agent") or None
        _add(store, snapshot, Casebook(store.home).open(title, datetime.now(UTC), agent))


def _add(store: state.Store, snapshot: Snapshot, incident_id: str) -> None:
    view = View(snapshot.title, here(), snapshot.sql, snapshot.columns, snapshot.rows)
    note = Casebook(store.home).add(incident_id, view, datetime.now(UTC))
    st.switch_page(links.INCIDENT_PAGE, query_params={**links.incident(incident_id), NOTE_PARAMETER: str(note)})
