"""Tracebacks as they would be without us.

A frame that re-raises with a bare `raise` is not put into the traceback again (CPython adds it where the exception
first passes), so what is taken out in the except clause stays out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tachograph.plain.ownership import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


def clean(error: BaseException, main: str) -> None:
    """Takes our frames, and those of the file `main`, out of the tracebacks of an exception and of all it came from."""
    for each in _chain(error):
        each.__traceback__ = _without(each.__traceback__, main)


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[Any]", each).exceptions


def _without(trace: TracebackType | None, main: str) -> TracebackType | None:
    while trace is not None and _ours(trace, main):
        trace = trace.tb_next
    kept = trace
    while kept is not None:
        following = kept.tb_next
        while following is not None and _ours(following, main):
            following = following.tb_next
        kept.tb_next = following
        kept = following
    return trace


def _ours(trace: TracebackType, main: str) -> bool:
    module = trace.tb_frame.f_globals.get("__name__")
    return trace.tb_frame.f_code.co_filename == main or (isinstance(module, str) and is_ours(module))
