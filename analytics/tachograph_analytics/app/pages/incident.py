"""Incident: how do we end this?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app import frame, links, state
from tachograph_analytics.app.findings import severity
from tachograph_analytics.app.incidents import CARRIED, base, draw_ways, own_page, sentence, status
from tachograph_analytics.app.snapshot import NOTE_PARAMETER
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import many, plain, when
from tachograph_analytics.incidents import Incident, find, listed
from tachograph_analytics.incidents.export import FORMS, file_name
from tachograph_analytics.incidents.report import Report, again, exact, gathered, made, said, second
from tachograph_analytics.store.casebook import Casebook, Field, Note
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tachograph_analytics.incidents.export import Form

_SHOWN = 50  # incidents that are over; older ones are on the command line
_TITLE_CHARS, _TEXT_CHARS = 200, 20_000
_ALL_AGENTS = ""


def page() -> None:
    """Draws the page."""
    st.title("How do we end this?")
    home = Home.default()
    if not home.wal.is_dir():
        frame.nothing_yet(home)
        return
    store = state.store()
    incident_id = st.query_params.get("id", "").strip()
    incident = find(store.connection, incident_id) if incident_id else None
    if incident is not None:
        _incident(store, incident)
    else:
        if incident_id:
            st.warning(plain(f"There is no incident {incident_id} in this data."), icon=":material/search_off:")
        _all(store)
    frame.foot(state.everything(store), (), home)


# -- all incidents


def _all(store: state.Store) -> None:
    incidents = listed(store.connection)
    ongoing = [one for one in incidents if one.ongoing]
    over = [one for one in incidents if not one.ongoing]
    st.header("Going on", anchor="ongoing")
    _lines(ongoing, "No incident goes on.")
    st.header("Over", anchor="over")
    _lines(over[:_SHOWN], "No incident is over yet.")
    if len(over) > _SHOWN:
        st.caption(f"{len(over) - _SHOWN:,} older ones: `tachograph incident list --home {store.home.path}`")
    _new(store)


def _lines(incidents: Sequence[Incident], nothing: str) -> None:
    if not incidents:
        st.markdown(nothing)
    for one in incidents:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            status(one)
            # A link to the page that is open would leave the address as it is.
            words = f":primary[{plain(one.title)}]"
            st.button(words, key=f"open {one.id}", type="tertiary", on_click=_open, args=(one.id,))
            whose = f"{one.agent} · " if one.agent else ""
            st.caption(plain(f"{whose}since {when(one.since)} · {many(one.notes, 'note')} · {one.id}"))


def _new(store: state.Store) -> None:
    st.header("Open one by hand", anchor="new")
    agents = state.everything(store).agents
    with st.form("new incident", border=True):
        title = st.text_input("Title", max_chars=_TITLE_CHARS, placeholder="What is wrong, in a few words")
        agent = st.selectbox("Agent", [_ALL_AGENTS, *agents], format_func=lambda one: one or "All agents")
        if st.form_submit_button("Open an incident", icon=":material/add:"):
            if title.strip():
                _open(Casebook(store.home).open(title, datetime.now(UTC), agent or None))
                st.rerun()
            st.warning("An incident needs a title.")


def _open(incident_id: str) -> None:
    st.query_params.from_dict(links.incident(incident_id))


# -- one incident


def _incident(store: state.Store, incident: Incident) -> None:
    report = gathered(store.connection, incident, store.home, datetime.now(UTC), base())
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        status(incident)
        if incident.severity:
            severity(incident.severity)
        st.subheader(plain(incident.title), anchor="incident", width="stretch")
    st.markdown(sentence(incident))
    for text in (incident.summary, incident.description):
        if text and text != incident.title:
            st.markdown(plain(text))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        draw_ways(incident)
    _exports(store, report)
    _conclusions(store, incident)
    _notes(store, report)
    st.header("Timeline", anchor="timeline")
    table(
        {
            "Time": [second(moment.at) for moment in report.moments],
            "Source": [moment.source for moment in report.moments],
            "What": [moment.what for moment in report.moments],
            "Run": [moment.run_id or "" for moment in report.moments],
        }
    )
    st.button("All incidents", icon=":material/list:", on_click=st.query_params.clear)


def _exports(store: state.Store, report: Report) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for name, form in FORMS.items():
            st.download_button(
                f"Download {form.label}",
                _written(store.home, report.incident.id, form, report.app_url),
                file_name=file_name(report.incident.id, form),
                mime=form.mime,
                on_click="ignore",
                icon=":material/download:",
                key=f"download {name}",
            )
        if report.incident.by_hand:
            _ending(store, report.incident)


def _written(home: Home, incident_id: str, form: Form, app_url: str) -> Callable[[], bytes]:
    """The report, made when it is asked for: by then more may have been written."""
    return lambda: form.write(made(home, incident_id, datetime.now(UTC), app_url)).encode()


def _ending(store: state.Store, incident: Incident) -> None:
    casebook = Casebook(store.home)
    words, icon = ("Close the incident", "check") if incident.ongoing else ("Open it again", "undo")
    st.button(
        words,
        icon=f":material/{icon}:",
        on_click=lambda: casebook.close(incident.id, datetime.now(UTC) if incident.ongoing else None),
    )


def _conclusions(store: state.Store, incident: Incident) -> None:
    """What people find out. Each text is kept when its field is left, and everybody sees it from then on."""
    st.header("What we know", anchor="conclusions")
    casebook = Casebook(store.home)

    def keep(field: Field) -> None:
        casebook.write(incident.id, field, st.session_state[field])

    st.session_state["title"] = incident.title
    st.text_input("Title", key="title", max_chars=_TITLE_CHARS, on_change=keep, args=("title",))
    left, right = st.columns(2)
    for column, field, label, value in (
        (left, "cause", "Cause", incident.cause),
        (right, "fix", "Fix", incident.fix),
    ):
        st.session_state[field] = value or ""
        column.text_area(label, key=field, max_chars=_TEXT_CHARS, on_change=keep, args=(field,))
    st.caption("Kept when you leave a field.")


def _notes(store: state.Store, report: Report) -> None:
    st.header("Notes", anchor="notes")
    if not report.notes:
        st.markdown("None yet. “Add to incident” on any page keeps what that page shows.")
    added = st.query_params.get(NOTE_PARAMETER)
    for number, note in enumerate(report.notes, 1):
        with st.container(border=True):
            if str(note.id) == added:
                st.badge("● Added just now: say what it shows", color="blue")
            _note(store, number, note)


def _note(store: state.Store, number: int, note: Note) -> None:
    casebook, key, view = Casebook(store.home), f"note {note.id}", note.view
    st.markdown(f"**Note {number}: {plain(view.title)}**")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(second(note.at))
        target = own_page(view.url)
        if target is not None:
            st.page_link(
                target.page,
                label=":primary[See it again]",
                icon=":material/link:",
                query_params={**target.params, CARRIED: note.incident},
                help=view.url,
            )
        with st.popover("SQL", type="tertiary", icon=":material/database:", help=f"Where note {number} comes from"):
            st.code(view.sql, language="sql", wrap_lines=True)
            st.caption("The same on the command line:")
            st.code(again(store.home, view.sql), language="bash", wrap_lines=True)
        with st.popover("Delete", type="tertiary", icon=":material/delete:", help=f"Delete note {number}"):
            st.button(f"Delete note {number} for good", key=f"delete {key}", on_click=casebook.remove, args=(note.id,))
    st.session_state[key] = note.text
    st.text_area(
        f"Text of note {number}",
        key=key,
        max_chars=_TEXT_CHARS,
        placeholder="What does it show?",
        on_change=lambda: casebook.rewrite(note.id, st.session_state[key]),
    )
    if view.columns:
        table({name: [exact(row[place]) for row in view.rows] for place, name in enumerate(view.columns)})
    if note.omitted:
        st.caption(said(note.omitted))


page()
