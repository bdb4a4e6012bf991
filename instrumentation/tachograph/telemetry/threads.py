"""The run goes along into the threads of a pool: what a tool does there belongs to the request that asked for it.

OpenTelemetry's context does not pass `ThreadPoolExecutor.submit` (measured), and so neither would the run. Only the
run, the tool call and the current span are carried; the host's own context variables stay as they would be without us.
"""

from __future__ import annotations

import functools
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from tachograph.run import CALLING, RUNNING, current
from tachograph.telemetry.guard import failed

if TYPE_CHECKING:
    from collections.abc import Callable


def carry() -> Callable[[], None]:
    """Carries the run into pools from now on; the returned function stops that."""
    original = ThreadPoolExecutor.submit
    on = True

    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        work = fn
        try:
            if on and current() is not None:
                work = _carried(fn)
        except Exception as error:  # noqa: BLE001 - the host's work goes on without us
            failed("instrument", error)
        return original(self, work, *args, **kwargs)

    def stop() -> None:
        nonlocal on
        on = False  # somebody may have wrapped ours: then it stays below theirs and does nothing
        if ThreadPoolExecutor.submit is submit:
            ThreadPoolExecutor.submit = original

    ThreadPoolExecutor.submit = submit
    return stop


def _carried(function: Callable[..., Any]) -> Callable[..., Any]:
    run, call, context = RUNNING.get(), CALLING.get(), otel_context.get_current()

    def work(*args: Any, **kwargs: Any) -> Any:
        undo: list[Callable[[], object]] = []
        _guarded(lambda: _enter(undo, run, call, context))
        try:
            return function(*args, **kwargs)
        finally:
            while undo:
                _guarded(undo.pop())

    return work


def _enter(undo: list[Callable[[], object]], run: Any, call: Any, context: otel_context.Context) -> None:
    """Makes all three current in this thread; `undo` gets what takes each back, also when the next one fails."""
    undo.append(functools.partial(RUNNING.reset, RUNNING.set(run)))
    undo.append(functools.partial(CALLING.reset, CALLING.set(call)))
    undo.append(functools.partial(otel_context.detach, otel_context.attach(context)))


def _guarded(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 - the host's work goes on without us
        failed("instrument", error)
