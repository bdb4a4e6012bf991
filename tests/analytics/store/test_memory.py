"""A store held in memory answers as its files do."""

from __future__ import annotations

import pytest
from analytics.app.recorded import append, bodies, incident_runs

from tachograph.registry import load
from tachograph.testing import SteppingClock, recording
from tachograph_analytics.store import memory
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.memory import hold
from tachograph_analytics.store.views import connect

VIEWS = ("spans", "events", *load().views)


@pytest.fixture(scope="module", params=[1, 2], ids=["sent once", "sent twice"])
def home(tmp_path_factory, request):
    home = Home(tmp_path_factory.mktemp("memory")).create()
    with recording(clock=SteppingClock(step=0.1)) as recorded:
        incident_runs()
        for _ in range(request.param):
            append(home, *bodies(recorded))
    return home


def answers(connection):
    return {view: sorted(map(repr, connection.execute(f"FROM {view}").fetchall())) for view in VIEWS}


def test_every_view_has_the_rows_that_it_has_over_the_files(home):
    with connect(home) as files, connect(home) as held:
        assert hold(held, home)
        assert answers(held) == answers(files)
        assert len(answers(held)["runs"]) == 23


def test_a_larger_store_stays_in_its_files(home, monkeypatch):
    monkeypatch.setattr(memory, "_ROWS_AT_MOST", 13)
    with connect(home) as connection:
        assert not hold(connection, home)
        assert len(answers(connection)["runs"]) == 23
