# ruff: noqa: S608 - the names in the SQL are those of our own views
"""A store held in memory: who asks it more than a few questions reads its files once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tachograph_analytics.store.manifest import open_manifest
from tachograph_analytics.store.views import COPIES, first_copy, rows_of

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.store.home import Home

_ROWS_AT_MOST: Final = 1_000_000  # about 0.5 GB; above it each question reads the files


def hold(connection: duckdb.DuckDBPyConnection, home: Home) -> bool:
    """Puts tables of the same rows in the place of the views that all others stand on; False for a larger store.

    `connection` comes from `store.views.connect`; it must have no other user yet.
    """
    with open_manifest(home) as manifest:
        rows = sum(file.rows for file in manifest.files())
    if rows > _ROWS_AT_MOST:
        return False
    for table in COPIES:
        _replace(connection, f"stored_{table}", f"FROM stored_{table}", "VIEW")
        if _has_copies(connection, table):
            _replace(connection, f"stored_{table}", f"FROM stored_{table} {first_copy(table)}", "TABLE")
        # To look for copies again would cost more than to read the files.
        connection.execute(f"CREATE OR REPLACE VIEW {table} AS {rows_of(table)}")
    _replace(connection, "runs", "FROM runs", "VIEW")
    return True


def _has_copies(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    keys = f"SELECT count(*) > count(DISTINCT ({COPIES[table]})) FROM stored_{table}"
    return bool(connection.execute(keys).fetchall()[0][0])


def _replace(connection: duckdb.DuckDBPyConnection, name: str, query: str, kind: str) -> None:
    connection.execute(f"CREATE TABLE held AS {query}")
    connection.execute(f"DROP {kind} {name}")
    connection.execute(f"ALTER TABLE held RENAME TO {name}")
