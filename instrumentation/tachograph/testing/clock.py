"""A clock for tests: the same times each time."""

from __future__ import annotations

from dataclasses import dataclass

EPOCH = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z in nanoseconds


@dataclass(slots=True)
class SteppingClock:
    """A clock that moves on by `step` seconds each time it is asked, or by hand."""

    now: int = EPOCH
    step: float = 1.0

    def __call__(self) -> int:
        """Nanoseconds since 1970."""
        self.now += round(self.step * 1e9)
        return self.now

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass."""
        self.now += round(seconds * 1e9)
