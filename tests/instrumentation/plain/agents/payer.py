"""A plain agent that asks, keeps its request, and goes on when somebody has decided; it imports no telemetry."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

TOOLS = {"pay": {"effect": "write", "tier": 1}}


class ApprovalPending(Exception):  # noqa: N818 - it is no error
    pass


@dataclass
class Mail:
    request_id: str
    amount: int
    tenant: str = "acme"
    workflow: str = "invoice"


@dataclass
class Pending:
    """What the agent keeps until somebody decides."""

    id: str
    request_id: str
    tool: str
    args: dict[str, object]
    status: str = "pending"
    requested_at: float = field(default_factory=time.time)


@dataclass
class Decision:
    status: str
    approver: str


class Payer:
    raises = False

    def handle(self, mail: Mail) -> Pending:
        args: dict[str, object] = {"amount": mail.amount}
        self.validate_tool_call("pay", args)
        return self.request_approval("pay", args, diff="0 -> paid", mail=mail)

    def request_approval(self, tool: str, args: dict[str, object], *, diff: str, mail: Mail) -> Pending:
        if self.raises:
            raise ApprovalPending(mail.request_id)
        return Pending(f"ask-{mail.request_id}", mail.request_id, tool, args)

    def resume(self, pending: Pending, decision: Decision) -> str:
        if decision.status != "approved":
            return "not paid"
        return self.call_tool(pending.tool, pending.args, idempotency_key=pending.id)

    def validate_tool_call(self, tool: str, args: dict[str, object]) -> bool:
        return True

    def call_tool(self, tool: str, args: dict[str, object], *, idempotency_key: str) -> str:
        return "paid"
