"""The run: one user request, its id, who and what it is for, and what was seen of it so far."""

from __future__ import annotations

from collections import Counter, deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tachograph.patterns.tool import ToolCall

_WAITING = 100  # bound of memory: calls of one tool that were looked at and have not started
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
    _expected: dict[str, deque[str]] = field(default_factory=dict[str, deque[str]])
    _asked: set[tuple[str, str | None]] = field(default_factory=set[tuple[str, str | None]])

    def call_in_question(self, tool: str, fresh: str, named: str | None = None, asker: str | None = None) -> str:
        """The id of the call of `tool` that a checkpoint or approval is about: the one it names, or one made up for it.

        Inside of a call of the tool it is that call. Else, where it names none, the first that asks gets `fresh` and
        whatever else asks before the tool runs the same one; an `asker` that asks again asks about another call.
        """
        under_way = CALLING.get()
        if named is None and under_way is not None and under_way.tool == tool and under_way.call_id is not None:
            return under_way.call_id
        waiting = self._expected.setdefault(tool, deque(maxlen=_WAITING))
        if named is not None:
            if named not in waiting and (under_way is None or under_way.call_id != named):
                waiting.append(named)
            return named
        if not waiting or (waiting[-1], asker) in self._asked:
            waiting.append(fresh)
        if asker is not None and len(self._asked) < _CALLS:
            self._asked.add((waiting[-1], asker))
        return waiting[-1]

    def claim_call(self, tool: str, fresh: str, named: str | None = None) -> str:
        """The id of the call that starts now: the one it names, else the one that was expected first, else `fresh`."""
        waiting = self._expected.get(tool)
        if named is not None:
            if waiting and named in waiting:
                waiting.remove(named)
            return named
        return waiting.popleft() if waiting else fresh

    def drop_call(self, tool: str, call_id: str) -> None:
        """Forgets an expected call: it was denied and will not run."""
        waiting = self._expected.get(tool)
        if waiting and call_id in waiting:
            waiting.remove(call_id)

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
    """The run that this thread or task works for, or None."""
    return RUNNING.get()


def current_tool() -> ToolCall | None:
    """The tool call that this thread or task is inside of, or None."""
    return CALLING.get()


def run_id() -> str | None:
    """The current run's id, to be put in the host's own records; None outside a run."""
    run = RUNNING.get()
    return run.id if run is not None else None
