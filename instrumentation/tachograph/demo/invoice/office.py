"""The world around the agent, simulated: the model, the ledger, the bank, and supervisors who take their time."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Final

from tachograph.demo.invoice.approvals import Decision
from tachograph.demo.invoice.cases import Event
from tachograph.demo.invoice.model import Reply, Usage
from tachograph.demo.invoice.tools import TOOLS, ToolRequest, ToolResult
from tachograph.demo.tokens import draw

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock
    from tachograph.demo.invoice.cases import Case
    from tachograph.demo.invoice.model import Task

MODEL, PROVIDER = "gpt-4o", "openai"

_FIRST_TOKEN_S: Final = (0.3, 1.1)
_TOKENS_PER_S: Final = (45.0, 95.0)  # what hosted chat models write per second, as a rule
_SYSTEM_S: Final = (0.05, 0.6)
_TIMEOUT_S: Final = 10.0
_DECIDES_S: Final = 25 * 60.0  # the median time until a supervisor decides
_DECIDES_SPREAD: Final = 1.5  # of its logarithm: one decision in forty takes a night
_FORGOTTEN_S: Final = 24 * 3_600.0
_LEAST_S: Final = 2.0  # a decision takes, also where little time is left
_SUPERVISORS: Final = ("ines", "jonas", "karla")  # of each tenant
_LATE: Final = 0.08  # of large payments come after the bank's last hour for transfers
_CITES: Final = 0.6  # of the model's views name the order
_RATE: Final = (0.88, 1.12)
_WORN: Final = 0.005  # how far an exchange rate moves in a day, at most


@dataclass(slots=True)
class Ledger:
    """What was done so far: invoices by tenant and number, with the time of booking, and the keys of transfers."""

    booked: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    transfers: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


@dataclass(slots=True)
class Office:
    """Model, ledger, bank and supervisors while they deal with one case."""

    clock: Clock
    case: Case
    ledger: Ledger
    _hiccuped: bool = False

    # -- the model
    def tell(self, task: Task, prompt: str) -> Reply:  # noqa: ARG002 - it knows what is in the mail
        """What a model reads in the mail, or thinks of it."""
        source = self.case.random
        tokens = draw("code" if task == "read" else "conversation", source)
        self.clock.sleep(source.uniform(*_FIRST_TOKEN_S) + tokens.output / source.uniform(*_TOKENS_PER_S))
        content = self._read() if task == "read" else self._view()
        return Reply(content, MODEL, PROVIDER, Usage(tokens.input, tokens.output))

    def _read(self) -> dict[str, object]:
        invoice = self.case.invoice
        return {
            "supplier": invoice.supplier,
            "number": invoice.number,
            "currency": invoice.currency,
            "positions": [{"order": one.order, "amount": one.amount} for one in invoice.positions],
            "new_account": invoice.new_account,
        }

    def _view(self) -> dict[str, object]:
        source, order = self.case.random, self.case.invoice.positions[0].order
        cites = [f"order-{order}"] if source.random() < _CITES else []
        if self.case.event is Event.UNSEEN_CONTRACT:
            cites = [f"contract-{self.case.invoice.supplier}"]
        return {"confidence": round(source.betavariate(17, 3), 2), "cites": cites}

    # -- ledger and bank
    def perform(self, tool: str, args: dict[str, object], *, tenant: str, key: str | None) -> ToolResult:
        """Looks up, or does and remembers it; the bank knows the keys of its transfers, the ledger knows none."""
        self.clock.sleep(self.case.random.uniform(*_SYSTEM_S))
        self._may_be_slow(tool)
        if TOOLS[tool].effect == "read":
            return self._look_up(tool, args, tenant)
        if self.case.event is Event.BANK_ERROR:
            return ToolResult(ok=False, error="not_accepted")
        if tool == "post_payment":
            return self._transfer(args, tenant, key)
        self._book(args, tenant)
        return ToolResult(data={"done": True})

    def _may_be_slow(self, tool: str) -> None:
        event = self.case.event
        hiccup = event is Event.HICCUP and tool == "check_duplicate" and not self._hiccuped
        if hiccup or (event is Event.OUTAGE and tool == "get_purchase_order"):
            self._hiccuped = True
            self.clock.sleep(_TIMEOUT_S)
            raise TimeoutError(tool)

    def _look_up(self, tool: str, args: dict[str, object], tenant: str) -> ToolResult:
        match tool:
            case "get_purchase_order" | "get_archived_order":
                return self._order(str(args["order"]))
            case "check_duplicate":
                booked = self.ledger.booked.get((tenant, str(args["number"])))
                return ToolResult(data={"duplicate": booked is not None and booked <= self.clock.now()})
            case "get_exchange_rate":
                day = self.clock.now() / 86_400
                return ToolResult(data={"rate": round(self.case.random.uniform(*_RATE) + day % 1 * _WORN, 4)})
            case _:
                return ToolResult(data={"supplier": args["supplier"], "days": 30})

    def _order(self, number: str) -> ToolResult:
        charged = next((one.amount for one in self.case.invoice.positions if one.order == number), None)
        if charged is None or self.case.event is Event.NO_ORDER:
            return ToolResult(ok=False, error="no_such_order")
        ordered = charged * 4 // 5 if self.case.event is Event.OVERCHARGED else charged
        return ToolResult(data={"amount": ordered}, documents=(f"order-{number}",))

    def _transfer(self, args: dict[str, object], tenant: str, key: str | None) -> ToolResult:
        if key is not None and (tenant, key) in self.ledger.transfers:
            return ToolResult(data={"done": True}, replayed=True)
        if "value_date" not in args and self.case.random.random() < _LATE:
            return ToolResult(ok=False, error="cut_off")
        if key is not None:
            self.ledger.transfers.add((tenant, key))
        self._book(args, tenant)
        return ToolResult(data={"done": True})

    def _book(self, args: dict[str, object], tenant: str) -> None:
        if "number" in args:
            self.ledger.booked.setdefault((tenant, str(args["number"])), self.clock.now())

    def preview(self, tool: str, args: dict[str, object]) -> str | None:
        """What would change in the ledger."""
        return None if self.case.event is Event.NO_PREVIEW else f"{tool} {args}"

    # -- supervisors
    def wait(self, call: ToolRequest, *, tenant: str, people: int, shown: str | None) -> Decision:  # noqa: ARG002 - they decide by what happens
        """What the tenant's supervisors decide, one after the other, minutes or hours later."""
        began, source = self.clock.now(), self.case.random
        if self.case.event is Event.FORGOTTEN:
            self._pass(_FORGOTTEN_S)
            return Decision("expired", (), self.clock.now() - began)
        asked = tuple(f"{name}@{tenant}" for name in source.sample(_SUPERVISORS, people))
        for _ in asked:
            self._pass(source.lognormvariate(log(_DECIDES_S), _DECIDES_SPREAD))
            if self.case.event is Event.REJECTED:
                return Decision("rejected", asked[:1], self.clock.now() - began)
        return Decision("approved", asked, self.clock.now() - began)

    def _pass(self, seconds: float) -> None:
        """Lets time pass, but never more than a quarter of what is left: nothing is decided in the future."""
        self.clock.sleep(min(seconds, max(_LEAST_S, (self.case.until - self.clock.now()) / 4)))
