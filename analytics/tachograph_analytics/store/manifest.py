"""The manifest: which Parquet files count and how far the WAL is decoded, changed in one transaction a batch."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tachograph.errors import UsageError
from tachograph_analytics.store.journal import share

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tachograph_analytics.store.home import Home

# Rises with every change that an older tachograph could not read.
STORE_VERSION = 1

_BUSY_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS store(store_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS progress(segment INTEGER NOT NULL, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files(
  path TEXT PRIMARY KEY, table_name TEXT NOT NULL, row_count INTEGER NOT NULL, bytes INTEGER NOT NULL,
  min_ts TEXT, max_ts TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine(
  path TEXT PRIMARY KEY, signal TEXT NOT NULL, reason TEXT NOT NULL, bytes INTEGER NOT NULL,
  received_at TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the WAL: the segment's number and the byte offset in it."""

    segment: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One Parquet file of a table; `path` is relative to the home, times are ISO-8601 UTC."""

    path: str
    table: str
    rows: int
    bytes: int
    min_ts: str | None
    max_ts: str | None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One body that could not be decoded, and why; `path` is relative to the home."""

    path: str
    signal: str
    reason: str
    bytes: int
    received_at: str


class Manifest:
    """The manifest of one home; every process opens its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def position(self) -> Position:
        """Up to where the WAL is decoded and committed."""
        return Position(*self._connection.execute("SELECT segment, position FROM progress").fetchone())

    def files(self, table: str | None = None) -> list[StoredFile]:
        """The files that count, oldest first; those of one table, or all."""
        rows = self._connection.execute(
            "SELECT path, table_name, row_count, bytes, min_ts, max_ts FROM files "
            "WHERE ? IS NULL OR table_name = ? ORDER BY path",
            (table, table),
        )
        return [StoredFile(*row) for row in rows]

    def quarantined(self) -> list[Quarantined]:
        """Everything in quarantine, oldest first."""
        rows = self._connection.execute("SELECT path, signal, reason, bytes, received_at FROM quarantine ORDER BY path")
        return [Quarantined(*row) for row in rows]

    def quarantined_count(self) -> int:
        """How many bodies are in quarantine."""
        return int(self._connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])

    def commit(self, files: Sequence[StoredFile], quarantined: Sequence[Quarantined], position: Position) -> None:
        """Makes one batch count: its files, its quarantine and the progress, all or nothing."""
        with self._connection as transaction:
            transaction.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
                [(f.path, f.table, f.rows, f.bytes, f.min_ts, f.max_ts) for f in files],
            )
            transaction.executemany(
                "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)",
                [(q.path, q.signal, q.reason, q.bytes, q.received_at) for q in quarantined],
            )
            transaction.execute("UPDATE progress SET segment = ?, position = ?", (position.segment, position.offset))

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()


@contextmanager
def open_manifest(home: Home) -> Generator[Manifest]:
    """The manifest of `home`, made if the home has none; UsageError if a newer tachograph wrote it."""
    connection = _connect(home)
    try:
        yield Manifest(connection)
    finally:
        connection.close()


def _connect(home: Home) -> sqlite3.Connection:
    try:
        # For its owner alone; SQLite would make it as the umask says, and gives its log the same rights.
        os.close(os.open(home.manifest, os.O_CREAT | os.O_RDONLY, 0o600))
        connection = sqlite3.connect(home.manifest, timeout=_BUSY_S)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"the manifest {home.manifest} cannot be opened: {error}") from error
    try:
        _prepare(connection, home)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise UsageError(
            f"the manifest {home.manifest} cannot be read: {error}; restore it, or start a new home"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, home: Home) -> None:
    share(connection, _BUSY_S)
    # FULL: a commit is on the disk before the decoder deletes the segment that it came from.
    connection.execute("PRAGMA synchronous = FULL")
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'store'").fetchone()[0]
    if not found:
        _make(connection)
    version = int(connection.execute("SELECT store_version FROM store").fetchone()[0])
    if version > STORE_VERSION:
        raise UsageError(
            f"the store {home.path} was written by a newer tachograph (store version {version}, this one reads "
            f"{STORE_VERSION}): upgrade with pip install -U 'tachograph[analytics]', or name another --home"
        )


def _make(connection: sqlite3.Connection) -> None:
    # Receiver and decoder may both come first: the write lock is taken before looking, so that one of them makes it.
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        if not connection.execute("SELECT count(*) FROM store").fetchone()[0]:
            connection.execute("INSERT INTO store VALUES (?)", (STORE_VERSION,))
            connection.execute("INSERT INTO progress VALUES (0, 0)")
