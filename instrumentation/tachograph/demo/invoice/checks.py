"""What the desk lets pass: mails of known suppliers, calls within the limits, whole results, clean answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tachograph.demo.invoice.tools import TOOLS

if TYPE_CHECKING:
    from tachograph.demo.invoice.invoice import Mail, Recommendation
    from tachograph.demo.invoice.tools import ToolRequest, ToolResult

CEILING: Final = 10_000_000  # cents: what is dearer is decided by the board, not at this desk
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?\b")
_MASK: Final = "[account]"

# What the prompt tells the model and no code enforces. A workflow's rules belong into `validate_tool_call`; this one
# came with the credit notes and stayed a sentence.
PROMPTED: Final = {("credit_note", "update_supplier"): "accounts_stay_with_credit_notes"}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a check says: which rule decided, and what enforces it."""

    allowed: bool
    rule: str
    enforcement: str = "code"


@dataclass(frozen=True, slots=True)
class Vetting:
    """What may be read of a mail: its text with accounts masked, the accounts apart, how many were masked."""

    decision: str
    rule: str
    text: str
    accounts: tuple[str, ...] = ()
    redactions: int = 0
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checks:
    """The desk's guards; `suppliers` are those that each tenant buys from, by their mail domains."""

    suppliers: dict[str, frozenset[str]]

    def validate_request(self, request: Mail) -> Vetting:
        """Lets mails of the tenant's suppliers pass, and masks bank accounts: no model reads them."""
        if request.sender not in self.suppliers.get(request.tenant, frozenset()):
            return Vetting("deny", "unknown_supplier", "")
        accounts = tuple(_IBAN.findall(request.text))
        if not accounts:
            return Vetting("allow", "known_supplier", request.text)
        masked = _IBAN.sub(_MASK, request.text)
        return Vetting("redact", "no_accounts", masked, accounts, len(accounts), ("iban",))

    def validate_tool_call(self, call: ToolRequest, workflow: str) -> Ruling:
        """Whether the call is one of the desk's tools and within its limits."""
        prompted = PROMPTED.get((workflow, call.tool))
        if prompted is not None:
            return Ruling(allowed=True, rule=prompted, enforcement="prompt")
        if call.tool not in TOOLS or TOOLS[call.tool].effect == "read":
            return Ruling(allowed=call.tool in TOOLS, rule="known_tool")
        amount = call.args.get("amount", 0)
        return Ruling(allowed=isinstance(amount, int) and 0 <= amount <= CEILING, rule="ceiling")

    def authorize(self, role: str, tool: str) -> bool:
        """Whether the role may use the tool: clerks may, the rest is a matter of approval."""
        return role == "clerk" and tool in TOOLS

    def validate_tool_result(self, call: ToolRequest, result: ToolResult) -> bool:
        """Whether a result is whole: what a read brought has data, whatever failed says why."""
        if not result.ok:
            return bool(result.error)
        return TOOLS[call.tool].effect != "read" or bool(result.data)

    def validate_output(self, answer: Recommendation) -> bool:
        """Whether the recommendation may go to the clerk: it says something, and no bank account."""
        return bool(answer.text) and _IBAN.search(answer.text) is None

    def check_budget(self, type: str, *, limit: float, used: float) -> bool:
        """Whether there is something left of a budget."""
        return bool(type) and used < limit
