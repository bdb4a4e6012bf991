"""Five weeks of the platform: its customers, models and systems, a new release at the end, and an outage.

The draws that decide what a request costs and how it ends are made once for two requests, one of an even and one of an
odd number, somewhere in the same block of 32. Simulations call this common random numbers: both releases meet the same
mix of requests, and what differs between them is the release, not luck.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from tachograph.demo.support import agent, budget, cache, limiter, model, tools
from tachograph.demo.support.agent import SupportPlatform
from tachograph.demo.support.customers import Customers
from tachograph.demo.support.neighbours import Neighbours
from tachograph.demo.support.provider import Providers
from tachograph.demo.support.systems import DAY_S, TenantSystems, outages
from tachograph.demo.support.tenants import CONTRACTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tachograph.demo.arrivals import Arrival
    from tachograph.demo.clock import Clock
    from tachograph.demo.support.request import Answer

MODULES: Final[tuple[ModuleType, ...]] = (agent, budget, cache, limiter, model, tools)

_BLOCK: Final = 32
_PAIRS: Final = _BLOCK // 2
_STRIDE, _SHIFT = 5, 7  # odd stride: each pair of a block gets one odd number, in another order than the even ones


class Traffic:
    """The platform with everything around it; a new one finds all places at the provider free."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._seed = seed
        self._clock = Neighbours(clock)
        self._providers, self._systems = Providers(self._clock), TenantSystems(self._clock)
        self._customers = Customers(self._clock)
        self._platform = SupportPlatform(self._providers, self._systems, CONTRACTS, self._clock)
        limiter.PLACES.resize(limiter.LIMIT)

    def play(self, arrival: Arrival) -> Answer:
        """What the platform answers to an arriving request."""
        if not self._systems.outages:
            self._systems.outages = outages(self._seed, arrival.at + arrival.days_left * DAY_S)
        fate = Random(f"{self._seed} support pair {_pair(arrival.number)}")
        request = self._customers.request(arrival, fate)
        self._providers.begin(fate)
        self._systems.fate = fate
        self._clock.arrive(arrival.random, outage=self._systems.is_out())
        try:
            return self._platform.handle(request)
        finally:
            self._clock.all_leave()


def player(clock: Clock, seed: int) -> Callable[[Arrival], None]:
    """The platform and its traffic: each call plays one arriving request."""
    traffic = Traffic(clock, seed)

    def play(arrival: Arrival) -> None:
        traffic.play(arrival)

    return play


def _pair(number: int) -> int:
    block, place = divmod(number, _BLOCK)
    half, odd = divmod(place, 2)
    return block * _PAIRS + ((half * _STRIDE + _SHIFT) % _PAIRS if odd else half)
