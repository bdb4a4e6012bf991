"""A hook as its user sees it: `with`, `async with`, or a decorator of any kind of function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tachograph.recording import Recording, begin, finish
from tachograph.wrapping import wrap

if TYPE_CHECKING:
    from types import TracebackType

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound=Recording)


class Hook(Generic[R]):
    """A hook that is used as `with`, as `async with`, or as a decorator of any kind of function."""

    __slots__ = ("_make", "_open")

    def __init__(self, make: Callable[[], R]) -> None:
        self._make = make
        self._open: list[R] = []

    def __enter__(self) -> R:
        recording = self._make()
        begin(recording)
        self._open.append(recording)
        return recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        finish(self._open.pop(), error)

    async def __aenter__(self) -> R:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace_)

    def __call__(self, function: F) -> F:
        """Records each call of `function`; its results, exceptions, signature and kind stay what they are."""
        return wrap(function, self._make)
