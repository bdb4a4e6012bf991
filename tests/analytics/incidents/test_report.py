from __future__ import annotations

import json
import shlex
import subprocess
import sys
from datetime import timedelta

import pytest
from analytics.incidents.cases import APP, COSTS, FINGERPRINT, NOON, filled, noted

from tachograph.errors import UsageError
from tachograph_analytics.incidents.report import again, exact, made
from tachograph_analytics.store.casebook import Casebook


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = filled(tmp_path_factory.mktemp("incident"))
    noted(home, "Its prompt grew.")
    Casebook(home).write(FINGERPRINT, "cause", "Release 2.8")
    return home


def test_the_head_says_what_is_known_and_leaves_out_what_nobody_knows(home):
    report = made(home, FINGERPRINT, NOON + timedelta(minutes=17), f"{APP}/")
    assert report.facts == {
        "Status": "▲ Firing",
        "Severity": "ticket",
        "Opened": "2026-03-13 12:00:00 UTC",
        "Agent": "support",
        "Alert": "TachographCostSpike",
        "Summary": "support spends 3 times as much",
        "Incident": FINGERPRINT,
        "Exported": "2026-03-13 12:17:00 UTC",
    }
    assert report.links == {"Runbook": "https://runbooks.example/cost", "Investigate": f"{APP}/spike?alert=x"}
    assert report.conclusions == {"Cause": "Release 2.8", "Fix": "Not written yet."}


def test_the_rows_of_a_note_are_what_its_command_answers(home):
    report = made(home, FINGERPRINT, NOON, APP)
    (note,) = report.notes
    program, *words = shlex.split(report.command(note))
    assert program == "tachograph"
    done = subprocess.run([sys.executable, "-m", program, *words], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [dict(zip(note.view.columns, row, strict=True)) for row in note.view.rows]
    assert report.address(note) == f"{APP}/spike?agent=support"


def test_the_command_is_one_whatever_stands_in_the_sql(home):
    sql = "SELECT 'it''s $HOME `x` \"y\" \\'\n-- end"
    assert shlex.split(again(home, sql)) == ["tachograph", "query", "--home", str(home.path), "--json", sql]


@pytest.mark.parametrize("number", [0.300000000013, 1e-17, 12345678.9, -3, 10**17, True, None])
def test_numbers_have_all_their_digits(number):
    assert json.loads(exact(number)) == number


def test_an_unknown_id_names_those_that_there_are(home):
    with pytest.raises(UsageError, match=rf"there is no incident 'nonsense': there are {FINGERPRINT};"):
        made(home, "nonsense", NOON, APP)


def test_the_sql_of_a_note_is_kept_as_it_was_asked(home):
    assert made(home, FINGERPRINT, NOON, APP).notes[0].view.sql == COSTS
