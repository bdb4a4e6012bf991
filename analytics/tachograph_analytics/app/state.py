"""What a page works on: the store as it is now, and answers that last until there is newer data."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics import detections
from tachograph_analytics.runs import extent
from tachograph_analytics.store.casebook import Casebook
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.incidents import refresh
from tachograph_analytics.store.manifest import open_manifest
from tachograph_analytics.store.memory import hold
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.detections import Coverage, Finding
    from tachograph_analytics.runs.scope import Scope

_STATES_KEPT = 2  # what is being read now and what was there before: sessions move on within one rerun


@dataclass(frozen=True, slots=True)
class Store:
    """The store at one moment; `version` changes when data are committed. The connection is this script run's own.

    What people write about incidents shows in it at once and does not change the version: findings do not depend on it.
    """

    home: Home
    version: str
    connection: duckdb.DuckDBPyConnection


def store() -> Store:
    """The store of the home that this process serves; UsageError where there is none or a newer one."""
    home = Home.default().require()
    version = _version(home)
    return Store(home, version, _database(str(home.path), version).cursor(Casebook(home).changes()))


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


class _Database:
    """One database for all sessions, with what people wrote about incidents brought up to date when that changes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._connection = connect(home)
        self._changes = -1  # nothing is known about what `connect` took over
        self._lock = threading.Lock()
        hold(self._connection, home)

    def cursor(self, changes: int) -> duckdb.DuckDBPyConnection:
        """A connection of one's own, for a connection must not be used by two threads; `changes` is the casebook's."""
        # One at a time, and each reads the newest: whoever comes last leaves what was written last.
        with self._lock:
            if changes != self._changes:
                self._changes = refresh(self._connection, self._home)
            return self._connection.cursor()


@st.cache_resource(max_entries=_STATES_KEPT, show_spinner="Reading the store …")
def _database(path: str, version: str) -> _Database:
    del version  # part of the key
    return _Database(Home.at(path))


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
