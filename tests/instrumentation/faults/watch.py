"""What looks at the calls of the agent's process: it notes which points are called, or makes one of them fail."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Self
from unittest import mock

from tachograph.telemetry import guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

OWN = ("tachograph-", "OtelPeriodicExporting")  # threads that the host did not start
_PROCESS = os.getpid()


def point(frame: FrameType) -> str:
    """The point that a frame is a call of, whoever's it is."""
    return f"{frame.f_globals.get('__name__', '')[len('tachograph.') :]}:{frame.f_code.co_qualname}"


def on_own_thread() -> bool:
    """Whether the current thread is one of ours, at which nobody of the host's waits.

    In a forked child none is: which of its threads gets to a point first is a matter of chance there.
    """
    return os.getpid() == _PROCESS and threading.current_thread().name.startswith(OWN)


class Watch:
    """Looks at each call of a Python function in this thread and those it starts; for use as `with`."""

    _current: ClassVar[Watch | None] = None

    def __init__(self) -> None:
        self.traced = self._trace  # one object, which lives as long as any thread may call it
        self.on = False  # also in threads that live on

    def __enter__(self) -> Self:
        self.on = True
        Watch._current = self
        threading.settrace(self.traced)
        sys.settrace(self.traced)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)  # pyright: ignore[reportArgumentType] - which it takes
        Watch._current = None
        self.on = False

    @staticmethod
    def told() -> list[Any]:
        """What a forked child has seen, for its parent to hear."""
        return [] if Watch._current is None else Watch._current.seen()

    @staticmethod
    def hear(seen: list[Any]) -> None:
        """Takes what a child has told."""
        if Watch._current is not None:
            Watch._current.saw(seen)

    def _trace(self, frame: FrameType, event: str, _: object) -> None:
        raise NotImplementedError

    def seen(self) -> list[Any]:
        raise NotImplementedError

    def saw(self, seen: list[Any]) -> None:
        raise NotImplementedError


class Reached(Watch):
    """Notes the points that are called: `points` on the host's threads, `own` on ours."""

    def __init__(self) -> None:
        super().__init__()
        self.points: set[str] = set()
        self.own: set[str] = set()

    def _trace(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and self.on:
            (self.own if on_own_thread() else self.points).add(point(frame))

    def seen(self) -> list[Any]:
        return sorted(self.points)

    def saw(self, seen: list[Any]) -> None:
        self.points.update(seen)


class Fault(Watch):
    """Makes calls of one point raise: on our own threads, on the host's, or on any where `own` is None.

    The first call does, and with `again` each one after a failure of ours was counted: so as many calls raise as
    failures are to be counted. `calls` says how many have.
    """

    def __init__(
        self, point: str, error: Callable[[], BaseException], *, again: bool = False, own: bool | None = None
    ) -> None:
        super().__init__()
        self.point = point
        module, _, self._name = point.partition(":")
        self._module = f"tachograph.{module}"
        self._error, self.again, self.own, self.calls = error, again, own, 0
        self._counting = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self.again:
            self._counting.enter_context(mock.patch.object(guard, "count", self._counted))
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._counting.close()

    def _counted(self, hook: str, count: Callable[[str], None] = guard.count) -> None:
        count(hook)
        sys.settrace(self.traced)  # Python takes one out that has raised

    def _trace(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_qualname == self._name and self._due(frame):
            self.calls += 1
            raise self._error()

    def _due(self, frame: FrameType) -> bool:
        here = self.on and frame.f_globals.get("__name__") == self._module
        return here and (self.again or not self.calls) and self.own in (None, on_own_thread())

    def seen(self) -> list[Any]:
        return [self.calls]

    def saw(self, seen: list[Any]) -> None:
        self.calls = max(self.calls, *seen)
