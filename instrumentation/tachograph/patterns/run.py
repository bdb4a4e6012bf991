"""Runs, turns and steps: what everything else happens in."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, cast, overload

from typing_extensions import override

from tachograph.hook import Hook, unnamed
from tachograph.patterns.approval import abandon
from tachograph.patterns.values import double, identity, level
from tachograph.privacy.captured import capture, given
from tachograph.privacy.identity import spelled
from tachograph.recording import CANCELLED, Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import RUNNING, RunContext, current
from tachograph.suspension import Suspension, link, read, suspended, write
from tachograph.telemetry import baggage
from tachograph.telemetry.attributes import plain
from tachograph.telemetry.guard import guarded, misused

if TYPE_CHECKING:
    from inspect import BoundArguments

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from tachograph.hook import F
    from tachograph.telemetry.recorder import Recorder

# An id of ours that a host gives back is that of a run that began before; one of its own may be of a new run.
_OUR_ID: Final = re.compile(r"run_[0-9a-f]{16}")
# What an unanswered run ended as, where it does not say so itself, by the status of its last request for approval.
_TURNED_DOWN: Final = {"rejected": ("refused", "approval_rejected"), "expired": ("escalated", "timeout")}
UNREMARKABLE = frozenset({"degraded", "escalated", "refused"})  # outcomes with which a hit budget was answered


class Run(Recording):
    """One user request. A run inside of a run is a step of the outer one: one request has one run id.

    The outer one may be another service's, whose id came along in the baggage: then this is a part of that run, with
    its id. Calls, tokens and cost count here, where they happen; the run, its outcome and its duration there.
    """

    hook = "run"
    kind = "run"

    def __init__(
        self,
        agent: str | None = None,
        *,
        workflow: str | None = None,
        tier: int = 0,
        tenant: str | None = None,
        session: str | None = None,
        user: str | None = None,
        release: str | None = None,
        track: str | None = None,
        id: str | None = None,
        resume: str | bytes | None = None,
    ) -> None:
        super().__init__()
        self._agent, self._workflow, self._tier, self._tenant = agent, workflow, level(tier), tenant
        self._session, self._user, self._release, self._track = identity(session), user, identity(release), track
        self._id = identity(id)
        self._resume, self._before = resume, cast("Suspension | None", None)  # the parts before this one
        self._outcome: str | None = None
        self._suspended = False
        self.context: RunContext | None = None
        self.outermost = False  # in this process: what happens inside of it is noted in a context of its own
        self._sends = False

    @property
    @guarded("run", cast("str | None", None))
    def id(self) -> str | None:
        """The run's id, for resuming it and for the host's own records; None when nothing is recorded."""
        return self.context.id if self.context is not None else None

    @override
    def name(self) -> str:
        agent = self.context.agent if self.context is not None else None
        return f"step {self._agent}" if self.kind == "step" else f"invoke_agent {agent}"

    @override
    def common(self, recorder: Recorder) -> dict[str, object]:
        return super().common(recorder) if self.context is None else self.context.common.copy()

    @override
    def begin(self) -> None:
        super().begin()
        if self._before is not None and self.outermost:
            link(self.span, self._before.span)

    @override
    def opened(self, recorder: Recorder) -> None:
        outer = current()
        if outer is not None:
            self.context = outer
            self._become_step(self._agent or outer.agent)
            return
        self._read_resume(recorder)
        before = self._before.common if self._before is not None else {}
        agent = self._agent or before.get(n.GEN_AI_AGENT_NAME) or recorder.default_agent
        caller = baggage.run_of_caller() if recorder.baggage == "on" else None
        if caller is not None and self._id in {None, caller}:
            self._id = caller
            self._become_step(agent)
        self._sends = recorder.baggage != "off"
        self._open(recorder, agent)

    def _read_resume(self, recorder: Recorder) -> None:
        """Takes the suspended run that `resume` is: all of it, or its id where the host kept no more."""
        if self._resume is None:
            return
        said = (spelled(self._resume) or "").strip()  # a file or a column gives it back with a line's end, or as bytes
        self._before = read(said, recorder.hash_key)
        if self._before is not None:
            self._id = self._before.run_id
        elif _OUR_ID.fullmatch(said):
            self._id = said
        else:
            misused("run", "resume= is no string of suspend(); this is recorded as a run of its own")

    def _become_step(self, agent: str) -> None:
        self._agent, self.kind = agent, "step"
        self.attributes[n.STEP_NAME] = agent

    def _open(self, recorder: Recorder, agent: str) -> None:
        """What happens inside from now on is this run's, or this part's of one that began elsewhere."""
        before = self._before.common if self._before is not None else {}
        common: dict[str, object] = {
            n.RUN_ID: self._id or recorder.new_id("run"),
            n.GEN_AI_AGENT_NAME: agent,
            n.WORKFLOW: self._workflow or before.get(n.WORKFLOW) or agent,
            n.TENANT_ID: recorder.tenant(self._tenant) or before.get(n.TENANT_ID),
            n.GEN_AI_CONVERSATION_ID: self._session or before.get(n.GEN_AI_CONVERSATION_ID),
            n.RELEASE_ID: self._release or recorder.release,
            n.RELEASE_TRACK: self._track or recorder.track,
        }
        common = plain(common)
        run = RunContext(str(common[n.RUN_ID]), agent, str(common[n.WORKFLOW]), self._tier, common)
        run.started, run.resumed = self.started, self._id is not None
        run.partial = self._id is not None and _OUR_ID.fullmatch(self._id) is not None
        if self._before is not None:
            self._before.restore(run)
        self.context = run
        self.outermost = True
        recorder.cover("run", agent)
        self.carry(RUNNING, run)
        if self.kind == "step":
            return
        self.attributes |= {n.GEN_AI_OPERATION_NAME: "invoke_agent", n.RUN_TIER: run.tier}
        self.attributes[n.SAMPLE_RATE] = recorder.sample_rate
        if self._user is not None:
            self.attributes[n.USER_HASH] = recorder.hashed(self._user)

    @override
    def surroundings(self, span: Span) -> Context:
        context = super().surroundings(span)
        run = self.context
        return baggage.with_run(run, context) if run is not None and self.outermost and self._sends else context

    @guarded("run", None)
    def outcome(self, outcome: str, stop_reason: str | None = None) -> None:
        """Says how the run ended: success, degraded, refused, escalated, failed or cancelled."""
        self._outcome = outcome
        if stop_reason is not None:
            self.attributes[n.RUN_STOP_REASON] = stop_reason

    @guarded("run", cast("str | None", None))
    def suspend(self) -> str | None:
        """Says that the run waits, for an approval say, and gives what `run(resume=…)` goes on with it by.

        That is a string to be kept with the host's own request; it knows of the run what happened until now. None where
        nothing is recorded, and for a step. An exception that then leaves the run is how the host pauses, no failure.
        """
        self._suspended = True
        recorder, run = self.recorder, self.context
        if recorder is None or run is None or not self.outermost or self.kind == "step":
            return None
        seconds = (recorder.clock() - self.started) / 1e9
        return write(suspended(run, self.span, seconds, self._before), recorder.hash_key)

    @guarded("run", None)
    def content(self, *, input: object = None, output: object = None) -> None:
        """Says what was asked of the run and what it answered; nothing is looked at while capture is off."""
        capture(self.attributes, input=input, output=output)

    @override
    def bound(self, arguments: BoundArguments) -> None:
        self.content(input=given(arguments))

    @override
    def returned(self, value: object) -> None:
        self.content(output=value)

    @guarded("run", None)
    def answer(
        self, *, claims: int | None = None, assumptions: int | None = None, confidence: float | None = None
    ) -> None:
        """Says what the answer rests on; `confidence` from 0 to 1."""
        self.attributes |= {
            n.ANSWER_CLAIMS: claims,
            n.ANSWER_ASSUMPTIONS: assumptions,
            n.ANSWER_CONFIDENCE: double(confidence),
        }

    @override
    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        try:
            super().finish(None if self._suspended else error, ended)
        finally:
            if self.context is not None and self.outermost:
                self.context.ended = True  # a task that outlives the run is not in it any more

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        run = self.context
        if run is None or not self.outermost:
            return
        self.shared |= run.common  # a release may have been assigned
        for _ in run.prompt_only():
            recorder.detect("checkpoint_prompt_only")
        self.attributes[n.RUN_HOOKS] = recorder.hooks(run.agent)
        if self.kind == "step":  # how the run ends, and that it was one, is said where it began
            return
        self.attributes |= {n.RUN_TURNS: run.turns or run.llm_calls, n.RUN_TIER: run.tier}
        if run.resumed or self._before is not None:  # the part that was suspended is kept, so this one must be
            recorder.notice()
        if self._suspended:
            self.attributes[n.RUN_SUSPENDED] = True
        else:
            self._end(recorder, run, error, seconds)

    def _end(self, recorder: Recorder, run: RunContext, error: BaseException | None, seconds: float) -> None:
        if run.requests:
            abandon(recorder, run)
        outcome = self._outcome or _outcome(run, error)
        reason = self.attributes.setdefault(n.RUN_STOP_REASON, _stop_reason(run, error))
        self.attributes[n.RUN_OUTCOME] = outcome
        if outcome not in UNREMARKABLE:
            for answered in run.hits.values():
                if not answered:
                    recorder.detect("budget_no_degraded")
        labels = {**run.common, n.RUN_OUTCOME: outcome, n.RUN_TIER: run.tier, n.RUN_STOP_REASON: reason}
        self._record(recorder, run, seconds, labels)

    def _record(self, recorder: Recorder, run: RunContext, seconds: float, labels: dict[str, object]) -> None:
        before = self._before
        said: list[tuple[instruments.Instrument, float]] = [(instruments.RUNS, 1), (instruments.RUN_STOPS, 1)]
        if not run.partial:  # what is known of one part only is not the run's
            turns, calls, unpriced = run.turns or run.llm_calls, run.llm_calls, run.unpriced
            if before is not None:
                seconds, turns = seconds + before.seconds, turns + before.turns
                calls, unpriced = calls + before.llm_calls, unpriced + before.unpriced
            said += ((instruments.RUN_DURATION, seconds), (instruments.RUN_TURNS, turns))
            if calls and not unpriced:
                said.append((instruments.RUN_COST, run.cost + (before.cost if before else 0)))
        confidence = self.attributes.get(n.ANSWER_CONFIDENCE)
        if isinstance(confidence, int | float):
            said.append((instruments.ANSWER_CONFIDENCE, confidence))
        recorder.metrics.record_all(labels, *said)


def _outcome(run: RunContext, error: BaseException | None) -> str:
    if error is not None:
        return "cancelled" if isinstance(error, CANCELLED) else "failed"
    turned_down = run.turned_down()
    if turned_down is not None:
        return _TURNED_DOWN[turned_down][0]
    return "degraded" if run.degraded else "success"


def _stop_reason(run: RunContext, error: BaseException | None) -> str:
    if error is not None and isinstance(error, CANCELLED):
        return "user_cancelled"
    if run.stopped is not None:
        return run.stopped
    if error is None:
        turned_down = run.turned_down()
        return _TURNED_DOWN[turned_down][1] if turned_down is not None else "completed"
    return "timeout" if isinstance(error, TimeoutError | asyncio.TimeoutError) else "error"


class Turn(Recording):
    """One turn of the agent's loop."""

    hook = "turn"
    kind = "turn"

    def __init__(self, name: str | int | None = None) -> None:
        super().__init__()
        self._name = name

    @override
    def name(self) -> str:
        return f"turn {self.attributes[n.STEP_NAME]}"

    @override
    def opened(self, recorder: Recorder) -> None:
        run = current()
        if run is not None:
            run.turns += 1
        self.attributes[n.STEP_NAME] = str(self._name if self._name is not None else run.turns if run else 1)


