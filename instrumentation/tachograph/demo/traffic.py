"""What each reference agent's folder offers to the one who plays it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tachograph.demo.arrivals import Arrival
    from tachograph.demo.clock import Clock


class Traffic(Protocol):
    """An agent's simulated users, model and systems."""

    @property
    def MODULES(self) -> tuple[ModuleType, ...]:  # noqa: N802 - a module's constant
        """What `instrument()` is given."""
        ...

    def player(self, clock: Clock, seed: int, /) -> Callable[[Arrival], None]:
        """Makes the agent with its systems once; what it returns plays one arriving request a call."""
        ...


def traffic(agent: str) -> Traffic:
    """The traffic of the agent in the folder of that name."""
    return cast("Traffic", import_module(f"tachograph.demo.{agent}.traffic"))
