from __future__ import annotations

import json
import math
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from analytics.services import home_at

from tachograph.errors import UsageError
from tachograph_analytics.store.casebook import CASEBOOK_VERSION, MOST_ROWS, Casebook, Entry, Note, View
from tachograph_analytics.store.home import Home

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SEEN = View(
    title="Release 2.8 costs 61 % more",
    url="/spike?agent=support",
    sql="SELECT model, cost FROM llm_calls",
    columns=("model", "cost"),
    rows=(("gpt-4o", 0.0313), (None, 11)),
)


@pytest.fixture
def home(tmp_path):
    return home_at(tmp_path)


@pytest.fixture
def casebook(home):
    return Casebook(home)


def test_nothing_is_made_before_the_first_word(home, casebook):
    assert (casebook.changes(), casebook.written().entries, casebook.notes("abc")) == (0, (), ())
    assert not home.casebook.exists()


def test_it_is_for_its_owner_alone(home, casebook):
    casebook.open("It burns", NOON)
    assert stat.S_IMODE(home.casebook.stat().st_mode) == 0o600


def test_an_incident_that_somebody_opens_closes_and_opens_again(casebook):
    incident = casebook.open(" Refunds fail ", NOON, agent="airline")
    assert incident.startswith("i-")
    assert len(incident) == 10
    opened = Entry(incident, NOON, None, "airline", "Refunds fail", None, None, 0)
    assert casebook.written().entries == (opened,)
    casebook.close(incident, NOON + timedelta(minutes=13))
    assert casebook.written().entries[0].closed_at == NOON + timedelta(minutes=13)
    casebook.close(incident, None)
    assert casebook.written().entries == (opened,)


def test_words_about_an_incident_of_an_alert_stand_under_its_fingerprint(casebook):
    casebook.write("abc123", "cause", "The prompt grew.")
    casebook.write("abc123", "fix", "Rolled back.")
    casebook.write("abc123", "title", "Support got dear")
    assert casebook.written().entries == (
        Entry("abc123", None, None, None, "Support got dear", "The prompt grew.", "Rolled back.", 0),
    )
    casebook.write("abc123", "fix", "  ")
    assert casebook.written().entries[0].fix is None


def test_an_alerts_incident_is_not_closed_by_hand(casebook):
    casebook.write("abc123", "cause", "x")
    casebook.close("abc123", NOON)
    assert casebook.written().entries[0].closed_at is None


def test_a_note_comes_back_as_it_was_seen(casebook):
    number = casebook.add("abc123", SEEN, NOON, text="Look at the model.")
    assert casebook.notes("abc123") == (Note(number, "abc123", NOON, "Look at the model.", SEEN, 0),)
    assert casebook.notes("other") == ()
    assert casebook.written().entries == (Entry("abc123", None, None, None, None, None, None, 1),)


def test_a_note_is_rewritten_and_deleted_and_no_number_comes_twice(casebook):
    first, second = casebook.add("a", SEEN, NOON), casebook.add("a", SEEN, NOON)
    casebook.rewrite(second, "later\n")
    assert [(note.id, note.text) for note in casebook.notes("a")] == [(first, ""), (second, "later")]
    casebook.remove(second)
    assert [note.id for note in casebook.notes("a")] == [first]
    assert casebook.add("a", SEEN, NOON) > second


def test_of_a_long_table_the_first_rows_are_kept_and_the_rest_counted(casebook):
    rows = tuple((number,) for number in range(MOST_ROWS + 17))
    casebook.add("a", View("t", "/", "", ("n",), rows), NOON)
    (note,) = casebook.notes("a")
    assert (note.view.rows, note.omitted) == (rows[:MOST_ROWS], 17)


def test_what_json_has_no_number_for_is_null_as_in_the_answers_of_query(casebook):
    casebook.add("a", View("t", "/", "", ("n",), ((math.nan,), (math.inf,), (1e-17,))), NOON)
    assert casebook.notes("a")[0].view.rows == ((None,), (None,), (1e-17,))


def test_rows_that_do_not_fit_their_columns_are_refused_where_they_are_made(casebook):
    with pytest.raises(ValueError, match="one cell for each of its 2 columns"):
        casebook.add("a", View("t", "/", "", ("n", "m"), ((1,),)), NOON)


def test_every_word_counts_as_a_change_and_reading_does_not(casebook):
    seen = [casebook.changes()]
    incident = casebook.open("t", NOON)
    for write in (
        lambda: casebook.write(incident, "fix", "f"),
        lambda: casebook.add(incident, SEEN, NOON),
        lambda: casebook.rewrite(1, "x"),
        lambda: casebook.remove(1),
        lambda: casebook.close(incident, NOON),
    ):
        seen.append(casebook.changes())
        write()
    seen.append(casebook.written().changes)
    casebook.notes(incident)
    assert casebook.changes() == seen[-1]
    assert seen == sorted(set(seen))


WRITER = """
import sys
from datetime import UTC, datetime
from tachograph_analytics.store.casebook import Casebook, View
from tachograph_analytics.store.home import Home
casebook = Casebook(Home.at(sys.argv[1]))
for number in range(int(sys.argv[3])):
    view = View(f"{sys.argv[2]} {number}", "/", "", ("n",), ((number,),))
    casebook.add("shared", view, datetime.now(UTC))
    casebook.write("shared", "cause", f"{sys.argv[2]} {number}")
"""


def test_many_processes_write_at_once_and_nothing_is_lost(home, casebook):
    processes, each = 5, 23
    command = [sys.executable, "-c", WRITER, str(home.path)]
    running = [
        subprocess.Popen([*command, str(writer), str(each)], stderr=subprocess.PIPE, text=True)
        for writer in range(processes)
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    expected = {f"{writer} {number}" for writer in range(processes) for number in range(each)}
    assert {note.view.title for note in casebook.notes("shared")} == expected
    assert casebook.changes() == 2 * processes * each
    (entry,) = casebook.written().entries
    assert (entry.notes, entry.cause in expected) == (processes * each, True)


def test_nobody_writes_where_there_is_no_store(tmp_path):
    with pytest.raises(UsageError, match="there is no store at"):
        Casebook(Home(tmp_path / "nowhere")).open("t", NOON)


def test_a_newer_casebook_is_a_sentence(home, casebook):
    casebook.open("t", NOON)
    with sqlite3.connect(home.casebook) as connection:
        connection.execute("UPDATE casebook SET version = ?", (CASEBOOK_VERSION + 1,))
    connection.close()
    with pytest.raises(UsageError, match=r"written by a newer tachograph \(version 2, this one reads 1\): upgrade"):
        casebook.written()


def test_a_casebook_that_is_no_database_is_a_sentence(home, casebook):
    home.casebook.write_bytes(b"this is no SQLite file, and long enough to be looked at" * 99)
    with pytest.raises(UsageError, match="cannot be read"):
        casebook.written()


def test_rows_are_plain_json_on_the_disk(home, casebook):
    casebook.add("a", SEEN, NOON)
    connection = sqlite3.connect(home.casebook)
    ((columns, rows),) = connection.execute("SELECT columns, rows FROM notes").fetchall()
    connection.close()
    assert (json.loads(columns), json.loads(rows)) == (["model", "cost"], [["gpt-4o", 0.0313], [None, 11]])
