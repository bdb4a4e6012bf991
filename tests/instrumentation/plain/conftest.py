"""Recording in memory, and installations that are undone after each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tachograph.plain.install import Installation, install
from tachograph.telemetry import guard
from tachograph.testing import Recorded, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@pytest.fixture
def hook() -> Iterator[Callable[..., Installation]]:
    """install(), undone after the test."""
    done: list[Installation] = []

    def hook(target: object, mapping: Mapping[str, str] | None = None) -> Installation:
        done.append(install(target, mapping))
        return done[-1]

    yield hook
    for installation in reversed(done):
        installation.undo()


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """What the hooks record while the test runs; a failure of ours that the test does not ask for fails it."""
    guard.failures.clear()
    with recording("desk") as recorded:
        yield recorded
    assert dict(guard.failures) == {}
