"""When requests come: a fixed number of them over five weeks, with the rhythm of working days."""

from __future__ import annotations

import random
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
DAYS: Final = 35
"""The length of a history: five whole weeks, so that each hour of the week occurs five times."""

# Requests of one hour relative to others, by hour of the day (UTC): an office day with a lunch dip and a quiet night.
_HOURS: Final = (3, 2.5, 2, 2, 2.5, 3.5, 6, 9, 13, 15, 16, 15, 13, 14.5, 16, 15, 13, 10, 8, 7, 6, 5, 4, 3.5)
_DAYS: Final = (1.0, 1.05, 1.05, 1.0, 0.9, 0.45, 0.4)  # Monday to Sunday
_MONDAY_S: Final = 4 * DAY_S  # 1970-01-05, the first Monday after the epoch


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request that comes.

    `number` counts an agent's requests from 0 in order of time, `at` is in seconds since 1970, `days_left` how many
    days later the history ends. `random` is this request's own source of chance: nothing that another request draws
    changes it.
    """

    number: int
    at: float
    days_left: float
    random: random.Random


def arrivals(agent: str, count: int, *, seed: int, until: float) -> Iterator[Arrival]:
    """`count` requests in order of time over the `DAYS` before `until` (seconds since 1970), the same for a seed."""
    source = random.Random(f"{seed} {agent} arrivals")
    begin = until - DAYS * DAY_S
    weights = list(accumulate(_weight(begin + hour * HOUR_S) for hour in range(DAYS * 24)))
    for number, share in enumerate(sorted(source.random() for _ in range(count))):
        at = begin + HOUR_S * _hours(weights, share * weights[-1])
        yield Arrival(number, at, (until - at) / DAY_S, random.Random(f"{seed} {agent} {number}"))


def _weight(at: float) -> float:
    since_monday = (at - _MONDAY_S) % (7 * DAY_S)
    return _DAYS[int(since_monday // DAY_S)] * _HOURS[int(since_monday % DAY_S // HOUR_S)]


def _hours(weights: Sequence[float], target: float) -> float:
    """After how many hours the cumulated `weights` reach `target`, linear within an hour."""
    hour = bisect_left(weights, target)
    before = weights[hour - 1] if hour else 0.0
    return hour + (target - before) / (weights[hour] - before)
