"""The agent's tools: what each does to the world, how many people must agree to it, and the systems behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool's contract: `effect` is read, write or irreversible; `tier` says how many people approve a call."""

    effect: str
    tier: int = 0


READ, WRITE, TRANSFER = Tool("read"), Tool("write", tier=1), Tool("irreversible", tier=2)

TOOLS = {
    "get_supplier": READ,
    "get_purchase_order": READ,
    "get_archived_order": READ,
    "get_exchange_rate": READ,
    "check_duplicate": READ,
    "schedule_payment": WRITE,
    "book_credit": WRITE,
    "update_supplier": WRITE,
    "post_payment": TRANSFER,
}


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """One call of a tool; `id` is the call's own within its run, also for its further attempts."""

    id: str
    tool: str
    args: dict[str, object]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back, and the ids of the documents that it brought."""

    ok: bool = True
    data: dict[str, object] = field(default_factory=dict[str, object])
    documents: tuple[str, ...] = ()
    error: str = ""
    replayed: bool = False


class Systems(Protocol):
    """The company's ledger and its bank."""

    def perform(self, tool: str, args: dict[str, object], *, tenant: str, key: str | None) -> ToolResult:
        """Carries a tool call out; raises TimeoutError where no answer came in time."""
        ...

    def preview(self, tool: str, args: dict[str, object]) -> str | None:
        """What a write would change, for people to look at; None where the ledger cannot say."""
        ...


@dataclass(slots=True)
class Toolbox:
    """The tools at hand."""

    systems: Systems

    def call_tool(
        self, call: ToolRequest, *, tenant: str, role: str, idempotency_key: str | None = None, attempt: int = 1
    ) -> ToolResult:
        """Carries the call out for a role of the tenant's."""
        if attempt < 1 or not role:
            return ToolResult(ok=False, error="nobody asked for it")
        return self.systems.perform(call.tool, call.args, tenant=tenant, key=idempotency_key)
