"""The tools of the specialists: what each does to the world, and the one way in which they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from tachograph.demo.support.breaker import Breaker
from tachograph.demo.support.cache import AnswerCache

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock
    from tachograph.demo.support.request import Request

_CONFIRMED_S: Final = 86_400.0  # a second click on the same day does no harm
_TIMEOUT_S: Final = 2.0
_RESULT_LIMIT: Final = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool's contract: `effect` is read or write; `tier` says how many people agree to a call."""

    effect: Literal["read", "write"]
    tier: int = 0


TOOLS: Final = {
    "get_invoice": Tool("read"),
    "get_order": Tool("read"),
    "search_manual": Tool("read"),
    "update_account": Tool("write", tier=1),
}


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call that the model asks for; `id` is fresh for each."""

    id: str
    tool: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back; `replayed` says that it was given before and nothing was done again."""

    text: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf a tool is called."""

    id: str
    tenant: str
    role: str = "customer"


class RefusedError(Exception):
    """The check of a call, or the customer, said no."""


class Systems(Protocol):
    """The tenants' own systems. They raise TimeoutError or ConnectionError when they are not there."""

    def perform(
        self, tool: str, arguments: dict[str, object], *, actor: Actor, timeout: float, idempotency_key: str | None
    ) -> str:
        """Carries a call out and says what came of it."""
        ...


class Toolbox:
    """Checks a call, asks whoever must agree, makes it and checks what came back.

    Its weakness is real: the confirmation of a change is kept for a day and given again to whoever asks for the same
    change, though it may have been undone meanwhile.
    """

    def __init__(self, systems: Systems, clock: Clock) -> None:
        self._systems, self._breaker = systems, Breaker(clock)
        self.confirmation_cache = AnswerCache("confirmations", clock, ttl=_CONFIRMED_S, scope="user")

    def perform(self, call: ToolRequest, request: Request, *, attempt: int) -> ToolResult:
        """The result of a call.

        Raises RefusedError for a call that may not be made, TimeoutError or ConnectionError for a system that fails,
        and CircuitOpenError for one that has failed too often.
        """
        self._breaker.admit(call.tool)
        if not self.validate_tool_call(call):
            raise RefusedError(call.tool)
        writes = TOOLS[call.tool].tier > 0
        if writes and not self.confirm(call, diff=_shown(call), approver=request.user, request=request):
            raise RefusedError(call.tool)
        key = f"{request.session}:{call.id}" if writes else None
        actor = Actor(request.user, request.tenant)
        try:
            result = self.call_tool(call, actor, attempt=attempt, idempotency_key=key)
        except (TimeoutError, ConnectionError):
            self._breaker.failed(call.tool)
            raise
        self._breaker.succeeded(call.tool)
        self.validate_tool_result(result, call)
        return result

    def validate_tool_call(self, call: ToolRequest) -> bool:
        """Whether the call is of a known tool and says about what."""
        return call.tool in TOOLS and bool(call.arguments)

    def confirm(self, call: ToolRequest, *, diff: str, approver: str, request: Request) -> bool:  # noqa: ARG002 - who agrees, for the record
        """Whether the customer agrees to what they are shown."""
        return request.customer.agrees(call, diff)

    def authorize(self, actor: Actor, tool: str) -> bool:
        """Whether the actor may use the tool: customers may use all, on what is theirs."""
        return actor.role == "customer" and tool in TOOLS

    def call_tool(
        self,
        call: ToolRequest,
        actor: Actor,
        *,
        attempt: int,  # noqa: ARG002 - how often it was tried, for the record
        idempotency_key: str | None = None,
    ) -> ToolResult:
        """Carries the call out in the tenant's system."""
        if not self.authorize(actor, call.tool):
            raise PermissionError(call.tool)
        change = f"{actor.id} {call.arguments}"
        writes = TOOLS[call.tool].effect == "write"
        if writes and (known := self.confirmation_cache.get(actor.tenant, change)) is not None:
            return ToolResult(known, replayed=True)
        text = self._systems.perform(
            call.tool, call.arguments, actor=actor, timeout=_TIMEOUT_S, idempotency_key=idempotency_key
        )
        if writes:
            self.confirmation_cache.set(actor.tenant, change, text)
        return ToolResult(text)

    def validate_tool_result(self, result: ToolResult, call: ToolRequest) -> bool:
        """Whether a result is of a size that the model can take."""
        return call.tool in TOOLS and 0 < len(result.text) <= _RESULT_LIMIT


def _shown(call: ToolRequest) -> str:
    return ", ".join(f"{name}: {value}" for name, value in call.arguments.items())
