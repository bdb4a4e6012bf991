"""For tests of agents: what the hooks see, in memory, with assertions in the words of the ten patterns.

def test_a_large_refund_is_stopped(tachograph_recording):
    agent.handle("refund 1300")
    tachograph_recording.assert_checkpoint(stage="pre_tool", decision="deny", rule="below_100_usd")
    tachograph_recording.assert_not_called("refund")

The fixture comes with the package; without pytest, `recording()` gives the same.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tachograph.testing.clock import EPOCH, SteppingClock
    from tachograph.testing.facts import Fact
    from tachograph.testing.ids import CountingIdGenerator, CountingIds
    from tachograph.testing.memory import recording
    from tachograph.testing.recorded import Recorded

# The plugin lies in this package and is imported by every pytest run of whoever has it installed: so the rest, and
# with it the SDK of OpenTelemetry, is imported when it is first asked for.
_MODULES: Final = {
    "EPOCH": "clock",
    "CountingIdGenerator": "ids",
    "CountingIds": "ids",
    "Fact": "facts",
    "Recorded": "recorded",
    "SteppingClock": "clock",
    "recording": "memory",
}

__all__ = ["EPOCH", "CountingIdGenerator", "CountingIds", "Fact", "Recorded", "SteppingClock", "recording"]


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
