"""The run: one user request, its id, who and what it is for, and what was seen of it so far."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from tachograph.intent import Intent, Intents
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from tachograph.patterns.tool import ToolCall

_CALLS = 10_000  # bound of memory: tool calls, documents and arguments that one run remembers
_REQUESTS = 1_000  # bound of memory: requests for approval that one run remembers, the newest


@dataclass(frozen=True, slots=True)
class Approved:
    """One person's approval of one call."""

    approver: str
    arguments_hash: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """One request for approval, as far as the run knows it.

    `requested_at` is in seconds since 1970, `span` the trace and span id of where it was last spoken of, `approvers`
    who has approved so far. `open` says that somebody has still to speak, `earlier` that it comes from a part of the
    run before this one.
    """

    id: str
    tool: str
    tier: int
    mode: str
    status: str
    call_id: str | None
    arguments_hash: str | None
    requested_at: float
    span: tuple[int, int]
    approvers: tuple[str, ...] = ()
    open: bool = True
    earlier: bool = False

    def is_about(self, tool: str, call_id: str | None, arguments_hash: str | None) -> bool:
        """Whether a question that does not name its request can be this one, which an earlier part left open."""
        same_call = call_id in {None, self.call_id}
        same_arguments = None in {arguments_hash, self.arguments_hash} or arguments_hash == self.arguments_hash
        return self.open and self.earlier and self.tool == tool and same_call and same_arguments


@dataclass(slots=True)
class RunContext:
    """What the hooks of one run share; it lives as long as the run's span.

    `common` holds the attributes that every span and event of the run carries, plain. `tokens` counts input and output
    tokens, `cost` US dollars of the priced calls, `unpriced` the calls without a price. `hits` are the budgets (type,
    scope) that were hit, and whether a degraded mode was entered since; `stopped` is the stop reason of the last one
    that the agent did not pass by; `denied` the guardrails by call that denied it last; `prompted` and `enforced` the
    places (stage, call before a tool) of checkpoints in prompts and of all others; `valid` the tools whose arguments
    for the next call were found valid.
    `left` says that an earlier part of the run left requests for approval open.
    `resumed` says that an earlier part of the run, or its caller's, saw what this part cannot know; `partial` that
    there was one for certain, so that no sum of this part is the run's. `started` is in nanoseconds since 1970.
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
    stopped: str | None = None
    hits: dict[tuple[str, str], bool] = field(init=False)
    checked: set[str] = field(init=False)
    denied: dict[str, set[str]] = field(init=False)
    approvals: dict[str, list[Approved]] = field(init=False)
    call_ids: set[str] = field(init=False)
    documents: set[str] = field(init=False)
    repeats: dict[tuple[str, str], int] = field(init=False)
    prompted: set[tuple[str, str]] = field(init=False)
    enforced: set[tuple[str, str]] = field(init=False)
    authorized: dict[str, str] = field(init=False)
    valid: set[str] = field(init=False)
    requests: dict[str, Request] = field(init=False)
    left: bool = False
    granted: bool = False
    started: int = 0
    resumed: bool = False
    partial: bool = False
    ended: bool = False
    _intents: Intents = field(init=False)

    def __post_init__(self) -> None:
        # each of them as a default factory, dict[str, str] say, would take six times as long
        self.hits = {}
        self.checked = set()
        self.denied = {}
        self.approvals = {}
        self.call_ids = set()
        self.documents = set()
        self.repeats = {}
        self.prompted = set()
        self.enforced = set()
        self.authorized = {}
        self.valid = set()
        self.requests = {}
        self._intents = Intents({})

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

    def waiting_calls(self) -> list[tuple[str, Intent]]:
        """The calls that were looked at and have not started, with their tool."""
        return self._intents.waiting()

    def expect_call(self, tool: str, intent: Intent) -> None:
        """Takes over a call that an earlier part of the run looked at."""
        self._intents.expect(tool, intent)

    def request(self, named: str | None, tool: str, call_id: str | None, arguments: str | None) -> Request | None:
        """The request for approval that is spoken of again: the one it names, else one that an earlier part left."""
        if named is not None:
            return self.requests.get(named)
        if not self.left:
            return None
        return next((r for r in self.requests.values() if r.is_about(tool, call_id, arguments)), None)

    def note_request(self, request: Request) -> None:
        """Notes what became of a request so far."""
        if len(self.requests) >= _REQUESTS and request.id not in self.requests:
            del self.requests[next(iter(self.requests))]
        self.requests[request.id] = request
        self.left = self.left or (request.earlier and request.open)

    def turned_down(self) -> str | None:
        """The status of the last request that somebody or a clock turned down; None where any was granted."""
        negative = [r.status for r in self.requests.values() if r.status in {"rejected", "expired"}]
        return negative[-1] if negative and not self.granted else None

    def drop_call(self, tool: str, call_id: str) -> None:
        """Forgets an intended call: it was denied and will not run."""
        self._intents.drop(tool, call_id)

    def check_call(self, call_id: str, guardrail: str, decision: str) -> None:
        """Notes what a checkpoint before a tool decided; a guardrail that denied may think better of it."""
        if len(self.checked) < _CALLS:
            self.checked.add(call_id)
        if decision == "deny" and (call_id in self.denied or len(self.denied) < _CALLS):
            self.denied.setdefault(call_id, set()).add(guardrail)
        elif call_id in self.denied:
            self.denied[call_id].discard(guardrail)

    def note_place(self, place: tuple[str, str], *, prompt: bool) -> None:
        """Notes where a checkpoint stands, in a prompt or not."""
        places = self.prompted if prompt else self.enforced
        if len(places) < _CALLS:
            places.add(place)

    def prompt_only(self) -> set[tuple[str, str]]:
        """The places where checkpoints stand in prompts alone; none where there are more than the run remembers."""
        return self.prompted - self.enforced if len(self.enforced) < _CALLS else set()

    def approve(self, call_id: str, granted: list[Approved]) -> None:
        """Notes who approved a call; the calls approved first are forgotten first."""
        if len(self.approvals) >= _CALLS and call_id not in self.approvals:
            del self.approvals[next(iter(self.approvals))]
        self.approvals.setdefault(call_id, []).extend(granted)

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
        known = tool, arguments_hash
        times = self.repeats.get(known, 0)
        if times or len(self.repeats) < _CALLS:
            times = self.repeats[known] = times + 1
        return times


RUNNING: ContextVar[RunContext | None] = ContextVar("tachograph_run", default=None)
CALLING: ContextVar[ToolCall | None] = ContextVar("tachograph_tool", default=None)


def current() -> RunContext | None:
    """The run that this thread or task works for, or None; one that has ended is nobody's run any more."""
    run = RUNNING.get()
    return None if run is None or run.ended else run


def current_tool() -> ToolCall | None:
    """The tool call that this thread or task is inside of, or None."""
    return CALLING.get()


@guarded("run", cast("str | None", None))
def run_id() -> str | None:
    """The current run's id, to be put in the host's own records; None outside a run."""
    run = current()
    return run.id if run is not None else None
