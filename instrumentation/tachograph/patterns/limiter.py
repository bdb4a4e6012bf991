"""P07, concurrency limits: how many run, how many wait, how long, and who was turned away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from typing_extensions import override

from tachograph.audit.record import audit
from tachograph.hook import Hook, no_function
from tachograph.recording import CANCELLED, Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current_tool
from tachograph.telemetry import event_loop
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from tachograph.telemetry.recorder import LimiterState, Recorder


class Limiter(Recording):
    """One call's way through a limiter: it waits until `acquired`, is inside until the block ends."""

    hook = "limiter"

    def __init__(self, name: str, *, limit: int) -> None:
        super().__init__()
        self.attributes |= {n.LIMITER_NAME: name, n.LIMITER_LIMIT: limit}
        self._state: LimiterState | None = None
        self._limit = limit
        self._inside = False
        self._told = False

    @override
    def opened(self, recorder: Recorder) -> None:
        state = self._state = recorder.limiter(str(self.attributes[n.LIMITER_NAME]))
        with state.lock.held():
            raised = state.saturated and state.limit is not None and self._limit > state.limit
            self.attributes |= {n.LIMITER_IN_USE: state.in_use, n.LIMITER_QUEUE: state.queue}
            state.queue += 1
            state.limit = self._limit
            state.saturated = state.in_use >= self._limit
        self._record(recorder, (instruments.LIMITER_LIMIT, self._limit), (instruments.LIMITER_QUEUE, 1))
        if raised:
            recorder.detect("limit_raised_saturated")
            kept = (n.LIMITER_NAME, n.LIMITER_LIMIT)
            audit(recorder, "override", {name: self.attributes[name] for name in kept})

    def _record(self, recorder: Recorder, *values: tuple[instruments.Instrument, float]) -> None:
        recorder.metrics.record_all(recorder.with_common(self.attributes), *values)

    @guarded("limiter", None)
    def acquired(self) -> None:
        """Says that the wait is over and the call is inside."""
        self._told = self._inside = True
        self._leave_queue("acquired", 1)

    @guarded("limiter", None)
    def rejected(self, outcome: str = "rejected") -> None:
        """Says that the call was turned away: rejected, timeout or cancelled."""
        self._told = True
        self._leave_queue(outcome, 0)

    def _leave_queue(self, outcome: str, inside: int) -> None:
        recorder, state = self.recorder, self._state
        if recorder is None or state is None:
            return
        waited = (recorder.clock() - self.started) / 1e9
        with state.lock.held():
            state.queue -= 1
            state.in_use += inside
        self.attributes |= {n.LIMITER_WAIT: waited, n.LIMITER_OUTCOME: outcome, n.LIMITER_LOOP_LAG: event_loop.lag()}
        tool = current_tool()
        name = tool.attributes[n.GEN_AI_TOOL_NAME] if tool is not None else None
        recorder.event(n.EVENT_LIMITER_WAIT, {**self.attributes, n.GEN_AI_TOOL_NAME: name})
        self._record(
            recorder,
            (instruments.LIMITER_QUEUE, -1),
            (instruments.LIMITER_IN_USE, inside),
            (instruments.LIMITER_WAIT_DURATION, waited),
        )

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        if not self._told:
            self._leave_queue(_outcome(error), 0)
        if self._inside and self._state is not None:
            with self._state.lock.held():
                self._state.in_use -= 1
            self._record(recorder, (instruments.LIMITER_IN_USE, -1))


def _outcome(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "timeout"
    if isinstance(error, CANCELLED):
        return "cancelled"
    return "acquired" if error is None else "rejected"


def limiter(name: str, *, limit: int) -> Hook[Limiter]:
    """A call's way through a limiter: say `acquired` when the wait is over; it is inside until the block ends."""
    no_function(name, "limiter", "the limiter")
    return Hook(lambda: Limiter(name, limit=limit))
