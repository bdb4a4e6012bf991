"""Run entries and steps: who asks, for whom, and how it ended."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from typing_extensions import override

from tachograph.patterns.release import Track
from tachograph.patterns.run import Run, Step
from tachograph.plain import evidence
from tachograph.plain.reading import label, one_of, read, text, whole
from tachograph.registry import names as n
from tachograph.run import current

if TYPE_CHECKING:
    from tachograph.plain.call import Call
    from tachograph.plain.tools import ObservedTool
    from tachograph.telemetry.recorder import Recorder

Outcome = Literal["success", "degraded", "refused", "escalated", "failed", "cancelled"]
StopReason = Literal[
    "completed",
    "max_turns",
    "max_tool_calls",
    "timeout",
    "token_budget",
    "cost_budget",
    "retry_exhausted",
    "guardrail",
    "approval_rejected",
    "user_cancelled",
    "error",
]

_OUTCOMES, _STOP_REASONS = get_args(Outcome), get_args(StopReason)
_TRACKS = get_args(Track)
_TIERS = (0, 1, 2)
_WAITING = 256  # bound of memory: ended tool calls of one run whose results may yet be validated


@dataclass(slots=True)
class Progress:
    """What a run's plain hooks know beside its context.

    `tenant` is the tenant as the agent says it, `waiting` holds ended tool calls whose results may yet be validated,
    `refusal` the exception with which a checkpoint denied.
    """

    tenant: str | None
    waiting: deque[ObservedTool] = field(default_factory=deque["ObservedTool"])
    refusal: tuple[int, type] | None = None

    def wait(self, call: ObservedTool) -> None:
        """Keeps an ended tool call until its result is validated or the run ends."""
        self.waiting.append(call)
        if len(self.waiting) > _WAITING:
            self.waiting.popleft().settle()

    def refused(self, error: BaseException) -> None:
        """Notes that a checkpoint denied by raising `error`; the exception itself is not kept alive."""
        self.refusal = (id(error), type(error))


_progress: ContextVar[Progress | None] = ContextVar("tachograph_progress", default=None)


def progress() -> Progress | None:
    """What the plain hooks of the current run know; None in a run that was opened otherwise."""
    return _progress.get()


class Entry(Run):
    """A run that a call of an entry function opens."""

    progress: Progress | None = None

    @override
    def opened(self, recorder: Recorder) -> None:
        self.progress = Progress(self._tenant)
        super().opened(recorder)
        evidence.remember(self)
        if self.outermost:
            self.carry(_progress, self.progress)

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        known = self.progress
        while known is not None and known.waiting:
            known.waiting.popleft().settle()
        refusal = known.refusal if known is not None else None
        if error is not None and self._outcome is None and refusal == (id(error), type(error)):
            self.outcome("refused", "guardrail")
        super().closed(recorder, error, seconds)


EntryKind = TypeVar("EntryKind", bound=Entry)


def entry(call: Call, kind: type[EntryKind] = Entry) -> EntryKind:
    """A run, with what its arguments or the fields of its request say about it; inside of a run a step.

    The agent is the one that the object says it is in its attribute `agent_name`.
    """
    tier = whole(call.fact("tier", "risk_tier"))
    return kind(
        call.place.name if current() is not None else label(text(read(call.instance, "agent_name"))),
        workflow=text(call.fact("workflow")),
        tier=tier if tier in _TIERS else 0,
        tenant=text(call.fact("tenant", "tenant_id")),
        session=text(call.fact("session", "session_id", "conversation_id", "thread_id")),
        user=text(call.fact("user", "user_id")),
        release=label(text(call.fact("release", "release_id", "agent_version"))),
        track=one_of(call.fact("track"), _TRACKS),
    )


def entry_or_step(call: Call) -> Run | Step:
    """A run when none is under way, else a step of it."""
    return entry(call) if current() is None else step(call)


def ended(run: Run | Step, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads how a run ended where its result says so in the registry's words, and what its answer rests on."""
    evidence.cite(value)
    outcome = one_of(read(value, "outcome"), _OUTCOMES)
    reason = one_of(read(value, "stop_reason"), _STOP_REASONS)
    if not isinstance(run, Run) or run.kind == "step":
        return
    evidence.answer(run, value)
    if outcome is not None:
        run.outcome(outcome, reason)
    elif reason is not None:
        run.attributes[n.RUN_STOP_REASON] = reason


def step(call: Call) -> Step:
    """A step by the name of its function, or by the one it is given."""
    return Step(label(text(call.argument("step_name", "step"))) or call.place.name)
