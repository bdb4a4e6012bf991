"""When requests come over five weeks."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from tachograph.demo.arrivals import DAY_S, DAYS, arrivals

TUESDAY_NINE = datetime(2026, 11, 24, 9, tzinfo=UTC).timestamp()


def test_as_many_as_asked_for_come_in_order_within_the_five_weeks():
    came = list(arrivals("support", 1_013, seed=7, until=TUESDAY_NINE))
    assert [arrival.number for arrival in came] == list(range(1_013))
    assert came == sorted(came, key=lambda arrival: arrival.at)
    assert TUESDAY_NINE - DAYS * DAY_S <= came[0].at <= came[-1].at <= TUESDAY_NINE
    assert all(abs((TUESDAY_NINE - one.at) / DAY_S - one.days_left) < 1e-9 for one in came)


def test_the_same_seed_gives_the_same_requests_and_another_seed_or_agent_others():
    def drawn(agent: str, seed: int) -> list[tuple[float, float]]:
        return [(one.at, one.random.random()) for one in arrivals(agent, 11, seed=seed, until=TUESDAY_NINE)]

    assert drawn("support", 7) == drawn("support", 7)
    assert drawn("support", 7) != drawn("support", 8)
    assert drawn("support", 7) != drawn("invoice", 7)


def test_what_one_request_draws_changes_no_other():
    first, second = (list(arrivals("support", 2, seed=7, until=TUESDAY_NINE)) for _ in range(2))
    first[0].random.random()
    assert first[1].random.random() == second[1].random.random()


def test_most_come_on_working_days_in_the_day_time():
    came = [datetime.fromtimestamp(one.at, UTC) for one in arrivals("support", 8_000, seed=7, until=TUESDAY_NINE)]
    days = Counter(f"{at:%a}" for at in came)
    assert min(days[day] for day in ("Mon", "Tue", "Wed", "Thu", "Fri")) > 1.5 * max(days["Sat"], days["Sun"])
    day, night = (sum(at.hour in hours for at in came) / len(hours) for hours in (range(9, 17), range(5)))
    assert day > 4 * night
