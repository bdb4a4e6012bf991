"""Who has to agree before money moves: the supervisors' queue, and the book of what was decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tachograph.demo.invoice.tools import ToolRequest


@dataclass(frozen=True, slots=True)
class Decision:
    """What the people said: `status` is approved, rejected or expired; `waited` is in seconds."""

    status: str
    approvers: tuple[str, ...]
    waited: float
    role: str = "supervisor"


class Queue(Protocol):
    """Where supervisors look for what waits for them."""

    def wait(self, call: ToolRequest, *, tenant: str, people: int, shown: str | None) -> Decision:
        """Waits until so many different people have agreed, or one has not, or nobody looked in time."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the book."""

    action: str
    tool: str
    call_id: str
    by: tuple[str, ...]


@dataclass(slots=True)
class Approvals:
    """Asks supervisors, and writes down what they said."""

    queue: Queue
    book: list[Entry] = field(default_factory=list[Entry])

    def request_approval(self, call: ToolRequest, *, tenant: str, tier: int, mode: str, diff: str | None) -> Decision:
        """Waits for the decision of one supervisor, or of two with the mode `dual`; `diff` is what they are shown."""
        people = 2 if mode == "dual" else min(tier, 1)
        return self.queue.wait(call, tenant=tenant, people=people, shown=diff)

    def record_audit(self, action: str, call: ToolRequest, by: tuple[str, ...]) -> None:
        """Writes a decision or a write into the book."""
        self.book.append(Entry(action, call.tool, call.id, by))
