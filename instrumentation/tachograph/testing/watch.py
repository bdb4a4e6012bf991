"""Fails each test in which something happened that must never happen; registered where the settings ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tachograph.registry import load
from tachograph.testing.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(autouse=True)
def _tachograph_watch(tachograph_recording: Recorded) -> None:  # pyright: ignore[reportUnusedFunction] - pytest finds it
    """Records each test."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Looks at the detections when a test has passed; those that it asserted itself were meant."""
    __tracebackhide__ = True
    result = yield
    recorded = getattr(item, "funcargs", {}).get("tachograph_recording")
    if not isinstance(recorded, Recorded):
        return result
    counted = {rule: times for rule, times in recorded.detections().items() if rule not in recorded.asserted}
    if counted:
        lines = [f"  {rule}: {times:g}. {load().detections[rule].brief}" for rule, times in counted.items()]
        hint = "If a test means one to happen, it says so: tachograph_recording.assert_detections(…)."
        pytest.fail("\n".join(["tachograph_fail_on_detections: this must never happen.", *lines, hint]), pytrace=False)
    return result
