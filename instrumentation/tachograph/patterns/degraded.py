"""P09, degraded mode: what the agent does without, why, how long, and whether the user was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from typing_extensions import override

from tachograph.hook import Hook
from tachograph.recording import Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from tachograph.telemetry.recorder import Recorder

Mode = Literal[
    "no_retrieval",
    "stale_cache",
    "tool_unavailable",
    "fallback_model",
    "fallback_provider",
    "rules_only",
    "partial_answer",
    "read_only",
    "refuse",
    "human_handoff",
]
Trigger = Literal[
    "retrieval_down",
    "tool_down",
    "provider_down",
    "timeout",
    "rate_limited",
    "budget",
    "circuit_open",
    "policy",
    "manual",
]


class Degraded(Recording):
    """A stay in a degraded mode."""

    hook = "degraded"

    def __init__(
        self, mode: Mode, *, trigger: Trigger, component: str | None = None, disclosed: bool | None = False
    ) -> None:
        super().__init__()
        self.attributes |= {
            n.DEGRADATION_MODE: mode,
            n.DEGRADATION_TRIGGER: trigger,
            n.DEGRADATION_COMPONENT: component,
        }
        self._disclosed = disclosed

    @override
    def opened(self, recorder: Recorder) -> None:
        self.attributes[n.DEGRADATION_ID] = recorder.new_id("degradation")
        run = current()
        if run is not None:
            run.degraded = True
            run.hits = dict.fromkeys(run.hits, True)
        recorder.event(n.EVENT_DEGRADATION_ENTERED, self.attributes)
        recorder.metrics.record(instruments.DEGRADATION_ACTIVE, 1, recorder.with_common(self.attributes))

    @guarded("degraded", None)
    def disclosed(self, told: bool = True) -> None:
        """Says that the user was told, or was not."""
        self._disclosed = told

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        entry: dict[str, object] = {
            **self.attributes,
            n.DEGRADATION_DISCLOSED: self._disclosed,
            n.DEGRADATION_DURATION: seconds,
        }
        recorder.event(n.EVENT_DEGRADATION_EXITED, entry)
        recorder.metrics.record_all(
            recorder.with_common(entry), (instruments.DEGRADATION_ACTIVE, -1), (instruments.DEGRADATION_ACTIVATIONS, 1)
        )
        if self._disclosed is False:
            recorder.detect("fallback_silent")


def degraded(
    mode: Mode, *, trigger: Trigger, component: str | None = None, disclosed: bool | None = False
) -> Hook[Degraded]:
    """A degraded mode for as long as the block runs: say `disclosed` when the user was told.

    `disclosed` of None says that nobody can tell whether the user was told.
    """
    return Hook(lambda: Degraded(mode, trigger=trigger, component=component, disclosed=disclosed))
