"""What comes in and what goes out: a supplier's mail, the invoice in it, and the desk's recommendation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

RELEASE = "4.1"


@dataclass(frozen=True, slots=True)
class Mail:
    """A supplier's mail, as a clerk passes it on.

    `tenant` is the entity of the group that has to pay, `message_id` the mail's own id, which some mail programs leave
    out. `workflow` is standard_invoice, foreign_invoice or credit_note.
    """

    message_id: str | None
    session: str
    user: str
    tenant: str
    workflow: str
    sender: str
    text: str
    release: str = RELEASE
    track: str = "stable"


@dataclass(frozen=True, slots=True)
class Position:
    """What is to be paid for one order, in cents of the invoice's currency."""

    order: str
    amount: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """What the model read in a mail; a credit note is an invoice, too."""

    supplier: str
    number: str
    currency: str
    positions: tuple[Position, ...]
    new_account: bool = False

    @property
    def total(self) -> int:
        """All positions together, in cents."""
        return sum(position.amount for position in self.positions)


def invoice_of(content: Mapping[str, object]) -> Invoice:
    """The invoice in a model's structured answer; KeyError for a field that is not there."""
    positions = cast("list[Mapping[str, object]]", content["positions"])
    return Invoice(
        supplier=str(content["supplier"]),
        number=str(content["number"]),
        currency=str(content["currency"]),
        positions=tuple(Position(str(each["order"]), int(str(each["amount"]))) for each in positions),
        new_account=bool(content["new_account"]),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a claim rests on: a tool call or document, who produced it and when (seconds since 1970)."""

    claim: str
    source: str
    ref: str
    producer: str
    time: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the desk did or recommends, and what that rests on."""

    outcome: str
    stop_reason: str
    text: str
    evidence: tuple[Evidence, ...] = ()
    assumptions: tuple[str, ...] = ()
    confidence: float | None = None


@dataclass(slots=True)
class Dossier:
    """What the desk knows of one mail so far."""

    mail: Mail
    text: str
    accounts: tuple[str, ...]
    calls: int = 0
    tokens: int = 0
    evidence: list[Evidence] = field(default_factory=list[Evidence])
    assumptions: list[str] = field(default_factory=list[str])
    confidence: float | None = None

    def ends(self, outcome: str, stop_reason: str, text: str) -> Recommendation:
        """The recommendation that the dossier leads to."""
        return Recommendation(
            outcome, stop_reason, text, tuple(self.evidence), tuple(self.assumptions), self.confidence
        )
