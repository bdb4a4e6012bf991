"""The time in which agents live: that of the wall, or a simulated one in which five weeks take a minute."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> float:
        """Seconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Lets `seconds` pass."""
        ...


class WallClock:
    """The time of the machine."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@dataclass(slots=True)
class SimulatedClock:
    """A time that passes only when somebody sleeps; `at` is in nanoseconds since 1970, as OpenTelemetry counts.

    Who is recorded must not live in another time than who is not: `looks` only keeps the order of what happens at once.
    """

    at: int = 0
    looks: int = 0

    def __call__(self) -> int:
        """Nanoseconds since 1970, what `instrument(clock=…)` asks for; each look is a microsecond after the last."""
        self.looks += 1
        return self.at + 1_000 * self.looks

    def now(self) -> float:
        """Seconds since 1970."""
        return self.at / 1e9

    def sleep(self, seconds: float) -> None:
        """Moves the time on without waiting."""
        self.at += round(seconds * 1e9)
        self.looks = 0

    def jump(self, to: float) -> None:
        """Sets the time to `to` seconds since 1970, which may lie before now: requests overlap."""
        self.at = round(to * 1e9)
        self.looks = 0
