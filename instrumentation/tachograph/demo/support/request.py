"""What comes in and what goes out: a customer's request, its parts, and the answers to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from tachograph.demo.support.tools import ToolRequest

Basis = Literal["fresh", "cached", "stale", "guess"]
Outcome = Literal["success", "degraded", "refused", "escalated", "failed"]
StopReason = Literal["completed", "guardrail", "approval_rejected", "retry_exhausted", "token_budget", "cost_budget"]


class Customer(Protocol):
    """The person who asks, when it is their turn."""

    def agrees(self, call: ToolRequest, shown: str) -> bool:
        """Whether they want the change that they were shown."""
        ...

    def is_helped(self, basis: Basis) -> bool:
        """Whether an answer that rests on `basis` was what they needed."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request of one customer; `tier` says how many people agree to what it changes."""

    session: str
    user: str
    tenant: str
    workflow: str
    text: str
    channel: str
    release: str
    track: str
    customer: Customer
    tier: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """A part of a request that one specialist can answer."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one part: what it rests on, what the customer is told about that, and how many tokens it took.

    `for_a_person` says that somebody else has to go on with it.
    """

    text: str
    basis: Basis = "fresh"
    notice: str = ""
    for_a_person: bool = False
    stop_reason: StopReason = "completed"
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, and how it ended."""

    text: str
    outcome: Outcome
    stop_reason: StopReason = "completed"
