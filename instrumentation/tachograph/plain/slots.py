"""Semaphores of a plain agent: to the agent the objects that they were, with each wait on record."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import wrapt  # typed in part only

from tachograph.patterns.limiter import Limiter
from tachograph.plain.reading import attribute, is_a, whole
from tachograph.recording import begin, finish
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from types import TracebackType


class Waits:
    """The waits at one semaphore; each method is guarded, so that the semaphore works whatever becomes of us."""

    def __init__(self, semaphore: object, name: str) -> None:
        self._semaphore, self._name = semaphore, name
        self._free = whole(attribute(semaphore, "_value")) or 0  # taken once: it changes while the semaphore is used
        self._inside: deque[Limiter] = deque()

    @guarded("limiter", cast("Limiter | None", None))
    def ask(self) -> Limiter | None:
        """Begins a wait."""
        bound = _bound(self._semaphore)
        slot = Limiter(self._name, limit=self._free if bound is None else bound)
        begin(slot)
        return slot

    @guarded("limiter", None)
    def enter(self, slot: Limiter | None) -> None:
        """Ends a wait: the call is inside."""
        if slot is not None:
            self._inside.append(slot)
            slot.acquired()

    @guarded("limiter", None)
    def leave(self, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> None:
        """Ends the stay of those who are inside for longest: who releases is not told from who acquired."""
        for _ in range(min(_permits(self._semaphore, args, kwargs or {}), len(self._inside))):
            finish(self._inside.popleft())

    @guarded("limiter", None)
    def drop(self, slot: Limiter | None, error: BaseException) -> None:
        """Ends a wait that an exception ended."""
        if slot is not None:
            finish(slot, error)

    @guarded("limiter", None)
    def answered(self, slot: Limiter | None, acquired: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Ends a wait by what acquire() gave; what is not False is the answer of a class that has another one."""
        if acquired is not False:
            self.enter(slot)
        elif slot is not None:
            slot.rejected("timeout" if _patient(args, kwargs) else "rejected")
            finish(slot)


def _bound(semaphore: object) -> int | None:
    """How many the semaphore lets in now, where it knows: a bounded one, or one that has a `limit` that may change."""
    bounds = ("limit", "_initial_value", "_bound_value")  # of a class of the agent's own, of threading's, of asyncio's
    return next((bound for name in bounds if (bound := whole(attribute(semaphore, name))) is not None), None)


class _Slots(wrapt.ObjectProxy[Any]):
    """A semaphore whose waits are recorded; type checks, comparison, copies and pickles are those of the semaphore."""

    def __init__(self, semaphore: Any, name: str) -> None:
        super().__init__(semaphore)
        self._self_waits = Waits(semaphore, name)

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)


class ThreadSlots(_Slots):
    """A threading.Semaphore whose waits are recorded."""

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        """Acquires the semaphore; a False is a call that was turned away."""
        slot = self._self_waits.ask()
        try:
            acquired = self.__wrapped__.acquire(*args, **kwargs)
        except BaseException as error:
            self._self_waits.drop(slot, error)
            raise
        self._self_waits.answered(slot, acquired, args, kwargs)
        return acquired

    def release(self, *args: Any, **kwargs: Any) -> Any:
        """Releases the semaphore."""
        released = self.__wrapped__.release(*args, **kwargs)
        self._self_waits.leave(args, kwargs)
        return released

    def __enter__(self) -> Any:
        slot = self._self_waits.ask()
        try:
            entered = self.__wrapped__.__enter__()  # which acquires past us: it counts once
        except BaseException as error:
            self._self_waits.drop(slot, error)
            raise
        self._self_waits.enter(slot)
        return entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        handled = self.__wrapped__.__exit__(kind, error, trace)
        self._self_waits.leave()
        return handled


class AsyncSlots(_Slots):
    """An asyncio.Semaphore whose waits are recorded."""

    async def acquire(self, *args: Any, **kwargs: Any) -> Any:
        """Acquires the semaphore; a False, of a class of the agent's own, is a call that was turned away."""
        slot = self._self_waits.ask()
        try:
            acquired = await self.__wrapped__.acquire(*args, **kwargs)
        except BaseException as error:
            self._self_waits.drop(slot, error)
            raise
        self._self_waits.answered(slot, acquired, args, kwargs)
        return acquired

    def release(self, *args: Any, **kwargs: Any) -> Any:
        """Releases the semaphore."""
        released = self.__wrapped__.release(*args, **kwargs)
        self._self_waits.leave()
        return released

    async def __aenter__(self) -> Any:
        slot = self._self_waits.ask()
        try:
            entered = await self.__wrapped__.__aenter__()  # as in __enter__
        except BaseException as error:
            self._self_waits.drop(slot, error)
            raise
        self._self_waits.enter(slot)
        return entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        handled = await self.__wrapped__.__aexit__(kind, error, trace)
        self._self_waits.leave()
        return handled


def _patient(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return bool(args[1] if len(args) > 1 else kwargs.get("timeout"))


def _permits(semaphore: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many stays a release ends: what a class of the agent's own takes at once, it gives back at once."""
    own = type(semaphore).acquire is not threading.Semaphore.acquire  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a semaphore has one
    return 1 if own else whole(args[0] if args else kwargs.get("n")) or 1


def is_slots(value: object) -> bool:
    """Whether a value is a semaphore that is already on record."""
    return is_a(value, _Slots)


def is_semaphore(value: object) -> bool:
    """Whether a value is a semaphore of asyncio or threading."""
    return is_a(value, asyncio.Semaphore, threading.Semaphore, _Slots)


def slots(semaphore: object, name: str) -> ThreadSlots | AsyncSlots:
    """The semaphore with its waits recorded under `name`."""
    return AsyncSlots(semaphore, name) if is_a(semaphore, asyncio.Semaphore) else ThreadSlots(semaphore, name)
