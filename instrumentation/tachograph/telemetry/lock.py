"""A lock for a few lines on the agent's threads, at which nobody waits for long."""

from __future__ import annotations

import threading
from typing import Final

PATIENCE_S: Final = 0.1  # many times what the few lines take, also where threads wait for the interpreter


class BriefLock:
    """Held for a few lines that wait for nothing: whoever holds it longer is gone, as a thread that a fork left out.

    Then a new lock takes its place: a count may be wrong by one, while the agent goes on. A signal handler or finalizer
    that runs inside of the lines may hold it once more.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def held(self) -> _Held:
        """The lock until the end of the block that it is entered with."""
        lock = self._lock
        if not lock.acquire(timeout=PATIENCE_S):
            lock = self._lock = threading.RLock()
            lock.acquire()
        return _Held(lock)


class _Held:
    """A lock that is held already, and released at the end of a block."""

    __slots__ = ("_lock",)

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        """It is held."""

    def __exit__(self, *_: object) -> None:
        self._lock.release()
