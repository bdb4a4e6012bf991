"""What a page works on: the store as it is now, and answers that last until there is newer data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics import detections
from tachograph_analytics.runs import extent
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.manifest import open_manifest
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.detections import Coverage, Finding
    from tachograph_analytics.runs.scope import Scope

_STATES_KEPT = 2  # what is being read now and what was there before: sessions move on within one rerun
# Up to here the store is held in memory, about 0.5 GB; above it each question reads the files.
_ROWS_IN_MEMORY = 1_000_000


@dataclass(frozen=True, slots=True)
class Store:
    """The store at one moment; `version` changes when data are committed. The connection is this script run's own."""

    home: Home
    version: str
    connection: duckdb.DuckDBPyConnection


def store() -> Store:
    """The store of the home that this process serves; UsageError where there is none or a newer one."""
    home = Home.default().require()
    version = _version(home)
    # One database for all sessions; a connection must not be used by two threads, so each run takes its own.
    return Store(home, version, _database(str(home.path), version).cursor())


def everything(store: Store) -> extent.Extent:
    """The extent of all data."""
    return _extent(store.connection, str(store.home.path), store.version)


def findings(store: Store, scope: Scope) -> list[Finding]:
    """The findings in a range and about its agent."""
    return [
        finding
        for finding in _findings(store.connection, str(store.home.path), store.version)
        if (scope.since is None or (finding.ts is not None and finding.ts >= scope.since))
        and (scope.until is None or (finding.ts is not None and finding.ts < scope.until))
        and scope.agent in {None, finding.agent}
    ]


def coverage(store: Store) -> tuple[Coverage, ...]:
    """Which detections can see what about which agent, whatever they found: "clean" here means instrumented."""
    return _coverage(store.connection, str(store.home.path), store.version)


def _version(home: Home) -> str:
    with open_manifest(home) as manifest:
        files = manifest.files()
    return hashlib.sha256("\n".join(f.path for f in files).encode()).hexdigest()


@st.cache_resource(max_entries=_STATES_KEPT, show_spinner="Reading the store …")
def _database(path: str, version: str) -> duckdb.DuckDBPyConnection:
    del version  # part of the key
    home = Home.at(path)
    connection = connect(home)
    with open_manifest(home) as manifest:
        rows = sum(f.rows for f in manifest.files())
    if rows <= _ROWS_IN_MEMORY:
        _pin(connection)
    return connection


def _pin(connection: duckdb.DuckDBPyConnection) -> None:
    """Puts tables of the same names and rows in the place of the views that all others stand on.

    The views read and deduplicate the files for every question anew, and a page asks thirty.
    """
    for view in ("spans", "events", "runs"):
        connection.execute(f"CREATE TABLE pinned AS FROM {view}")
        connection.execute(f"DROP VIEW {view}")
        connection.execute(f"ALTER TABLE pinned RENAME TO {view}")


# The underscore keeps the connection out of the key: path and version say what it holds. What these give is frozen, so
# all sessions can share it.
@st.cache_resource(max_entries=_STATES_KEPT, show_spinner=False)
def _extent(_connection: duckdb.DuckDBPyConnection, path: str, version: str) -> extent.Extent:
    del path, version
    return extent.extent(_connection)


@st.cache_resource(max_entries=_STATES_KEPT, show_spinner="Looking for what must never happen …")
def _findings(_connection: duckdb.DuckDBPyConnection, path: str, version: str) -> tuple[Finding, ...]:
    del path, version
    return tuple(detections.detect(_connection))


@st.cache_resource(max_entries=_STATES_KEPT, show_spinner=False)
def _coverage(_connection: duckdb.DuckDBPyConnection, path: str, version: str) -> tuple[Coverage, ...]:
    del path, version
    # What was found is asked elsewhere, by range; here only who can be watched at all.
    return tuple(detections.coverage(_connection, findings=()))
