"""A circuit breaker for each tool: after failures in a row the tool is left alone for a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock

_FAILURES: Final = 5  # in a row
_COOLING_S: Final = 1_200.0


class CircuitOpenError(Exception):
    """The tool has failed too often and is left alone."""


@dataclass(slots=True)
class Breaker:
    """Counts failures by tool. After the pause it starts anew: it has no half-open state, so a broken tool fails on."""

    clock: Clock
    _failures: dict[str, int] = field(default_factory=dict[str, int])
    _open_until: dict[str, float] = field(default_factory=dict[str, float])

    def admit(self, tool: str) -> None:
        """Lets a call pass, or raises CircuitOpenError."""
        if self.clock.now() < self._open_until.get(tool, 0.0):
            raise CircuitOpenError(tool)

    def failed(self, tool: str) -> None:
        """Counts a failure; opens the circuit at the fifth in a row."""
        self._failures[tool] = self._failures.get(tool, 0) + 1
        if self._failures[tool] >= _FAILURES:
            self._failures[tool] = 0
            self._open_until[tool] = self.clock.now() + _COOLING_S

    def succeeded(self, tool: str) -> None:
        """Ends a row of failures."""
        self._failures[tool] = 0
