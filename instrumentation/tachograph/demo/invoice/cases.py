"""The mails of the simulated suppliers: what is really in each, and what will happen to it on its way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from math import log
from typing import TYPE_CHECKING, Final

from tachograph.demo.arrivals import DAY_S
from tachograph.demo.invoice.checks import CEILING
from tachograph.demo.invoice.invoice import Invoice, Mail, Position

if TYPE_CHECKING:
    import random

    from tachograph.demo.arrivals import Arrival

TENANTS: Final = ("nordwind-de", "nordwind-nl", "nordwind-at")
SUPPLIERS: Final = {
    tenant: tuple(f"supplier-{number:03d}.example" for number in range(at * 40, at * 40 + 60))
    for at, tenant in enumerate(TENANTS)
}
"""Who each tenant buys from, by mail domain; neighbours share some."""

_WORKFLOWS: Final = {"standard_invoice": 68, "foreign_invoice": 22, "credit_note": 10}
_TENANT_SHARES: Final = (57, 29, 14)
_CLERKS: Final = 7  # of each tenant
_MEDIAN_CENTS: Final = 140_000
_SPREAD: Final = 1.3  # of the logarithms of amounts: one in fifteen is above the limit of the desk
_WITH_ACCOUNT: Final = 0.6  # of mails say where to pay to
_NEW_ACCOUNT: Final = 0.03  # of invoices come with the news of another account


class Event(Enum):
    """What happens to one mail."""

    NOTHING = auto()
    UNKNOWN_SENDER = auto()
    NO_ORDER = auto()
    OVERCHARGED = auto()
    BEYOND_CEILING = auto()
    REJECTED = auto()
    FORGOTTEN = auto()
    OUTAGE = auto()
    BANK_ERROR = auto()
    HICCUP = auto()
    ARCHIVED_ORDER = auto()
    TWO_ORDERS = auto()
    NO_MESSAGE_ID = auto()
    UNSEEN_CONTRACT = auto()
    NO_PREVIEW = auto()
    ACCOUNT_IN_CREDIT_NOTE = auto()
    SENT_AGAIN = auto()


# Of a thousand mails. The first eight end otherwise than paid; the rest meets a weakness of the agent.
_EVENTS: Final = {
    Event.UNKNOWN_SENDER: 38,
    Event.NO_ORDER: 25,
    Event.OVERCHARGED: 20,
    Event.BEYOND_CEILING: 9,
    Event.REJECTED: 24,
    Event.FORGOTTEN: 8,
    Event.OUTAGE: 14,
    Event.BANK_ERROR: 9,
    Event.HICCUP: 5,
    Event.ARCHIVED_ORDER: 5,
    Event.TWO_ORDERS: 5,
    Event.NO_MESSAGE_ID: 5,
    Event.UNSEEN_CONTRACT: 5,
    Event.NO_PREVIEW: 5,
    Event.ACCOUNT_IN_CREDIT_NOTE: 5,
    Event.SENT_AGAIN: 9,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One mail at play: the invoice in it, what happens, until when (seconds since 1970), and its own chance."""

    mail: Mail
    invoice: Invoice
    event: Event
    until: float
    random: random.Random

    def again(self, arrival: Arrival) -> Case:
        """The same mail, delivered once more."""
        return replace(self, event=Event.NOTHING, until=_until(arrival), random=arrival.random)


def case_of(arrival: Arrival) -> Case:
    """The mail that arrives."""
    source = arrival.random
    event = _event(source)
    tenant = source.choices(TENANTS, _TENANT_SHARES)[0]
    workflow = _workflow(event, source)
    sender = "stranger.example" if event is Event.UNKNOWN_SENDER else source.choice(SUPPLIERS[tenant])
    invoice = _invoice(f"R-{10_000 + arrival.number}", sender, workflow, event, source)
    named = source.random() < _WITH_ACCOUNT or invoice.new_account
    return Case(
        mail=Mail(
            message_id=None
            if event is Event.NO_MESSAGE_ID
            else f"{arrival.number}.{source.getrandbits(32):x}@{sender}",
            session=f"thread-{arrival.number}",
            user=f"{tenant}-clerk-{source.randrange(_CLERKS)}",
            tenant=tenant,
            workflow=workflow,
            sender=sender,
            text=f"{invoice.number}: {invoice.total / 100:.2f} {invoice.currency}." + _account(source) * named,
        ),
        invoice=invoice,
        event=event,
        until=_until(arrival),
        random=source,
    )


def _until(arrival: Arrival) -> float:
    return arrival.at + arrival.days_left * DAY_S


def _event(source: random.Random) -> Event:
    weights = [*_EVENTS.values(), 1_000 - sum(_EVENTS.values())]
    return source.choices([*_EVENTS, Event.NOTHING], weights)[0]


def _workflow(event: Event, source: random.Random) -> str:
    drawn = source.choices(list(_WORKFLOWS), list(_WORKFLOWS.values()))[0]
    if event is Event.ACCOUNT_IN_CREDIT_NOTE:
        return "credit_note"
    return "standard_invoice" if event in {Event.TWO_ORDERS, Event.ARCHIVED_ORDER} else drawn


def _invoice(number: str, sender: str, workflow: str, event: Event, source: random.Random) -> Invoice:
    amount = round(min(source.lognormvariate(log(_MEDIAN_CENTS), _SPREAD), CEILING * 0.9))
    if event is Event.BEYOND_CEILING:
        amount = CEILING + 1 + amount
    order = f"{'A' if event is Event.ARCHIVED_ORDER else 'P'}-{source.randrange(40_000, 99_999)}"
    parts = [Position(order, amount)]
    if event is Event.TWO_ORDERS:
        parts += [Position(f"P-{source.randrange(10_000, 39_999)}", amount // 3)]
    new_account = source.random() < _NEW_ACCOUNT if workflow != "credit_note" else event is Event.ACCOUNT_IN_CREDIT_NOTE
    currency = source.choice(("USD", "GBP", "CHF")) if workflow == "foreign_invoice" else "EUR"
    return Invoice(sender.removesuffix(".example"), number, currency, tuple(parts), new_account)


def _account(source: random.Random) -> str:
    """A sentence with a German account number whose check digits are right."""
    bank = f"{source.randrange(10**17, 10**18)}"
    check = 98 - int(f"{bank}131400") % 97  # ISO 13616: D is 13, E is 14
    number = f"DE{check:02d}{bank}"
    spaced = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    return f" Please pay to {source.choice((number, spaced))}."
