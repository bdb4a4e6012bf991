"""P06, routing and decomposition: what could be chosen, what was, how; plans, delegations and how results combine."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, overload

from typing_extensions import override

from tachograph.hook import Hook, no_function, unnamed
from tachograph.patterns.values import reason_text, word
from tachograph.recording import Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph.hook import F
    from tachograph.telemetry.recorder import Recorder

Method = Literal["rule", "classifier", "embedding", "llm", "hybrid", "manual"]

_working: ContextVar[str | None] = ContextVar("tachograph_delegate", default=None)  # who was delegated to

CANDIDATES = 32  # names of candidates that one span carries; the count is always true


class Route(Recording):
    """One routing decision."""

    hook = "route"
    kind = "route"

    def __init__(
        self,
        router: str,
        *,
        candidates: Sequence[str] | None = (),
        method: Method = "rule",
        constrained: bool | None = None,
    ) -> None:
        super().__init__()
        self.attributes |= {n.ROUTER_NAME: router, n.ROUTING_METHOD: method, n.ROUTING_CONSTRAINT_APPLIED: constrained}
        self._candidates(candidates)

    def _candidates(self, candidates: Sequence[str] | None) -> None:
        if candidates is None:
            self.attributes |= {n.ROUTING_CANDIDATES: None, n.ROUTING_CANDIDATE_COUNT: None}
            return
        kept = list(candidates)[:CANDIDATES]
        self.attributes |= {n.ROUTING_CANDIDATES: kept or None, n.ROUTING_CANDIDATE_COUNT: len(candidates)}

    @override
    def name(self) -> str:
        return f"route {self.attributes[n.ROUTER_NAME]}"

    @guarded("route", None)
    def considered(self, candidates: Sequence[str], scores: Sequence[float] | None = None) -> None:
        """Says what it could choose from, and their scores in the same order."""
        self._candidates(candidates)
        self.attributes[n.ROUTING_SCORES] = [float(score) for score in scores][:CANDIDATES] if scores else None

    @guarded("route", None)
    def choose(self, selected: str | None, *, reason: str | None = None, outcome: str | None = None) -> None:
        """Says what it chose and why; `outcome` is selected, fallback, none or rejected."""
        self.attributes |= {
            n.ROUTING_SELECTED: word(selected, "unnamed"),
            n.ROUTING_REASON: reason_text(reason),
            n.ROUTING_OUTCOME: outcome or ("none" if selected is None else "selected"),
        }

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        attributes = self.attributes
        attributes.setdefault(n.ROUTING_OUTCOME, "none")
        recorder.metrics.record_all(
            recorder.with_common(attributes),
            (instruments.ROUTING_DECISIONS, 1),
            (instruments.ROUTING_DURATION, seconds),
        )
        if attributes[n.ROUTING_CANDIDATE_COUNT] == 0:
            recorder.detect("route_no_candidates")
        if attributes[n.ROUTING_METHOD] == "llm" and not attributes[n.ROUTING_CONSTRAINT_APPLIED]:
            recorder.detect("route_llm_unconstrained")


class Plan(Recording):
    """One plan or decomposition."""

    hook = "plan"
    kind = "plan"

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.attributes |= {n.GEN_AI_OPERATION_NAME: "plan", n.STEP_NAME: name}

    @override
    def opened(self, recorder: Recorder) -> None:
        self._agent = recorder.agent()

    @override
    def name(self) -> str:
        return f"plan {self._agent}"

    @guarded("plan", None)
    def subtasks(self, count: int) -> None:
        """Says how many subtasks came of it."""
        self.attributes[n.PLAN_SUBTASKS] = count


class Delegate(Recording):
    """One subtask handed to an agent, tool or person."""

    hook = "delegate"
    kind = "delegate"

    def __init__(self, to: str, *, subtask: str | None = None, source: str | None = None) -> None:
        super().__init__()
        self.attributes |= {n.ROUTING_SELECTED: to, n.DELEGATION_FROM: source, n.SUBTASK_ID: subtask}

    @override
    def opened(self, recorder: Recorder) -> None:
        if self.attributes[n.DELEGATION_FROM] is None:
            self.attributes[n.DELEGATION_FROM] = _working.get() or recorder.agent()
        self.carry(_working, self.attributes[n.ROUTING_SELECTED])

    @override
    def name(self) -> str:
        return f"delegate {self.attributes[n.ROUTING_SELECTED]}"


class Combine(Recording):
    """Results of subtasks becoming one."""

    hook = "combine"
    kind = "combine"

    def __init__(self, strategy: str, *, inputs: int | None = None) -> None:
        super().__init__()
        self.attributes |= {n.COMBINE_STRATEGY: strategy, n.COMBINE_INPUTS: inputs}

    @override
    def name(self) -> str:
        return f"combine {self.attributes[n.COMBINE_STRATEGY]}"


def route(
    router: str, *, candidates: Sequence[str] | None = (), method: Method = "rule", constrained: bool | None = None
) -> Hook[Route]:
    """A routing decision; `constrained` says whether code limits what a model may choose.

    `candidates` of None says that nobody can tell what there was to choose from.
    """
    no_function(router, "route", "the router")
    return Hook(lambda: Route(router, candidates=candidates, method=method, constrained=constrained))


@overload
def plan(name: F) -> F: ...


@overload
def plan(name: str | None = None) -> Hook[Plan]: ...


def plan(name: str | F | None = None) -> Hook[Plan] | F:
    """A plan or decomposition; say `subtasks(count)`."""
    return unnamed(name, Plan)


def delegate(to: str, *, subtask: str | None = None, source: str | None = None) -> Hook[Delegate]:
    """A subtask that `to` works on; `source` handed it over: by default the agent, or who was delegated to before."""
    no_function(to, "delegate", "to whom")
    return Hook(lambda: Delegate(to, subtask=subtask, source=source))


def combine(strategy: str, *, inputs: int | None = None) -> Hook[Combine]:
    """Results becoming one: first, vote, merge, rank or llm."""
    no_function(strategy, "combine", "the strategy")
    return Hook(lambda: Combine(strategy, inputs=inputs))
