"""The pytest plugin: fixtures that record what an agent's hooks see.

pytest imports this module in every run of whoever has tachograph installed, so it imports nothing itself, and stands
outside of the package, whose import costs as much as an empty run of pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from tachograph.testing import CountingIds, Recorded, SteppingClock

_FAIL = "tachograph_fail_on_detections"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings of the plugin."""
    parser.addini(_FAIL, "record each test, and fail one in which a detection was counted", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Watches each test where the settings ask for it."""
    if config.getini(_FAIL):
        from tachograph.testing import watch

        config.pluginmanager.register(watch, "tachograph_watch")


@pytest.fixture
def tachograph_clock() -> SteppingClock:
    """The clock of `tachograph_recording`: from 2026-01-01 on, one second on each time it is asked.

    Override it for another: `return SteppingClock(step=0)` moves by `advance(seconds)` only.
    """
    from tachograph.testing import SteppingClock

    return SteppingClock()


@pytest.fixture
def tachograph_ids() -> CountingIds:
    """The ids of `tachograph_recording`: they count from 1."""
    from tachograph.testing import CountingIds

    return CountingIds()


@pytest.fixture
def tachograph_recording(tachograph_clock: SteppingClock, tachograph_ids: CountingIds) -> Generator[Recorded]:
    """What tachograph's hooks see during this test, in memory, with assertions in the patterns' words.

    `tachograph_recording.instrument(my_agent)` hooks a plain agent by its names until the test ends. Threads and tasks
    are recorded too; no provider of the application is touched and nothing is sent.
    """
    from tachograph.testing.memory import outside_of_runs, recording

    with outside_of_runs(), recording(clock=tachograph_clock, ids=tachograph_ids) as recorded:
        yield recorded
