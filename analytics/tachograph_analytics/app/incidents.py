"""Incidents as lines and links: how each stands in word and shape, and the ways to its pages."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import streamlit as st

from tachograph_analytics.app import links
from tachograph_analytics.app.words import plain, when
from tachograph_analytics.incidents.foreign import is_link
from tachograph_analytics.incidents.report import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph_analytics.incidents import Incident

# The parameter that every page carries along, see links.py.
CARRIED: Final = "incident"

_COLOURS: Final[Mapping[str, Literal["red", "orange", "green"]]] = {
    "firing": "red",
    "open": "orange",
    "resolved": "green",
    "closed": "green",
}
_PAGES: Final[Mapping[str, str]] = {
    "": links.START_PAGE,
    "spike": links.SPIKE_PAGE,
    "canary": links.CANARY_PAGE,
    "run": links.RUN_PAGE,
    "incident": links.INCIDENT_PAGE,
}
# Of these, every link of ours to a page on any host has one; no other site's page of the same name is likely to.
_OURS: Final = frozenset({"alert", "agent", "run", "from", "rule", "baseline", "candidate", "id", "only", "not"})


@dataclass(frozen=True, slots=True)
class Target:
    """One of the app's own pages with its parameters."""

    page: str
    params: dict[str, str | list[str]]


def status(incident: Incident) -> None:
    """The badge of how an incident stands."""
    st.badge(STATUS_WORDS[incident.status], color=_COLOURS[incident.status])


def sentence(incident: Incident) -> str:
    """How an incident stands, since when, whose it is and what it is about, as Markdown that shows it literally."""
    times = f"since {when(incident.since)}"
    if not incident.ongoing:
        times = f"{when(incident.since)} to {when(incident.until)}"
    whose = f"({incident.agent})" if incident.agent else ""
    named = " ".join(filter(None, (incident.name, whose)))
    title = incident.title if incident.title != incident.name else ""
    about = ": ".join(filter(None, (named, title))) if incident.name else f"{title} {whose}".strip()
    return plain(f"{STATUS_WORDS[incident.status]} {times}: {about}")


def draw_line(incident: Incident) -> None:
    """One incident on a line: what it is, and the ways to its page, to the cause and to the runbook."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{sentence(incident)}**", width="stretch")
        st.page_link(
            links.INCIDENT_PAGE,
            label=":primary[Incident]",
            icon=":material/assignment:",
            query_params=links.incident(incident.id),
            help=f"Notes, timeline and report of {incident.id}",
        )
        draw_ways(incident)


def draw_ways(incident: Incident) -> None:
    """Links to where the alert says to go on: the page of the app that shows the cause, the dashboard, the runbook."""
    target = own_page(incident.investigate_url)
    if target is not None:
        params = {**target.params, CARRIED: incident.id}
        if _PAGES.get(_path()) == target.page:  # a link to the page that is open would leave the address as it is
            st.button(
                "Investigate",
                key=f"investigate {incident.id}",
                type="tertiary",
                icon=":material/search:",
                on_click=st.query_params.from_dict,
                args=(params,),
            )
        else:
            st.page_link(target.page, label=":primary[Investigate]", icon=":material/search:", query_params=params)
    named = {
        "Investigate": incident.investigate_url if target is None else None,
        "Dashboard": incident.dashboard_url,
        "Runbook": incident.runbook_url,
    }
    words = [f"[{name}]({url})" for name, url in named.items() if is_link(url)]
    if words:
        st.markdown(" · ".join(words), width="content")


def own_page(url: str | None, app: str | None = None) -> Target | None:
    """The page of the app that an address means; None for an address that is none of the app's.

    People reach the app by several names, so on a host that is neither the app's own nor this machine a page is known
    by its path and a parameter of ours. `app` is where the app is, by default where the reader has found it.
    """
    if url is None:
        return None
    own = urlsplit(base() if app is None else app)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # an address with a broken host
        return None
    if parts.scheme not in {"", "http", "https"}:
        return None
    page = _page(parts.path, own.path.rstrip("/"))
    asked = parse_qs(parts.query, keep_blank_values=True)
    ours = host is None or host == own.hostname or _is_loopback(host) or not _OURS.isdisjoint(asked)
    if page is None or not ours:
        return None
    return Target(page, {name: values[0] if len(values) == 1 else values for name, values in asked.items()})


def _path() -> str:
    """The last part of the open page's path."""
    return PurePosixPath(urlsplit(st.context.url or "").path).name


def here() -> str:
    """The path and query of the open page without what only carries an incident along; it opens on any host."""
    path = _path()
    asked = {name: st.query_params.get_all(name) for name in st.query_params if name != CARRIED}
    query = urlencode(asked, doseq=True)
    return f"/{path if path in _PAGES else ''}{f'?{query}' if query else ''}"


def base() -> str:
    """The address below which the reader finds the app's pages."""
    parts = urlsplit(st.context.url or "")
    folder = parts.path.rpartition("/")[0] if parts.path.rpartition("/")[2] in _PAGES else parts.path
    return f"{parts.scheme}://{parts.netloc}{folder}".rstrip("/") if parts.netloc else ""


def _page(path: str, folder: str) -> str | None:
    """The page at exactly this path, or at it below the folder of the app."""
    paths = {f"{below}/{name}".rstrip("/"): page for below in ("", folder) for name, page in _PAGES.items()}
    return paths.get(path.rstrip("/"))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
