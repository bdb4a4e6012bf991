"""Runs, turns and steps: what everything else happens in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from typing_extensions import override

from tachograph.hook import Hook
from tachograph.patterns.values import double
from tachograph.recording import CANCELLED, Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import RUNNING, RunContext, current
from tachograph.telemetry import baggage
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from tachograph.telemetry.recorder import Recorder

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
    ) -> None:
        super().__init__()
        self._agent, self._workflow, self._tier, self._tenant = agent, workflow, tier, tenant
        self._session, self._user, self._release, self._track, self._id = session, user, release, track, id
        self._outcome: str | None = None
        self._suspended = False
        self.context: RunContext | None = None
        self.outermost = False  # in this process: what happens inside of it is noted in a context of its own
        self._sends = False

    @property
    def id(self) -> str | None:
        """The run's id, for resuming it and for the host's own records; None when nothing is recorded."""
        return self.context.id if self.context is not None else None

    @override
    def name(self) -> str:
        return f"step {self._agent}" if self.kind == "step" else f"invoke_agent {self.attributes[n.GEN_AI_AGENT_NAME]}"

    @override
    def opened(self, recorder: Recorder) -> None:
        outer = current()
        agent = self._agent or (outer.agent if outer else recorder.default_agent)
        if outer is not None:
            self.context = outer
            self._become_step(agent)
            return
        caller = baggage.run_of_caller() if recorder.baggage == "on" else None
        if caller is not None and self._id in {None, caller}:
            self._id = caller
            self._become_step(agent)
        self._sends = recorder.baggage != "off"
        self._open(recorder, agent)

    def _become_step(self, agent: str) -> None:
        self._agent, self.kind = agent, "step"
        self.attributes[n.STEP_NAME] = agent

    def _open(self, recorder: Recorder, agent: str) -> None:
        """What happens inside from now on is this run's, or this part's of one that began elsewhere."""
        common: dict[str, object] = {
            n.RUN_ID: self._id or recorder.new_id("run"),
            n.GEN_AI_AGENT_NAME: agent,
            n.WORKFLOW: self._workflow or agent,
            n.TENANT_ID: recorder.tenant(self._tenant),
            n.GEN_AI_CONVERSATION_ID: self._session,
            n.RELEASE_ID: self._release or recorder.release,
            n.RELEASE_TRACK: self._track or recorder.track,
        }
        common = {name: value for name, value in common.items() if value is not None}
        self.context = RunContext(
            str(common[n.RUN_ID]), agent, str(common[n.WORKFLOW]), self._tier, common, resumed=self._id is not None
        )
        self.outermost = True
        recorder.cover("run", agent)
        self.carry(RUNNING, self.context)
        self.attributes |= common
        if self.kind == "step":
            return
        self.attributes |= {n.GEN_AI_OPERATION_NAME: "invoke_agent", n.RUN_TIER: self._tier}
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

    @guarded("run", None)
    def suspend(self) -> None:
        """Says that the run waits, for an approval say; `run(id=…)` goes on with it."""
        self._suspended = True

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
            super().finish(error, ended)
        finally:
            if self.context is not None and self.outermost:
                self.context.ended = True  # a task that outlives the run is not in it any more

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        run = self.context
        if run is None or not self.outermost:
            return
        self.attributes |= run.common
        for place in run.prompted:
            if place not in run.enforced:
                recorder.detect("checkpoint_prompt_only")
        if self.kind == "step":  # how the run ends, and that it was one, is said where it began
            return
        self.attributes |= {
            n.RUN_TURNS: run.turns or run.llm_calls,
            n.RUN_TIER: run.tier,
            n.RUN_HOOKS: recorder.hooks(run.agent),
        }
        if self._suspended:
            self.attributes[n.RUN_SUSPENDED] = True
            return
        outcome = self._outcome or _outcome(run, error)
        reason = self.attributes.setdefault(n.RUN_STOP_REASON, _stop_reason(error))
        self.attributes[n.RUN_OUTCOME] = outcome
        if outcome not in UNREMARKABLE:
            for answered in run.hits.values():
                if not answered:
                    recorder.detect("budget_no_degraded")
        labels = {**run.common, n.RUN_OUTCOME: outcome, n.RUN_TIER: run.tier, n.RUN_STOP_REASON: reason}
        self._record(recorder, run, seconds, labels)

    def _record(self, recorder: Recorder, run: RunContext, seconds: float, labels: dict[str, object]) -> None:
        record = recorder.metrics.record
        record(instruments.RUNS, 1, labels)
        record(instruments.RUN_DURATION, seconds, labels)
        record(instruments.RUN_STOPS, 1, labels)
        record(instruments.RUN_TURNS, run.turns or run.llm_calls, labels)
        if run.llm_calls and not run.unpriced:
            record(instruments.RUN_COST, run.cost, labels)
        confidence = self.attributes.get(n.ANSWER_CONFIDENCE)
        if isinstance(confidence, int | float):
            record(instruments.ANSWER_CONFIDENCE, confidence, labels)


def _outcome(run: RunContext, error: BaseException | None) -> str:
    if isinstance(error, CANCELLED):
        return "cancelled"
    if error is not None:
        return "failed"
    return "degraded" if run.degraded else "success"


def _stop_reason(error: BaseException | None) -> str:
    if error is None:
        return "completed"
    if isinstance(error, CANCELLED):
        return "user_cancelled"
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
) -> Hook[Run]:
    """One user request, as `with`, `async with` or decorator.

    `workflow` names the kind of request (few values), `tier` its risk: 0 reads, 1 writes that one person approves,
    2 writes that two approve. `user` is recorded as a hash only. `id` resumes a suspended run.
    """
    return Hook(
        lambda: Run(
            agent,
            workflow=workflow,
            tier=tier,
            tenant=tenant,
            session=session,
            user=user,
            release=release,
            track=track,
            id=id,
        )
    )


def turn(name: str | int | None = None) -> Hook[Turn]:
    """One turn of the agent's loop, numbered where it has no name."""
    return Hook(lambda: Turn(name))
