from __future__ import annotations

from datetime import timedelta

import pytest
from analytics.app.recorded import append
from analytics.incidents.cases import NOON, alerted, filled, noted, reported, run_of
from analytics.services import home_at

from tachograph_analytics.incidents.incident import find
from tachograph_analytics.incidents.timeline import timeline
from tachograph_analytics.store.casebook import Casebook
from tachograph_analytics.store.views import connect


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("incident"))


def told(report):
    return [(moment.at.replace(microsecond=0), moment.source, moment.what, moment.run_id) for moment in report.moments]


def test_the_alert_the_releases_the_gates_and_the_notes_in_order_of_time(tmp_path):
    home = filled(tmp_path)
    append(home, alerted("firing", NOON))  # Alertmanager says it again: no second beginning
    append(home, alerted("resolved", NOON, NOON + timedelta(minutes=47)))
    noted(home)
    assert told(reported(home)) == [
        (NOON - timedelta(days=7), "release", "Release 2.7 (stable) of support: first seen", "run-2.7"),
        (NOON - timedelta(hours=3), "release", "Release 2.8 (canary) of support: first seen", "run-2.8"),
        (
            NOON - timedelta(hours=2),
            "gate",
            "Gate cost for release 2.8: fail, decision hold, observed 1.61, threshold 1.2, samples 1013",
            "run-gate",
        ),
        (NOON, "alert", "TachographCostSpike began to fire", None),
        (NOON + timedelta(minutes=13), "note", "Note 1: Release 2.8 costs most", None),
        (NOON + timedelta(minutes=47), "alert", "TachographCostSpike was resolved", None),
    ]


def test_what_happens_after_the_end_is_no_part_of_it(tmp_path):
    later = NOON + timedelta(minutes=49)
    home = filled(tmp_path, (later, lambda: run_of("2.9", 0.01)))
    append(home, alerted("resolved", NOON, NOON + timedelta(minutes=47)))
    assert "2.9" not in "".join(moment.what for moment in reported(home, NOON + timedelta(days=3)).moments)
    append(home, alerted("firing", later))
    assert "2.9" in "".join(moment.what for moment in reported(home, NOON + timedelta(days=3)).moments)


def test_each_firing_of_the_alert_is_told(tmp_path):
    home = home_at(tmp_path)
    for hour in (0, 5):
        began = NOON + timedelta(hours=hour)
        append(home, alerted("firing", began))
        append(home, alerted("resolved", began, began + timedelta(minutes=11)))
    assert [what for _, _, what, _ in told(reported(home))] == [
        *("TachographCostSpike began to fire", "TachographCostSpike was resolved") * 2
    ]


def test_an_incident_of_one_agent_says_nothing_of_another_and_one_of_all_says_everything(home):
    casebook = Casebook(home)
    of_airline, of_all = casebook.open("a", NOON, agent="airline"), casebook.open("b", NOON)
    with connect(home) as connection:
        sources = [
            [m.source for m in timeline(connection, find(connection, one), (), NOON)] for one in (of_airline, of_all)
        ]
    assert sources == [["person"], ["release", "release", "gate", "person"]]


def test_one_that_somebody_closed_says_so(home):
    casebook = Casebook(home)
    opened = casebook.open("a", NOON, agent="nobody")
    casebook.close(opened, NOON + timedelta(minutes=17))
    with connect(home) as connection:
        moments = timeline(connection, find(connection, opened), (), NOON)
    assert [(m.at, m.what) for m in moments] == [
        (NOON, "Opened by hand"),
        (NOON + timedelta(minutes=17), "Closed by hand"),
    ]
