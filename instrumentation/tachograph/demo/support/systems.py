"""The tenants' systems, and the two days on which the one for orders did not work."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock
    from tachograph.demo.support.tools import Actor

DAY_S: Final = 86_400.0
HOUR_S: Final = 3_600.0
OUTAGE_DAYS: Final = 5
"""Days before the end within which both outages lie."""

BROKEN: Final = "get_order"
_STARTS_H: Final = (9.0, 11.5)  # of the day, UTC
_LASTS_H: Final = (3.0, 5.0)
_WORKDAYS: Final = 5
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday

_ANSWER_S: Final = (0.05, 0.5)
_SLOW: Final = 0.004  # of calls take too long on any day
_REFUSED_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Outage:
    """From when to when, in seconds since 1970."""

    begin: float
    end: float

    def covers(self, at: float) -> bool:
        """Whether a time lies within."""
        return self.begin <= at < self.end


def outages(seed: int, until: float) -> tuple[Outage, ...]:
    """Two outages in office hours of working days, within the last days before `until` (seconds since 1970).

    A window of five days holds at least four whole dates, and so at least two working days.
    """
    source = Random(f"{seed} support outages")
    first = -((OUTAGE_DAYS * DAY_S - until) // DAY_S)  # the first date that begins within the window
    dates = [date for date in range(int(first), int(until // DAY_S)) if (date + _EPOCH_WEEKDAY) % 7 < _WORKDAYS]
    return tuple(_outage(date, source) for date in sorted(source.sample(dates, 2)))


def _outage(date: int, source: Random) -> Outage:
    begin = date * DAY_S + source.uniform(*_STARTS_H) * HOUR_S
    return Outage(begin, begin + source.uniform(*_LASTS_H) * HOUR_S)


@dataclass(slots=True)
class TenantSystems:
    """All systems of all tenants, for one visit after the other."""

    clock: Clock
    outages: tuple[Outage, ...] = ()
    fate: Random = field(default_factory=Random)

    def is_out(self) -> bool:
        """Whether the system for orders is out now."""
        return any(outage.covers(self.clock.now()) for outage in self.outages)

    def perform(
        self,
        tool: str,
        arguments: dict[str, object],
        *,
        actor: Actor,
        timeout: float,
        idempotency_key: str | None,  # noqa: ARG002 - these systems never see a key twice
    ) -> str:
        """What the system says, after the time that it takes."""
        slow, refused, took = self.fate.random() < _SLOW, self.fate.random() < 1 / 3, self.fate.uniform(*_ANSWER_S)
        out = tool == BROKEN and self.is_out()
        if out and refused:
            self.clock.sleep(_REFUSED_S)
            raise ConnectionError(tool)
        if out or slow:
            self.clock.sleep(timeout)
            raise TimeoutError(tool)
        self.clock.sleep(took)
        return f"{tool} for {actor.id}: {arguments}"
