from __future__ import annotations

from datetime import timedelta

from analytics.incidents.cases import FINGERPRINT, NOON, alerted
from analytics.services import JSON, decode_all, home_at, receiving, send

from tachograph_analytics.incidents import find, firing, listed
from tachograph_analytics.store.casebook import Casebook
from tachograph_analytics.store.views import connect


def found(home, incident_id=FINGERPRINT):
    with connect(home) as connection:
        return find(connection, incident_id)


def test_a_webhook_opens_an_incident_closes_it_and_opens_it_again(tmp_path):
    home, again = home_at(tmp_path), NOON + timedelta(hours=5)
    ended = NOON + timedelta(minutes=13)
    states = []
    with receiving(home) as (url, _):
        for notification in (alerted("firing", NOON), alerted("resolved", NOON, ended), alerted("firing", again)):
            assert send(f"{url}/alerts", notification[1], JSON).status == 200
            decode_all(home)
            one = found(home)
            states.append((one.status, one.since, one.until, one.ongoing))
    assert states == [
        ("firing", NOON, None, True),
        ("resolved", NOON, ended, False),
        ("firing", again, None, True),
    ]


def test_what_people_write_is_the_incidents_from_then_on(tmp_path):
    home = home_at(tmp_path)
    casebook = Casebook(home)
    opened = casebook.open("Refunds fail", NOON, agent="airline")
    casebook.write(opened, "cause", "The card service was down.")
    one = found(home, opened)
    assert (one.title, one.status, one.agent, one.since, one.cause, one.by_hand, one.name) == (
        *("Refunds fail", "open", "airline", NOON, "The card service was down.", True, None),
    )
    casebook.close(opened, NOON + timedelta(hours=1))
    assert found(home, opened).status == "closed"


def test_those_that_go_on_come_first_then_the_newest(tmp_path):
    home = home_at(tmp_path)
    casebook = Casebook(home)
    ids = [casebook.open(f"number {hour}", NOON + timedelta(hours=hour)) for hour in range(3)]
    casebook.close(ids[2], NOON + timedelta(hours=7))
    with connect(home) as connection:
        assert [one.id for one in listed(connection)] == [ids[1], ids[0], ids[2]]
        assert firing(connection) == ()


def test_there_is_no_incident_of_an_id_that_nobody_gave(tmp_path):
    home = home_at(tmp_path)
    Casebook(home).write("stray", "cause", "a word about an incident that is not there")
    assert found(home, "stray") is None
    assert found(home, "' OR true --") is None
