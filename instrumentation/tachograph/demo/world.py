"""Which history is played: the same seed, end and number of runs give the same figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tachograph.demo.arrivals import HOUR_S

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENTS: Final = ("airline", "invoice", "support")
RUNS: Final = 12_000
SEED: Final = 7

_SIXTHS: Final[Mapping[str, int]] = {"airline": 1, "invoice": 1, "support": 4}


@dataclass(frozen=True, slots=True)
class World:
    """A history of about `runs` requests to all agents together that ends at `until`, seconds since 1970."""

    seed: int
    until: float
    runs: int

    def requests(self, agent: str) -> int:
        """How many of the requests are one agent's."""
        return self.runs * _SIXTHS[agent] // 6

    def __str__(self) -> str:
        end = datetime.fromtimestamp(self.until, UTC).strftime("%Y-%m-%dT%H:%MZ")
        return f"seed {self.seed}, until {end}, {sum(map(self.requests, AGENTS))} runs"


def last_full_hour() -> float:
    """Seconds since 1970: until when a history goes that is to end now, the same for a whole hour."""
    return time.time() // HOUR_S * HOUR_S
