"""The agent's tools: what each does to the world and how many people must agree to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool's contract: `effect` is none, read or write; `tier` says how many people approve a call."""

    effect: str
    tier: int = 0


READ, NOTHING, WRITE = Tool("read"), Tool("none"), Tool("write", tier=1)

TOOLS = {
    "get_user_details": READ,
    "get_reservation_details": READ,
    "search_direct_flight": READ,
    "search_onestop_flight": READ,
    "list_all_airports": READ,
    "calculate": NOTHING,
    "think": NOTHING,
    "transfer_to_human_agents": NOTHING,
    "book_reservation": WRITE,
    "cancel_reservation": WRITE,
    "update_reservation_flights": WRITE,
    "update_reservation_baggages": WRITE,
    "update_reservation_passengers": WRITE,
    "send_certificate": WRITE,
}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back, and whether it did what it was asked for."""

    text: str
    ok: bool


class Desk(Protocol):
    """The airline's systems."""

    def perform(
        self, tool: str, arguments: dict[str, object], *, on_behalf_of: str, idempotency_key: str | None
    ) -> str:
        """Carries a tool call out and says what came of it."""
        ...
