"""A recorded step with a beginning and an end, and the doors that keep its failures away from the host.

A step never changes the host: its own failures are swallowed and counted, the host's exceptions pass through, and the
context (current span, run, tool) is set only while the host's own code runs.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from contextvars import ContextVar, Token, copy_context
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from tachograph.registry import names as n
from tachograph.telemetry import event_loop
from tachograph.telemetry import recorder as recorders
from tachograph.telemetry.attributes import put, write
from tachograph.telemetry.guard import failed

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable
    from contextvars import Context as Variables

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from tachograph.telemetry.recorder import Recorder

Var = tuple[ContextVar[Any], Any]
Frame = list[tuple[ContextVar[Any], Token[Any]]]  # what one attach() set, in order

CANCELLED = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)

_step: ContextVar[Recording | None] = ContextVar("tachograph_step", default=None)


class Recording:
    """One recorded step; the patterns say what it is by overriding `opened`, `closed`, `bound` and `returned`.

    `hook` is its name in the registry, `kind` the kind of its span, or None for a step without a span.
    """

    hook: str = ""
    kind: str | None = None
    client: bool = False

    def __init__(self) -> None:
        self.attributes: dict[str, object] = {}
        self.recorder: Recorder | None = None
        self.span: Span | None = None
        self.started = 0
        self.shared: dict[str, object] = {}  # plain, what every span of the run carries, as of this one's beginning
        self._values: list[Var] = []
        self.variables: Variables | None = None  # a context in which the step is current
        self.left = True
        self._frames: list[tuple[Frame, Token[Context] | None]] = []

    # -- what a pattern overrides
    def name(self) -> str:
        """The span's name."""
        return self.hook

    def opened(self, recorder: Recorder) -> None:
        """Called before the span starts: fills `attributes` and notes what the run must know."""

    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        """Called before the span ends, with the host's exception if there is one: last attributes, events, metrics."""

    def common(self, recorder: Recorder) -> dict[str, object]:
        """What every span of the run carries, in a dict of the step's own."""
        return recorder.common()

    def surroundings(self, span: Span) -> Context:
        """The context that the host's code of this step runs in, from the one that is current."""
        return trace.set_span_in_context(span)

    def bound(self, arguments: inspect.BoundArguments) -> None:
        """Called with the arguments of a decorated function, before `opened`."""

    def returned(self, value: object) -> None:
        """Called with what a decorated function returned."""

    def yielded(self, item: object) -> None:
        """Called with each item that a decorated generator yields."""

    # -- what the machinery calls, each behind the guard
    def begin(self) -> None:
        """Opens the step and makes it current."""
        recorder = recorders.active()
        if recorder is None:
            return
        self.recorder = recorder
        self.started = recorder.clock()
        recorder.cover(self.hook)
        self.opened(recorder)
        if self.kind is not None:
            self.shared = self.common(recorder)
            self.shared[n.SPAN_KIND] = self.kind
            self.span = recorder.span(self.name(), self.started, self.client, self.shared, self.attributes)
        self.attach()
        event_loop.watch(recorder)

    def carry(self, variable: ContextVar[Any], value: object) -> None:
        """Makes `value` current in `variable` while the host's code of this step runs."""
        self._values.append((variable, value))

    def attach(self) -> None:
        """Makes the step current in this thread or task."""
        if self.recorder is None or (self.span is None and not self._values):
            return  # it failed to begin, so nobody will leave it; or there is nothing to be current
        self.left = False
        frame: Frame = []
        context = None if self.span is None else otel_context.attach(self.surroundings(self.span))
        self._frames.append((frame, context))
        for variable, value in self._values:
            frame.append((variable, variable.set(value)))
        frame.append((_step, _step.set(self)))

    def detach(self) -> None:
        """Makes current again what was so before, once the steps that were opened later are left too.

        In another context than attach's it leaves that one alone.
        """
        self.left = True
        _unwind()  # also once more, as this may have failed

    def restore(self) -> bool:
        """Undoes the last `attach`; False where this is not the context for it."""
        if not self._frames:
            return False
        frame, context = self._frames[-1]
        try:
            for variable, token in reversed(frame):
                variable.reset(token)
        except ValueError:  # of another thread or task, which has still to leave it
            return False
        self._frames.pop()
        if context is not None:
            otel_context.detach(context)
        return True

    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        """Closes the step, now or as of `ended`, nanoseconds since 1970."""
        recorder = self.recorder
        if recorder is None:
            return
        ended = recorder.clock() if ended is None else ended
        try:
            self.closed(recorder, error, (ended - self.started) / 1e9)
        finally:
            self.recorder = None
            try:
                self.detach()
            finally:
                if self.span is not None:
                    self._end_span(self.span, error, ended)

    def _end_span(self, span: Span, error: BaseException | None, ended: int) -> None:
        attributes = self.attributes
        if error is not None and not isinstance(error, CANCELLED):
            attributes.setdefault(n.ERROR_TYPE, type(error).__qualname__)
        if n.ERROR_TYPE in attributes:
            # the exception's message may hold content: its type says enough
            span.set_status(StatusCode.ERROR, str(attributes[n.ERROR_TYPE]))
        write(span, put(self.shared, attributes))
        span.end(end_time=ended)


