"""Decorating: one wrapper for each kind of function, so that the kind stays what it was.

A step is current only while the host's own code runs, never across a `yield`.

One thing shows: wrong arguments to a generator or coroutine function raise their TypeError when it is first run, not
when it is called. A wrapper that is of the same kind to `inspect` cannot raise it earlier.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, TypeVar, cast

from tachograph.recording import Recording, begin, enter, finish, leave, observe
from tachograph.telemetry import recorder as recorders
from tachograph.telemetry.guard import failed

F = TypeVar("F", bound=Callable[..., Any])

MARKER = "__tachograph_hook__"  # on each wrapper of ours: a second instrument() leaves it alone

_INERT: Final = Recording()  # nothing is recorded: it never begins, so it is nobody's and everybody's


def wrap(function: F, make: Callable[[], Recording]) -> F:
    """`function` with each call recorded by what `make` gives."""
    # by what the function itself is: what it wraps may be of another kind, as under asyncio.run or contextmanager
    if inspect.isasyncgenfunction(function):
        wrapper: Callable[..., Any] = _async_generator(function, make)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, make)
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & inspect.CO_ITERABLE_COROUTINE:
            wrapper = types.coroutine(wrapper)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(function, make)
    else:
        wrapper = _plain(function, make)
    wrapped = functools.wraps(function)(wrapper)
    wrapped.__dict__[MARKER] = True
    return cast("F", wrapped)


def _opened(function: Callable[..., Any], make: Callable[[], Recording], args: Any, kwargs: Any) -> Recording | None:
    if recorders.active() is None:
        return None
    try:
        recording = make()
        arguments = _bind(function, args, kwargs)
        if arguments is not None:
            observe(recording, recording.bound, arguments)
    except Exception as error:  # noqa: BLE001 - ours, so not the host's
        failed("instrument", error)
        return None
    begin(recording)
    return recording


@functools.lru_cache(maxsize=1024)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)  # four times what binding to it costs (measured), so looked up once


def _bind(function: Callable[..., Any], args: Any, kwargs: Any) -> inspect.BoundArguments | None:
    try:
        return _signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return None  # the call does not fit the function, which the function itself will say, or it has no signature


def _plain(function: Callable[..., Any], make: Callable[[], Recording]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        recording = _opened(function, make, args, kwargs)
        if recording is None:
            return function(*args, **kwargs)
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            finish(recording, error)
            raise
        # isinstance() would ask the value for its __class__, which evaluates lazy ones
        kind = cast("type[object]", type(value))
        if issubclass(kind, types.CoroutineType):
            leave(recording)
            return _awaited(recording, value)
        if issubclass(kind, asyncio.Future):
            _follow(recording, value)
            return value
        observe(recording, recording.returned, value)
        finish(recording)
        return value

    return wrapper


def _follow(recording: Recording, future: asyncio.Future[Any]) -> None:
    leave(recording)
    try:
        future.add_done_callback(functools.partial(_done, recording), context=recording.variables)
    except Exception as ours:  # noqa: BLE001 - ours, so not the host's
        failed(recording.hook, ours)
        finish(recording)


def _done(recording: Recording, future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        finish(recording, asyncio.CancelledError())
        return
    # exception() would count as the host's having seen it, and asyncio would not report it as lost
    error: BaseException | None = future._exception  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType] - no public way to look
    if error is None:
        observe(recording, recording.returned, future.result())
    finish(recording, error)  # pyright: ignore[reportUnknownArgumentType] - as above


async def _awaited(recording: Recording, value: Awaitable[Any]) -> Any:
    enter(recording)
    try:
        result = await value
    except BaseException as error:
        finish(recording, error)
        raise
    observe(recording, recording.returned, result)
    finish(recording)
    return result


def _coroutine(function: Callable[..., Any], make: Callable[[], Recording]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        recording = _opened(function, make, args, kwargs)
        if recording is None:
            return await function(*args, **kwargs)
        try:
            value = await function(*args, **kwargs)
        except BaseException as error:
            finish(recording, error)
            raise
        observe(recording, recording.returned, value)
        finish(recording)
        return value

    return wrapper


def _generator(function: Callable[..., Any], make: Callable[[], Recording]) -> Callable[..., Generator[Any, Any, Any]]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        recording = _opened(function, make, args, kwargs) or _INERT  # one loop serves both cases
        try:
            inner = function(*args, **kwargs)
            step: Callable[[], Any] = functools.partial(next, inner)
            while True:
                item = step()  # the step is current while the host's generator runs, not while its consumer does
                observe(recording, recording.yielded, item)
                leave(recording)
                try:
                    sent = yield item
                except BaseException as thrown:  # noqa: BLE001 - whatever is thrown in belongs to the inner generator
                    step = functools.partial(inner.throw, thrown)
                else:
                    step = functools.partial(next, inner) if sent is None else functools.partial(inner.send, sent)
                enter(recording)
        except StopIteration as stop:
            observe(recording, recording.returned, stop.value)
            finish(recording)
            return stop.value
        except BaseException as error:
            finish(recording, error)
            raise

    return wrapper


def _async_generator(function: Callable[..., Any], make: Callable[[], Recording]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        recording = _opened(function, make, args, kwargs) or _INERT  # one loop serves both cases
        try:
            inner = function(*args, **kwargs)
            step: Callable[[], Awaitable[Any]] = inner.__anext__
            while True:
                item = await step()
                observe(recording, recording.yielded, item)
                leave(recording)
                try:
                    sent = yield item
                except BaseException as thrown:
                    if inner.ag_frame is None:  # the garbage collector ended it before this one: it takes nothing more
                        raise
                    step = functools.partial(inner.athrow, thrown)
                else:
                    step = inner.__anext__ if sent is None else functools.partial(inner.asend, sent)
                enter(recording)
        except StopAsyncIteration:
            finish(recording)
        except BaseException as error:
            finish(recording, error)
            raise

    return wrapper
