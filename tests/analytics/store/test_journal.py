"""A file of SQLite that two processes make at the same moment."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from tachograph_analytics.store.home import Home
from tachograph_analytics.store.journal import share
from tachograph_analytics.store.manifest import Position, open_manifest


@pytest.fixture
def other(tmp_path):
    """Another process's connection to the new manifest, in the middle of making it."""
    home = Home(tmp_path)
    with closing(sqlite3.connect(home.manifest, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # at which SQLite tells the other at once, whatever its timeout
        connection.execute("CREATE TABLE made_first (number)")
        yield connection


def test_who_comes_second_waits_until_the_first_has_made_it(tmp_path, other):
    later = threading.Timer(0.3, other.execute, ["COMMIT"])
    later.start()
    with open_manifest(Home(tmp_path)) as manifest:
        assert manifest.position() == Position()
    later.join()
    with closing(sqlite3.connect(Home(tmp_path).manifest)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.usefixtures("other")
def test_who_waits_too_long_is_told(tmp_path):
    with (
        closing(sqlite3.connect(Home(tmp_path).manifest, timeout=0)) as connection,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        share(connection, 0.1)
