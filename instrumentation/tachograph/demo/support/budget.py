"""What a tenant may spend a day and what one request may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock

Action = Literal["none", "continue", "degrade"]

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Contract:
    """What a tenant has ordered: US dollars a day, whether it may go beyond them, and workflows nobody is named for."""

    daily: float
    overdraft: bool = False
    unserved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Spending:
    """How much of a limit is used, and what follows."""

    limit: float
    used: float
    action: Action


@dataclass(slots=True)
class Ledger:
    """Counts what each tenant spent today (UTC), in US dollars."""

    clock: Clock
    _spent: dict[tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])

    def today(self, tenant: str) -> float:
        """What the tenant has spent since midnight."""
        return self._spent.get(self._key(tenant), 0.0)

    def book(self, tenant: str, dollars: float) -> None:
        """Adds to what the tenant has spent."""
        key = self._key(tenant)
        self._spent[key] = self._spent.get(key, 0.0) + dollars

    def _key(self, tenant: str) -> tuple[str, int]:
        return tenant, int(self.clock.now() // _DAY_S)

    def check_budget(
        self,
        type: str,  # noqa: ARG002 - said for whoever reads the books, as is the scope
        *,
        limit: float,
        used: float,
        scope: str,  # noqa: ARG002 - see above
        overdraft: bool = False,
    ) -> Spending:
        """How much of a limit is used; over it less is done, or all the same where an overdraft is agreed."""
        over: Action = "continue" if overdraft else "degrade"
        return Spending(limit, used, over if used >= limit else "none")
