"""Readers beside a writer in one SQLite file, also where two processes make the file at the same moment."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

_RETRY_S: Final = 0.02


def share(connection: sqlite3.Connection, patience_s: float) -> None:
    """Turns on SQLite's write-ahead log; raises OperationalError where others hold the file for `patience_s`.

    SQLite's own timeout does not hold for this: of two that make the same new file so, it tells one at once that the
    file is locked.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return
