"""Semaphores are the same to the agent, and each wait is on record."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import pytest
from inline_snapshot import snapshot

from tachograph.plain.slots import slots
from tachograph.registry import names as n
from tachograph.testing import recording


def waits(recorded) -> list[tuple[Any, ...]]:
    shown = (n.LIMITER_LIMIT, n.LIMITER_IN_USE, n.LIMITER_QUEUE, n.LIMITER_OUTCOME)
    return [tuple(event["attributes"][name] for name in shown) for event in recorded.events(n.EVENT_LIMITER_WAIT)]


class Searcher:
    def __init__(self, slots: Any) -> None:
        self.slots = slots

    async def run_step(self, name: str) -> str:
        async with self.slots:
            await asyncio.sleep(0)
        return name


def test_waits_of_an_asyncio_semaphore(hook, recorded):
    async def main() -> list[str]:
        searcher = Searcher(asyncio.Semaphore(2))
        hook(searcher)
        done = await asyncio.gather(*(searcher.run_step(name) for name in "abc"))
        assert not searcher.slots.locked()
        return done

    assert asyncio.run(main()) == ["a", "b", "c"]
    assert waits(recorded) == [(2, 0, 0, "acquired"), (2, 1, 0, "acquired"), (2, 2, 0, "acquired")]
    assert recorded.events()[0] == snapshot(
        {
            "name": "tachograph.limiter.wait",
            "attributes": {
                "tachograph.limiter.name": "tests.instrumentation.plain.test_slots.Searcher.slots",
                "tachograph.limiter.limit": 2,
                "tachograph.limiter.in_use": 0,
                "tachograph.limiter.queue": 0,
                "tachograph.limiter.wait": 1.0,
                "tachograph.limiter.outcome": "acquired",
            },
        }
    )
    assert recorded.metric("tachograph.limiter.in_use") == recorded.metric("tachograph.limiter.queue") == 0


def test_a_wait_that_is_cancelled_is_cancelled_for_the_agent_too(hook, recorded):
    async def main() -> None:
        searcher = Searcher(asyncio.Semaphore(1))
        hook(searcher)
        await searcher.slots.acquire()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(searcher.slots.acquire(), 0.01)
        searcher.slots.release()
        assert await searcher.slots.acquire() is True

    asyncio.run(main())
    assert [wait[-1] for wait in waits(recorded)] == ["acquired", "cancelled", "acquired"]


def test_waits_of_a_threading_semaphore(hook, recorded):
    class Agent:
        gate = threading.BoundedSemaphore(1)

    hook(Agent)
    with Agent.gate as entered:
        assert entered is True
        assert Agent.gate.acquire(blocking=False) is False
        assert Agent.gate.acquire(timeout=0.01) is False
    with pytest.raises(ValueError, match="released too many times"):
        Agent.gate.release()
    assert waits(recorded) == [(1, 0, 0, "acquired"), (1, 1, 0, "rejected"), (1, 1, 0, "timeout")]
    assert recorded.metric("tachograph.limiter.in_use") == 0


def test_a_semaphore_copies_and_pickles_as_one(hook):
    searcher = Searcher(asyncio.Semaphore(3))
    hook(searcher)
    for other in (copy.deepcopy(searcher), pickle.loads(pickle.dumps(searcher))):  # noqa: S301 - made in the line itself
        assert type(other.slots) is asyncio.Semaphore
        assert other.slots._value == 3
    assert searcher.slots == searcher.slots


def test_what_fails_in_us_lets_the_semaphore_work(hook, monkeypatch):
    from tachograph.patterns import limiter

    class Agent:
        gate = threading.Semaphore(1)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    hook(Agent)
    for name in ("__init__", "opened", "acquired", "closed", "rejected"):
        monkeypatch.setattr(limiter.Limiter, name, broken)
        with recording():
            with Agent.gate:
                assert Agent.gate.acquire(blocking=False) is False
            with Agent.gate:
                pass
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("semaphore", "limit"),
    [
        (threading.Semaphore(11), 11),
        (threading.BoundedSemaphore(13), 13),
        (asyncio.Semaphore(17), 17),
        (asyncio.BoundedSemaphore(19), 19),
    ],
)
def test_the_limit_is_what_the_semaphore_lets_in_whoever_is_inside(semaphore, limit):
    if not isinstance(semaphore, asyncio.Semaphore) and isinstance(semaphore, threading.BoundedSemaphore):
        semaphore.acquire()
    wrapped = slots(semaphore, "gate")
    semaphore._value -= 3  # taken past the proxy, as by a thread between its acquiring and its being counted
    with recording() as recorded:
        if isinstance(semaphore, asyncio.Semaphore):
            asyncio.run(wrapped.acquire())
        else:
            wrapped.acquire()
    assert [wait[0] for wait in waits(recorded)] == [limit]


class Places(threading.Semaphore):
    """A semaphore of the agent's own, whose limit can change."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def widen(self, more: int) -> None:
        self.limit += more
        self.release(more)