def _unwind() -> None:
    """Takes the steps that were left off the top: one that was left out of order or by a finalizer is still there."""
    top = _step.get()
    while top is not None and top.left and top.restore():
        top = _step.get()


class _Collecting(threading.local):
    """Whether this thread is inside of a garbage collection, and so a generator's or coroutine's end in a finalizer."""

    now = False

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        self.now = phase == "start"


_collecting = _Collecting()

if sys.version_info < (3, 12):
    # There a collection may start inside of ContextVar.set(), the host's too, which frees what it works on when a
    # finalizer sets a variable of the same context. Later ones collect between bytecodes only.
    gc.callbacks.append(_collecting)


def finalizing() -> bool:
    """Whether no variable of the running context may be set now."""
    return _collecting.now


# The doors between the host's code and ours: whatever fails behind them stays there.
def begin(recording: Recording) -> None:
    """Opens a step; never raises."""
    try:
        if finalizing():
            recording.variables = copy_context()
            recording.variables.run(recording.begin)
            return
        _unwind()
        recording.begin()
        recording.variables = copy_context()
    except Exception as error:  # noqa: BLE001 - ours, so not the host's
        failed(recording.hook, error)
    except BaseException:  # Ctrl-C: what the host never entered it will not leave
        leave(recording)
        raise


def finish(recording: Recording, error: BaseException | None = None) -> None:
    """Closes a step; never raises."""
    try:
        if finalizing():
            (recording.variables or copy_context()).run(recording.finish, error)
        else:
            recording.finish(error)
    except Exception as ours:  # noqa: BLE001 - ours, so not the host's
        failed(recording.hook, ours)
        leave(recording)  # whatever else went wrong, the step must not stay current
    except BaseException:  # Ctrl-C
        leave(recording)
        raise
    finally:
        recording.variables = None  # it holds the step


def enter(recording: Recording) -> None:
    """Makes an open step current; never raises."""
    try:
        if not finalizing():
            recording.attach()
    except Exception as ours:  # noqa: BLE001 - ours, so not the host's
        failed(recording.hook, ours)


def leave(recording: Recording) -> None:
    """Makes an open step not current, without closing it; never raises."""
    try:
        if not finalizing():
            recording.detach()
    except Exception as ours:  # noqa: BLE001 - ours, so not the host's
        failed(recording.hook, ours)


def observe(recording: Recording, step: Callable[[Any], None], value: object) -> None:
    """Shows a step what a function got or returned; never raises."""
    try:
        if recorders.active() is not None:
            step(value)
    except Exception as ours:  # noqa: BLE001 - ours, so not the host's
        failed(recording.hook, ours)
