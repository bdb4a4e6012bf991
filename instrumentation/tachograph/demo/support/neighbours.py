"""Others that call the same provider account, a mail backlog and summaries: they come and go while time passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tachograph.demo.support import limiter

if TYPE_CHECKING:
    from random import Random

    from tachograph.demo.clock import Clock

_BUSY: Final = 0.2  # of arrivals find others at work
_CROWDED: Final = 0.012  # … on all places but for moments
_BACKLOG: Final = 0.12  # of arrivals during an outage find the backlog on all places
_STAY_S: Final = (0.4, 2.5)
_CROWDED_STAY_S: Final = (0.2, 1.6)
_BACKLOG_STAY_S: Final = (9.0, 30.0)


@dataclass(slots=True)
class Neighbours:
    """A clock in which, while time passes, other callers of the provider come to their end and leave their places."""

    clock: Clock
    _leave_at: list[float] = field(default_factory=list[float])

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self.clock.sleep(seconds)
        self._leave(self.clock.now())

    def arrive(self, random: Random, *, outage: bool) -> None:
        """As many others take places as happen to be at work when a request comes."""
        luck = random.random()
        if outage and luck < _BACKLOG:
            count, stay = limiter.LIMIT, _BACKLOG_STAY_S
        elif luck < _CROWDED:
            count, stay = limiter.LIMIT, _CROWDED_STAY_S
        elif luck < _BUSY:
            count, stay = random.randint(1, limiter.LIMIT - 2), _STAY_S
        else:
            return
        for _ in range(count):
            if limiter.PLACES.acquire(blocking=False):
                self._leave_at.append(self.clock.now() + random.uniform(*stay))

    def all_leave(self) -> None:
        """Whoever is still there leaves."""
        self._leave(float("inf"))

    def _leave(self, now: float) -> None:
        gone = sum(at <= now for at in self._leave_at)
        self._leave_at = [at for at in self._leave_at if at > now]
        for _ in range(gone):
            limiter.PLACES.release()
