"""What people write about incidents: those opened by hand, title, cause and fix of any, and notes with what was seen.

It lies beside the Parquet files as `incidents.sqlite`, which the first word written makes.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from tachograph.errors import UsageError
from tachograph_analytics.store.journal import share

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tachograph_analytics.store.home import Home

Cell = str | float | int | None
Field = Literal["title", "cause", "fix"]

# Rises with every change that an older tachograph could not read.
CASEBOOK_VERSION: Final = 1
# What a note keeps of a longer table: more than anybody reads, little enough that a report stays a report.
MOST_ROWS: Final = 500

_BUSY_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS casebook(version INTEGER NOT NULL, changes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS incidents(
  id TEXT PRIMARY KEY, opened_at TEXT, closed_at TEXT, agent TEXT, title TEXT, cause TEXT, fix TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes(
  id INTEGER PRIMARY KEY AUTOINCREMENT, incident TEXT NOT NULL, at TEXT NOT NULL, text TEXT NOT NULL, url TEXT NOT NULL,
  title TEXT NOT NULL, sql TEXT NOT NULL, columns TEXT NOT NULL, rows TEXT NOT NULL, omitted INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS notes_of_incident ON notes(incident)"""

_ENTRIES = """SELECT id, opened_at, closed_at, agent, title, cause, fix,
  (SELECT count(*) FROM notes WHERE incident = incidents.id) FROM incidents ORDER BY id"""
_NOTES = """SELECT id, incident, at, text, url, title, sql, columns, rows, omitted
  FROM notes WHERE incident = ? ORDER BY at, id"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What people wrote about one incident; null where they wrote nothing. Times are aware UTC.

    `opened_at` is null for one that an alert opened: its times are the alert's. `notes` counts them.
    """

    id: str
    opened_at: datetime | None
    closed_at: datetime | None
    agent: str | None
    title: str | None
    cause: str | None
    fix: str | None
    notes: int


