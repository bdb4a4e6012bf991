"""The airline's customers, model and systems: recorded conversations come again, with the time and tokens they take.

What is said is as it was recorded; sessions, customers, latencies and tokens are each arrival's own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tachograph.demo.airline import agent, tools
from tachograph.demo.airline.agent import AirlineAgent
from tachograph.demo.airline.model import Message, Reply, Usage
from tachograph.demo.airline.replay import Replay, read
from tachograph.demo.tokens import draw

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tachograph.demo.arrivals import Arrival
    from tachograph.demo.clock import Clock

MODULES: Final[tuple[ModuleType, ...]] = (agent, tools)

_CUSTOMERS: Final = 900  # few enough that some come back within five weeks
_FIRST_TOKEN_S: Final = (0.25, 0.9)
_TOKENS_PER_S: Final = (45.0, 95.0)  # what hosted chat models write per second, as a rule
_SYSTEM_S: Final = (0.05, 0.6)  # a reservation system's answer


def player(clock: Clock, seed: int) -> Callable[[Arrival], None]:
    """The airline's agent, and its customers one at a time: each call plays one arriving conversation."""
    recordings = read(None)
    customers = [f"customer-{number:03d}" for number in range(_CUSTOMERS)]
    random.Random(f"{seed} airline customers").shuffle(customers)

    def play(arrival: Arrival) -> None:
        recording = replace(
            arrival.random.choice(recordings),
            session=f"airline-{arrival.number}",
            # the square: some customers come often, most once or twice
            user=customers[int(arrival.random.random() ** 2 * _CUSTOMERS)],
        )
        visit = Visit(Replay(recording), clock, arrival.random)
        AirlineAgent(visit, visit).handle(visit.replay.conversation())

    return play


@dataclass(slots=True)
class Visit:
    """One conversation at play: the recording says what is said, the arrival's chance how long and how much."""

    replay: Replay
    clock: Clock
    random: random.Random

    def reply(self, messages: list[Message]) -> Reply:
        """The recorded message; its tokens are drawn and told as a provider tells them."""
        tokens = draw("conversation", self.random)
        self.clock.sleep(self.random.uniform(*_FIRST_TOKEN_S) + tokens.output / self.random.uniform(*_TOKENS_PER_S))
        return replace(self.replay.reply(messages), usage=Usage(tokens.input, tokens.output, "provider"))

    def perform(self, tool: str, arguments: dict[str, object], **about: Any) -> str:
        """The recorded result of the tool call."""
        self.clock.sleep(self.random.uniform(*_SYSTEM_S))
        return self.replay.perform(tool, arguments, **about)
