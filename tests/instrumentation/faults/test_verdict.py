"""The faults find what they are there to find: a function that no agent calls, and each way to hurt one.

The module of ours that is at fault here exists for these tests only.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from instrumentation.faults import points as points_module
from instrumentation.faults.outcome import Scenario
from instrumentation.faults.points import points
from instrumentation.faults.verdict import Played

import tachograph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ADDED = """
import contextlib, contextvars, logging, threading
from tachograph.telemetry import guard

SEEN = contextvars.ContextVar("seen")
GO = threading.Event()

def point():
    return 13

@guard.guarded("tool", 13)
def guarded():
    return point()

def raising():
    return point()

@guard.guarded("tool", 17)
def changing():
    return point()

@guard.guarded("tool", 13)
def counting_twice():
    try:
        return point()
    except Exception:
        guard.count("tool")
        raise

def swallowing():
    with contextlib.suppress(Exception):
        return point()
    return 13

@guard.guarded("tool", 13)
def talking():
    try:
        return point()
    except Exception as error:
        logging.getLogger("tachograph").warning("it says %s", error)
        raise

@guard.guarded("tool", 13)
def logging_twice():
    try:
        return point()
    except Exception:
        logging.getLogger("tachograph").warning("tachograph: the tool hook failed and is skipped, once more")
        raise

@guard.guarded("tool", 13)
def leaving():
    token = SEEN.set(17)
    got = point()
    SEEN.reset(token)
    return got

@guard.guarded("tool", 13)
def leaving_a_thread():
    GO.clear()
    threading.Thread(target=GO.wait, args=(30,), name="tachograph-added", daemon=True).start()
    got = point()
    GO.set()
    return got
"""
FOUND: dict[str, list[str]] = {
    "guarded": [],
    "raising": ["the agent's results changed", "1 calls failed, counted: {}"],
    "changing": ["the agent's results changed: 17"],
    "counting_twice": ["1 calls failed, counted: {'tool': 2}"],
    "swallowing": ["1 calls failed, counted: {}"],
    "talking": ["the log holds content"],
    "logging_twice": ["not one line a cause"],
    "leaving": ["left: ['seen']"],
    "leaving_a_thread": ["left: ['tachograph-added']"],
}


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of ours that was not there."""
    (tmp_path / "added.py").write_text(ADDED)
    monkeypatch.setattr(tachograph, "__path__", [*tachograph.__path__, str(tmp_path)])
    derived = (points_module.points, points_module.doors, points_module._all)
    for each in derived:
        each.cache_clear()
    module = importlib.import_module("tachograph.added")
    yield module
    module.GO.set()
    for each in derived:
        each.cache_clear()
    del sys.modules["tachograph.added"], tachograph.added  # pyright: ignore[reportAttributeAccessIssue]


def played(play: Callable[[], object]) -> Played:
    return Played([Scenario("added", play, lambda _: contextlib.nullcontext())])


def test_a_new_function_that_no_scenario_calls_is_missing(added: Any):
    new = [each for each in points() if each.startswith("added:")]
    assert new == ["added:point", *(f"added:{name}" for name in FOUND)]
    assert played(added.guarded).missing(new) == [f"added:{name}" for name in FOUND if name != "guarded"]


@pytest.mark.parametrize("name", FOUND)
def test_a_fault_that_hurts_the_agent_is_found(name: str, added: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("instrumentation.faults.outcome._ENDS_S", 0.05)
    (play,) = played(getattr(added, name)).broken("added:point")
    assert play.calls == 1
    assert len(play.findings) == len(FOUND[name])
    for finding, said in zip(play.findings, FOUND[name], strict=True):
        assert finding.startswith(said)


def test_a_point_that_is_called_by_chance_does_not_tell(added: Any):
    calls = iter((added.point, int))
    once = Played(
        [Scenario("added", lambda: None, lambda _: contextlib.nullcontext(), lambda _: next(calls)() and None)]
    )
    assert [play.calls for play in once.broken("added:point")] == [0]


def test_a_thread_of_ours_tells_of_its_own_calls(added: Any):
    def work() -> None:
        thread = threading.Thread(target=added.guarded, name="tachograph-added")
        thread.start()
        thread.join()

    both = played(lambda: [added.guarded(), work()])
    assert [(play.calls, play.findings) for play in both.broken("added:point")] == [(1, []), (1, [])]
