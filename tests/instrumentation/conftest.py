"""No test may leave a current span, a run or a tool call behind; endpoints that answer from a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from instrumentation.export.endpoints import counts, serve, until_fixture  # noqa: F401 - fixtures
from opentelemetry import trace

from tachograph.run import current, current_tool
from tachograph.telemetry.recorder import active

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    yield
    left = (trace.get_current_span() is trace.INVALID_SPAN, current(), current_tool(), active())
    assert left == (True, None, None, None)
