"""The invoice desk's suppliers, supervisors, model and systems: each arrival is a mail that somebody sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tachograph.demo.invoice import agent, approvals, checks, tools
from tachograph.demo.invoice.agent import InvoiceAgent
from tachograph.demo.invoice.approvals import Approvals, Entry
from tachograph.demo.invoice.cases import SUPPLIERS, Case, Event, case_of
from tachograph.demo.invoice.checks import Checks
from tachograph.demo.invoice.office import Ledger, Office
from tachograph.demo.invoice.tools import Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tachograph.demo.arrivals import Arrival
    from tachograph.demo.clock import Clock
    from tachograph.demo.invoice.invoice import Recommendation

MODULES: Final[tuple[ModuleType, ...]] = (agent, approvals, checks, tools)


def player(clock: Clock, seed: int) -> Callable[[Arrival], None]:  # noqa: ARG001 - all chance is the arrivals' own
    """The invoice agent with its world: each call plays one arriving mail."""
    play = desk(clock)

    def arrive(arrival: Arrival) -> None:
        play(arrival)

    return arrive


def desk(clock: Clock) -> Callable[[Arrival], Recommendation]:
    """Plays one arriving mail a call and gives what the agent made of it."""
    ledger, guards, book = (
        Ledger(),
        Checks({tenant: frozenset(known) for tenant, known in SUPPLIERS.items()}),
        list[Entry](),
    )
    latest: Case | None = None

    def play(arrival: Arrival) -> Recommendation:
        nonlocal latest
        case = case_of(arrival)
        if case.event is Event.SENT_AGAIN and latest is not None:
            case = latest.again(arrival)
        elif case.event is Event.NOTHING:
            latest = case
        office = Office(clock, case, ledger)
        return InvoiceAgent(office, Toolbox(office), guards, Approvals(office, book), clock).handle(case.mail)

    return play