class Step(Recording):
    """A step of the agent's own that no pattern names."""

    hook = "step"
    kind = "step"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.attributes[n.STEP_NAME] = name

    @override
    def name(self) -> str:
        return f"step {self.attributes[n.STEP_NAME]}"


@overload
def run(agent: F) -> F: ...


@overload
def run(
    agent: str | None = None,
    *,
    workflow: str | None = None,
    tier: int = 0,
    tenant: str | None = None,
    session: str | None = None,
    user: str | None = None,
    release: str | None = None,
    track: str | None = None,
    id: str | None = None,
    resume: str | bytes | None = None,
) -> Hook[Run]: ...


def run(
    agent: str | F | None = None,
    *,
    workflow: str | None = None,
    tier: int = 0,
    tenant: str | None = None,
    session: str | None = None,
    user: str | None = None,
    release: str | None = None,
    track: str | None = None,
    id: str | None = None,
    resume: str | bytes | None = None,
) -> Hook[Run] | F:
    """One user request, as `with`, `async with` or decorator.

    `workflow` names the kind of request (few values), `tier` its risk: 0 reads, 1 writes that one person approves,
    2 writes that two approve. `user` is recorded as a hash only. `resume` goes on with a suspended run, on whatever
    machine: it takes what `suspend()` gave there. `id` is the run's id where the host has one, or where it kept no more
    of a suspended run: its parts are one run then too, but this process does not know what the first part saw.
    `@tachograph.run` is `@tachograph.run()`.
    """
    return unnamed(
        agent,
        lambda called: Run(
            called,
            workflow=workflow,
            tier=tier,
            tenant=tenant,
            session=session,
            user=user,
            release=release,
            track=track,
            id=id,
            resume=resume,
        ),
    )


@overload
def turn(name: F) -> F: ...


@overload
def turn(name: str | int | None = None) -> Hook[Turn]: ...


def turn(name: str | int | F | None = None) -> Hook[Turn] | F:
    """One turn of the agent's loop, numbered where it has no name."""
    return unnamed(name, Turn)
