"""The run: one user request, its id, who and what it is for, and what was seen of it so far."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tachograph.intent import Intents

if TYPE_CHECKING:
    from tachograph.patterns.tool import ToolCall

_CALLS = 10_000  # bound of memory: tool calls, documents and arguments that one run remembers


@dataclass(frozen=True, slots=True)
class Approved:
    """One person's approval of one call."""

    approver: str
    arguments_hash: str | None


@dataclass(slots=True)
class RunContext:
    """What the hooks of one run share; it lives as long as the run's span.

    `common` holds the attributes that every span and event of the run carries. `tokens` counts input and output
    tokens, `cost` US dollars of the priced calls, `unpriced` the calls without a price. `hits` are the budgets (type,
    scope) that were hit, and whether a degraded mode was entered since; `denied` the guardrails by call that denied it
    last; `prompted` and `enforced` the places (stage, call before a tool) of checkpoints in prompts and of all others.
    `resumed` says that an earlier part of the run, or its caller's, saw what this part cannot know.
    """

    id: str
    agent: str
    workflow: str
    tier: int
    common: dict[str, object]
    turns: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    degraded: bool = False
    hits: dict[tuple[str, str], bool] = field(default_factory=dict[tuple[str, str], bool])
    checked: set[str] = field(default_factory=set[str])
    denied: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    approvals: dict[str, list[Approved]] = field(default_factory=dict[str, list[Approved]])
    call_ids: set[str] = field(default_factory=set[str])
    documents: set[str] = field(default_factory=set[str])
    repeats: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    prompted: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    enforced: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    authorized: dict[str, str] = field(default_factory=dict[str, str])
    resumed: bool = False
    ended: bool = False
    _intents: Intents = field(default_factory=Intents)

    def call_in_question(
        self, tool: str, fresh: str, named: str | None = None, asker: str | None = None, arguments: str | None = None
    ) -> str:
        """The id of the call of `tool` that a checkpoint or approval is about; inside of a call of it, that call."""
        under_way = CALLING.get()
        inside = under_way is not None and (named == under_way.call_id or (named is None and under_way.tool == tool))
        if under_way is not None and under_way.call_id is not None and inside:
            return under_way.call_id
        return self._intents.about(tool, fresh, named, asker, arguments)

    def claim_call(self, tool: str, fresh: str, named: str | None = None, arguments: str | None = None) -> str:
        """The id of the call that starts now; see `Intents.claim`."""
        return self._intents.claim(tool, fresh, named, arguments)

    def drop_call(self, tool: str, call_id: str) -> None:
        """Forgets an intended call: it was denied and will not run."""
        self._intents.drop(tool, call_id)

    def check_call(self, call_id: str, guardrail: str, decision: str) -> None:
        """Notes what a checkpoint before a tool decided; a guardrail that denied may think better of it."""
        if len(self.checked) < _CALLS:
            self.checked.add(call_id)
        if decision == "deny":
            self.denied.setdefault(call_id, set()).add(guardrail)
        elif call_id in self.denied:
            self.denied[call_id].discard(guardrail)

    def may_run(self, call_id: str) -> bool:
        """Whether a checkpoint looked at the call and none denied it."""
        return call_id in self.checked and not self.denied.get(call_id)

    def remember_call(self, call_id: str, documents: tuple[str, ...] = ()) -> None:
        """Notes what evidence may point at."""
        if len(self.call_ids) < _CALLS:
            self.call_ids.add(call_id)
        if len(self.documents) < _CALLS:
            self.documents.update(documents)

    def repeated(self, tool: str, arguments_hash: str) -> int:
        """How often the run called `tool` with these arguments, this time included."""
        if len(self.repeats) < _CALLS:
            self.repeats[tool, arguments_hash] += 1
        return self.repeats[tool, arguments_hash]


RUNNING: ContextVar[RunContext | None] = ContextVar("tachograph_run", default=None)
CALLING: ContextVar[ToolCall | None] = ContextVar("tachograph_tool", default=None)


def current() -> RunContext | None:
    """The run that this thread or task works for, or None; one that has ended is nobody's run any more."""
    run = RUNNING.get()
    return None if run is None or run.ended else run


def current_tool() -> ToolCall | None:
    """The tool call that this thread or task is inside of, or None."""
    return CALLING.get()


def run_id() -> str | None:
    """The current run's id, to be put in the host's own records; None outside a run."""
    run = current()
    return run.id if run is not None else None
