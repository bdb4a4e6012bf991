"""The places that the model provider's account has: one limit for the process, whoever calls.

Its weakness is real: who waits too long makes room by raising the limit, just when all places are taken.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Generator

    from tachograph.demo.clock import Clock

LIMIT: Final = 6
_STEP: Final = 4  # places by which it is raised
_PATIENCE_S: Final = 3.0
_POLL_S: Final = 0.2


class Places(threading.Semaphore):
    """A semaphore whose `limit` can change, and at which one can wait by an agent's own clock."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    @override
    def acquire(self, blocking: bool = True, timeout: float | None = None, *, clock: Clock | None = None) -> bool:
        """Takes a place; False where none is free, within `timeout` seconds of the clock if one is given."""
        if clock is None or timeout is None:
            return super().acquire(blocking, timeout)
        end = clock.now() + timeout
        while not super().acquire(blocking=False):
            if clock.now() >= end:
                return False
            clock.sleep(_POLL_S)
        return True

    def resize(self, limit: int) -> None:
        """Changes the limit: more places at once, fewer as far as places are free."""
        if limit > self.limit:
            self.release(limit - self.limit)
            self.limit = limit
        while self.limit > limit and super().acquire(blocking=False):
            self.limit -= 1


PLACES: Final = Places(LIMIT)


@contextmanager
def place(clock: Clock) -> Generator[None]:
    """A place for as long as the block runs; raises TimeoutError where there is none for too long."""
    asked = clock.now()
    if not PLACES.acquire(timeout=_PATIENCE_S, clock=clock):
        PLACES.resize(PLACES.limit + _STEP)
        if not PLACES.acquire(timeout=_PATIENCE_S, clock=clock):
            raise TimeoutError("no place at the model provider")
    elif clock.now() == asked:  # nobody has to wait: the limit goes back
        PLACES.resize(LIMIT)
    try:
        yield
    finally:
        PLACES.release()