@dataclass(frozen=True, slots=True)
class View:
    """What somebody saw: the sentence over it, the page's path and query, and the rows with the SQL behind them."""

    title: str
    url: str
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A view that was added to an incident, and a text about it; `omitted` rows of the table were not kept."""

    id: int
    incident: str
    at: datetime
    text: str
    view: View
    omitted: int


@dataclass(frozen=True, slots=True)
class Written:
    """All entries at one moment; `changes` differs whenever anything was written in between."""

    changes: int
    entries: tuple[Entry, ...]


class Casebook:
    """The casebook of one home. Every call is a transaction of its own, so any threads and processes may share it.

    UsageError where the file is damaged, or a newer tachograph wrote it.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def changes(self) -> int:
        """A number that rises with everything that is written; 0 before the first word."""
        with self._reading() as connection:
            return _changes(connection) if connection else 0

    def written(self) -> Written:
        """Everything about incidents but the notes themselves."""
        with self._reading() as connection:
            if connection is None:
                return Written(0, ())
            return Written(_changes(connection), tuple(_entry(row) for row in connection.execute(_ENTRIES)))

    def notes(self, incident: str) -> tuple[Note, ...]:
        """The notes of an incident, oldest first."""
        with self._reading() as connection:
            return tuple(_note(row) for row in connection.execute(_NOTES, (incident,))) if connection else ()

    def open(self, title: str, at: datetime, agent: str | None = None) -> str:
        """Opens an incident by hand and gives its id: `i-` and eight hex digits."""
        incident = f"i-{secrets.token_hex(4)}"
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO incidents(id, opened_at, agent, title) VALUES (?, ?, ?, ?)",
                (incident, _text(at), agent, title.strip() or "Incident"),
            )
        return incident

    def close(self, incident: str, at: datetime | None) -> None:
        """Ends an incident that was opened by hand; without a time it goes on again."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE incidents SET closed_at = ? WHERE id = ? AND opened_at IS NOT NULL",
                (_text(at) if at else None, incident),
            )

    def write(self, incident: str, field: Field, text: str) -> None:
        """Sets one text of an incident, also of one that an alert opened; an empty one takes it back."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO incidents(id) VALUES (?)", (incident,))
            connection.execute(
                f"UPDATE incidents SET {field} = ? WHERE id = ?",  # noqa: S608 - one of three names
                (text.strip() or None, incident),
            )

    def add(self, incident: str, view: View, at: datetime, text: str = "") -> int:
        """Adds a note with what was seen, of a long table the first 500 rows, and gives the note's number.

        ValueError if a row has not one cell for each column.
        """
        if any(len(row) != len(view.columns) for row in view.rows):
            raise ValueError(f"a row of “{view.title}” has not one cell for each of its {len(view.columns)} columns")
        kept = [[_plain(cell) for cell in row] for row in view.rows[:MOST_ROWS]]
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO incidents(id) VALUES (?)", (incident,))
            cursor = connection.execute(
                """INSERT INTO notes(incident, at, text, url, title, sql, columns, rows, omitted)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    *(incident, _text(at), text, view.url, view.title, view.sql),
                    *(json.dumps(view.columns), json.dumps(kept), len(view.rows) - len(kept)),
                ),
            )
            return int(cursor.lastrowid or 0)

    def rewrite(self, note: int, text: str) -> None:
        """Sets the text of a note."""
        with self._writing() as connection:
            connection.execute("UPDATE notes SET text = ? WHERE id = ?", (text.strip(), note))

    def remove(self, note: int) -> None:
        """Deletes a note with all that it kept."""
        with self._writing() as connection:
            connection.execute("DELETE FROM notes WHERE id = ?", (note,))

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection | None]:
        """A moment of the file that does not change; None where nobody wrote anything yet."""
        if not self._home.casebook.exists():
            yield None
            return
        with _open(self._home) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        with _open(self._home.require()) as connection, connection:
            # The lock comes before the first look: a transaction that reads first cannot wait for its turn.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("UPDATE casebook SET changes = changes + 1")


@contextmanager
def _open(home: Home) -> Generator[sqlite3.Connection]:
    path = home.casebook
    try:
        # For its owner alone; SQLite gives its log the same rights.
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"the casebook {path} cannot be opened: {error}; look at its rights") from error
    with closing(connection):
        try:
            _prepare(connection, home)
            yield connection
        except sqlite3.OperationalError as error:
            raise UsageError(f"the casebook {path} cannot be used now: {error}; try again") from error
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"the casebook {path} cannot be read: {error}; restore it, or move it away and start a new one"
            ) from error


def _prepare(connection: sqlite3.Connection, home: Home) -> None:
    share(connection, _BUSY_S)
    if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'casebook'").fetchone()[0]:
        _make(connection)
    version = int(connection.execute("SELECT version FROM casebook").fetchone()[0])
    if version > CASEBOOK_VERSION:
        raise UsageError(
            f"the casebook {home.casebook} was written by a newer tachograph (version {version}, this one reads "
            f"{CASEBOOK_VERSION}): upgrade with pip install -U 'tachograph[analytics]', or name another --home"
        )


def _make(connection: sqlite3.Connection) -> None:
    # Two may come first: the lock is taken before looking, so that one of them makes it.
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        if not connection.execute("SELECT count(*) FROM casebook").fetchone()[0]:
            connection.execute("INSERT INTO casebook VALUES (?, 0)", (CASEBOOK_VERSION,))


def _changes(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT changes FROM casebook").fetchone()[0])


def _entry(row: Sequence[Any]) -> Entry:
    incident, opened_at, closed_at, agent, title, cause, fix, notes = row
    return Entry(incident, _time(opened_at), _time(closed_at), agent, title, cause, fix, notes)


def _note(row: Sequence[Any]) -> Note:
    number, incident, at, text, url, title, sql, columns, rows, omitted = row
    view = View(title, url, sql, tuple(json.loads(columns)), tuple(tuple(cells) for cells in json.loads(rows)))
    return Note(number, incident, datetime.fromisoformat(at), text, view, omitted)


def _plain(cell: Cell) -> Cell:
    """The cell as JSON has it: NaN and infinities are null, as in the answers of `tachograph query --json`."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
