"""The agent: it reads an invoice, looks up what it is for, asks the people who must agree, and pays.

It knows nothing of telemetry. Most of its mails go one straight way on which everything is checked. Its weaknesses are
real and stand beside that way: a second attempt, an old kind of order, a mail with two orders in it, a long wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from tachograph.demo.invoice.invoice import Dossier, Evidence, Invoice, Mail, Position, Recommendation, invoice_of
from tachograph.demo.invoice.tools import TOOLS, ToolRequest, ToolResult

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock
    from tachograph.demo.invoice.approvals import Approvals, Decision
    from tachograph.demo.invoice.checks import Checks
    from tachograph.demo.invoice.model import Model, Reply, Task
    from tachograph.demo.invoice.tools import Toolbox

LIMIT: Final = 1_000_000  # cents: what is dearer goes through the bank at once, and two people sign it
TOKENS: Final = 7_400  # of reading one mail; longer ones are read by people
ATTEMPTS: Final = 3
BACKOFF_S: Final = 2.0
RATE_LIFE_S: Final = 8 * 3_600.0  # after which an exchange rate is looked up again
TOLERANCE: Final = 0.02  # of the ordered amount: freight and rounding
ARCHIVED: Final = "A-"  # how numbers of orders from before the last change of the ledger begin
ROLE: Final = "clerk"


class StopError(Exception):
    """The desk can do nothing more for this mail."""

    def __init__(self, outcome: str, stop_reason: str, text: str) -> None:
        super().__init__(text)
        self.outcome, self.stop_reason, self.text = outcome, stop_reason, text


@dataclass(frozen=True, slots=True)
class InvoiceAgent:
    """Handles one mail after the other."""

    model: Model
    toolbox: Toolbox
    checks: Checks
    approvals: Approvals
    clock: Clock
    agent_name: str = "invoice"

    def handle(self, request: Mail) -> Recommendation:
        """Pays the invoice, or says why not."""
        vetting = self.checks.validate_request(request)
        if vetting.decision == "deny":
            return Recommendation("refused", "guardrail", f"{request.sender} is no supplier of {request.tenant}")
        dossier = Dossier(request, vetting.text, vetting.accounts)
        try:
            answer = self._settle(dossier)
        except StopError as stop:
            answer = dossier.ends(stop.outcome, stop.stop_reason, stop.text)
        if not self.checks.validate_output(answer):
            return replace(answer, outcome="refused", stop_reason="guardrail", text="The answer is withheld.")
        return answer

    def _settle(self, dossier: Dossier) -> Recommendation:
        invoice = invoice_of(self._chat(dossier, "read", dossier.text).content)
        for call in self.plan(dossier, invoice):
            self._judge(call, invoice, self._look_up(dossier, call))
        for position in invoice.positions:
            if position.order.startswith(ARCHIVED):
                self._look_up_archived(dossier, position)
        self._cite(dossier, self._chat(dossier, "judge", f"{invoice.number}: {len(dossier.evidence)} facts"))
        if dossier.mail.workflow == "credit_note":
            self._book(dossier, invoice)
        else:
            for number, position in enumerate(invoice.positions):
                self._pay(dossier, invoice, position, first=number == 0)
        if invoice.new_account and dossier.accounts:
            self._update_supplier(dossier, invoice)
        return dossier.ends("success", "completed", f"{invoice.number} of {invoice.supplier} is settled")

    # -- reading
    def _chat(self, dossier: Dossier, task: Task, prompt: str) -> Reply:
        if not self.checks.check_budget("total_tokens", limit=TOKENS, used=dossier.tokens):
            raise StopError("escalated", "token_budget", "The mail is too long for this desk.")
        reply = self.chat(task, prompt)
        dossier.tokens += reply.usage.input_tokens + reply.usage.output_tokens
        return reply

    def chat(self, task: Task, prompt: str) -> Reply:
        """Asks the model."""
        return self.model.tell(task, prompt)

    def plan(self, dossier: Dossier, invoice: Invoice) -> list[ToolRequest]:
        """What has to be looked up before anybody can be asked to pay."""
        whole: dict[str, object] = {"supplier": invoice.supplier, "number": invoice.number}
        calls = [
            self._request(dossier, "get_supplier", {"supplier": invoice.supplier}),
            self._request(dossier, "check_duplicate", whole | {"amount": invoice.total}),
        ]
        orders = [one.order for one in invoice.positions if not one.order.startswith(ARCHIVED)]
        calls += [self._request(dossier, "get_purchase_order", {"order": order}) for order in orders]
        if invoice.currency != "EUR":
            calls.append(self._request(dossier, "get_exchange_rate", {"currency": invoice.currency}))
            dossier.assumptions.append("rate_of_the_day")
        return calls

    def _request(self, dossier: Dossier, tool: str, args: dict[str, object]) -> ToolRequest:
        dossier.calls += 1
        return ToolRequest(f"call-{dossier.calls}", tool, args)

    def _look_up(self, dossier: Dossier, call: ToolRequest) -> ToolResult:
        self._check(dossier, call)
        result = self._perform(dossier, call)
        self._learn(dossier, call, result)
        return result

    def _look_up_archived(self, dossier: Dossier, position: Position) -> None:
        """Orders of the old ledger have a way of their own, which is older than the checks of calls."""
        call = self._request(dossier, "get_archived_order", {"order": position.order})
        self.checks.authorize(ROLE, call.tool)
        result = self.toolbox.call_tool(call, tenant=dossier.mail.tenant, role=ROLE)
        self.checks.validate_tool_result(call, result)
        self._learn(dossier, call, result)

    def _learn(self, dossier: Dossier, call: ToolRequest, result: ToolResult) -> None:
        now = self.clock.now()
        sources = [("document", ref) for ref in result.documents] or [("tool_call", call.id)]
        dossier.evidence += [Evidence(call.tool, source, ref, call.tool, now) for source, ref in sources]

    def _judge(self, call: ToolRequest, invoice: Invoice, result: ToolResult) -> None:
        if not result.ok:
            raise StopError("escalated", "completed", f"{call.tool}: {result.error}")
        if result.data.get("duplicate") is True:
            raise StopError("refused", "guardrail", f"{invoice.number} was paid before.")
        ordered = result.data.get("amount")
        charged = next((one.amount for one in invoice.positions if one.order == call.args.get("order")), 0)
        if isinstance(ordered, int) and charged > ordered * (1 + TOLERANCE):
            raise StopError("escalated", "completed", f"{charged} cents are charged, {ordered} were ordered.")

    def _cite(self, dossier: Dossier, reply: Reply) -> None:
        """Takes over how sure the model is, and what it says its view rests on, as it says it."""
        dossier.confidence = float(str(reply.content["confidence"]))
        cited = cast("list[str]", reply.content["cites"])
        now = self.clock.now()
        dossier.evidence += [Evidence("terms_are_met", "document", ref, reply.model, now) for ref in cited]

    # -- writing
    def _pay(self, dossier: Dossier, invoice: Invoice, position: Position, *, first: bool) -> None:
        tool = "post_payment" if position.amount > LIMIT else "schedule_payment"
        args: dict[str, object] = {"supplier": invoice.supplier, **_payable(invoice, position)}
        call = self._request(dossier, tool, args)
        decision = self._approved(dossier, call)
        if invoice.currency != "EUR" and decision.waited > RATE_LIFE_S:
            call = replace(call, args=args | {"rate": self._rate_of_now(dossier, invoice)})
        # a mail's first payment stands for the others: who may make one may make all
        result = self._perform(dossier, call, trusted=not first)
        if result.error == "cut_off":
            self._pay_next_day(dossier, call)
        elif not result.ok:
            raise StopError("failed", "error", f"{tool}: {result.error}")
        self.approvals.record_audit("write", call, decision.approvers)

    def _rate_of_now(self, dossier: Dossier, invoice: Invoice) -> object:
        call = self._request(dossier, "get_exchange_rate", {"currency": invoice.currency})
        return self._look_up(dossier, call).data.get("rate")

    def _pay_next_day(self, dossier: Dossier, late: ToolRequest) -> None:
        """Too late for today's transfers: the same with tomorrow's date, for which one more signature has to do."""
        call = self._request(dossier, late.tool, late.args | {"value_date": "next_day"})
        self._approved(dossier, call, mode="supervisor")
        if not self._perform(dossier, call).ok:
            raise StopError("failed", "error", f"{call.tool}: not taken on the next day either")

    def _book(self, dossier: Dossier, invoice: Invoice) -> None:
        args: dict[str, object] = {"supplier": invoice.supplier, "number": invoice.number, "amount": invoice.total}
        call = self._request(dossier, "book_credit", args)
        self._write(dossier, call)

    def _update_supplier(self, dossier: Dossier, invoice: Invoice) -> None:
        args: dict[str, object] = {"supplier": invoice.supplier, "account": dossier.accounts[0]}
        self._write(dossier, self._request(dossier, "update_supplier", args))

    def _write(self, dossier: Dossier, call: ToolRequest) -> None:
        decision = self._approved(dossier, call)
        if not self._perform(dossier, call).ok:
            raise StopError("failed", "error", f"{call.tool} was not done")
        self.approvals.record_audit("write", call, decision.approvers)

    def _approved(self, dossier: Dossier, call: ToolRequest, mode: str | None = None) -> Decision:
        """The decision of as many supervisors as the tool's tier demands, or of one where `mode` says so."""
        self._check(dossier, call)
        tier = TOOLS[call.tool].tier
        diff = self.toolbox.systems.preview(call.tool, call.args)
        decision = self.approvals.request_approval(
            call, tenant=dossier.mail.tenant, tier=tier, mode=mode or ("dual" if tier > 1 else "supervisor"), diff=diff
        )
        self.approvals.record_audit("approval", call, decision.approvers)
        if decision.status == "expired":
            raise StopError("escalated", "timeout", f"Nobody decided on {call.tool}.")
        if decision.status != "approved":
            raise StopError("refused", "approval_rejected", f"{call.tool} was rejected.")
        return decision

    # -- calling
    def _check(self, dossier: Dossier, call: ToolRequest) -> None:
        ruling = self.checks.validate_tool_call(call, dossier.mail.workflow)
        if not ruling.allowed:
            raise StopError("escalated", "guardrail", f"{call.tool} is beyond the {ruling.rule}.")

    def _perform(self, dossier: Dossier, call: ToolRequest, *, trusted: bool = False) -> ToolResult:
        """The result of a call that was checked, after as many attempts as it takes."""
        key = _key(dossier.mail, call)
        for attempt in range(1, ATTEMPTS + 1):
            if not trusted and not self.checks.authorize(ROLE, call.tool):
                raise StopError("refused", "guardrail", f"{ROLE} may not use {call.tool}.")
            try:
                result = self.toolbox.call_tool(
                    call, tenant=dossier.mail.tenant, role=ROLE, idempotency_key=key, attempt=attempt
                )
            except TimeoutError:
                self.clock.sleep(BACKOFF_S * attempt)
                continue
            if attempt == 1:  # what came late is taken as it is
                self.checks.validate_tool_result(call, result)
            return result
        raise StopError("failed", "retry_exhausted", f"{call.tool} does not answer.")


def _payable(invoice: Invoice, position: Position) -> dict[str, object]:
    return {
        "number": invoice.number,
        "order": position.order,
        "amount": position.amount,
        "currency": invoice.currency,
    }


def _key(mail: Mail, call: ToolRequest) -> str | None:
    """What tells a write from its repetition: the mail's own id, the order and the day, where the mail has an id."""
    if TOOLS[call.tool].effect == "read" or mail.message_id is None:
        return None
    return f"{mail.message_id}:{call.args.get('order', '')}:{call.args.get('value_date', '')}"