def test_a_limit_that_is_raised_while_all_places_are_taken_is_found(hook, recorded):
    class Agent:
        places = Places(2)

    hook(Agent)
    for _ in range(2):
        assert Agent.places.acquire()
    assert Agent.places.acquire(blocking=False) is False
    Agent.places.widen(11)
    assert Agent.places.acquire()
    assert waits(recorded) == [
        (2, 0, 0, "acquired"),
        (2, 1, 0, "acquired"),
        (2, 2, 0, "rejected"),
        (13, 2, 0, "acquired"),
    ]
    assert recorded.detections() == {"limit_raised_saturated": 1}


def test_a_limit_that_is_raised_while_places_are_free_is_none(hook, recorded):
    class Agent:
        places = Places(2)

    hook(Agent)
    assert Agent.places.acquire()
    Agent.places.widen(11)
    assert Agent.places.acquire()
    assert waits(recorded) == [(2, 0, 0, "acquired"), (13, 1, 0, "acquired")]
    assert recorded.detections() == {}


class Weighted(asyncio.Semaphore):
    """A semaphore of the agent's own whose calls take several places."""

    async def acquire(self, weight: int = 1) -> Any:
        for _ in range(weight):
            await super().acquire()
        return f"{weight} places"

    def release(self, weight: int = 1) -> None:
        for _ in range(weight):
            super().release()

    async def __aenter__(self) -> Any:
        return await self.acquire(2)

    async def __aexit__(self, *_: object) -> Any:
        self.release(2)
        return True


def test_an_asyncio_semaphore_of_the_agents_own_keeps_its_ways(hook, recorded):
    class Agent:
        gate = Weighted(3)

    async def main() -> None:
        hook(Agent)
        assert await Agent.gate.acquire(3) == "3 places"
        assert Agent.gate.locked()
        Agent.gate.release(weight=3)
        async with Agent.gate as entered:
            assert (entered, Agent.gate._value) == ("2 places", 1)
            raise KeyError(13)
        assert Agent.gate._value == 3
        with pytest.raises(TypeError, match="colour"):
            await Agent.gate.acquire(colour=11)

    asyncio.run(main())
    assert [wait[1:] for wait in waits(recorded)] == [
        (0, 0, "acquired"),
        (0, 0, "acquired"),
        (0, 0, "rejected"),
    ]
    assert recorded.metric("tachograph.limiter.in_use") == 0


class Tokens(threading.Semaphore):
    """A semaphore of the agent's own that hands something out, several at once."""

    def acquire(self, count: int = 1, *_: object) -> Any:
        return [super(Tokens, self).acquire() for _ in range(count)]

    def release(self, count: int = 1) -> Any:
        super().release(count)
        return count

    def __enter__(self) -> Any:
        self.acquire()
        return "token"

    def __exit__(self, *_: object) -> Any:
        self.release()
        return True


def test_a_threading_semaphore_of_the_agents_own_keeps_its_ways(hook, recorded):
    class Agent:
        gate = Tokens(17)

    hook(Agent)
    with Agent.gate as entered:
        assert entered == "token"
        assert Agent.gate.acquire(11) == [True] * 11
        assert Agent.gate.release(11) == 11
        raise KeyError(13)
    assert Agent.gate._value == 17
    assert [wait[1:] for wait in waits(recorded)] == [(0, 0, "acquired"), (1, 0, "acquired")]
    assert recorded.metric("tachograph.limiter.in_use") == 0


def test_a_release_of_several_ends_several_stays(hook, recorded):
    class Agent:
        gate = threading.Semaphore(3)

    hook(Agent)
    for _ in range(3):
        Agent.gate.acquire()
    Agent.gate.release(2)
    assert recorded.metric("tachograph.limiter.in_use") == 1


def test_an_answer_that_has_no_truth_is_the_agents(hook, recorded):
    class Answer:
        def __bool__(self) -> bool:
            raise RuntimeError("asked")

    answer = Answer()

    class Lending(threading.Semaphore):
        def acquire(self, *_: object, **__: object) -> Any:
            super().acquire()
            return answer

    class Agent:
        gate = Lending(11)

    hook(Agent)
    assert Agent.gate.acquire(answer, answer) is answer
    assert [wait[-1] for wait in waits(recorded)] == ["acquired"]
