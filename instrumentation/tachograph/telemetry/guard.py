"""Keeps tachograph's own failures away from the agent: counted each time, logged once per cause."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import Counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("tachograph")
_LOGGED_CAUSES = 256  # bound of memory: causes beyond it are counted and no longer logged

failures: Counter[str] = Counter()
_logged: set[tuple[str, str, int]] = set()
_listeners: list[Callable[[str], None]] = []


def failed(hook: str, error: Exception) -> None:
    """Counts a failure of `hook` in tachograph's own code, and logs the first of each cause; never raises."""
    try:
        count(hook)
        cause = (hook, type(error).__name__, _line(error))
        if cause not in _logged and len(_logged) < _LOGGED_CAUSES:
            _logged.add(cause)
            _log.warning(
                "tachograph: the %s hook failed and is skipped; the agent goes on. %s in %s",
                hook,
                type(error).__qualname__,
                _frames(error),
            )
    except Exception:  # noqa: BLE001, S110 - the last line of defence: there is nobody left to tell
        pass


def misused(hook: str, sentence: str) -> None:
    """Counts something that a host passed to `hook` and cannot be meant; says it in words, once; never raises."""
    try:
        count(hook)
        cause = (hook, sentence, 0)
        if cause not in _logged and len(_logged) < _LOGGED_CAUSES:
            _logged.add(cause)
            _log.warning("tachograph: %s", sentence)
    except Exception:  # noqa: BLE001, S110 - as above
        pass


def count(hook: str) -> None:
    """Counts a failure of `hook` that is logged elsewhere, in words of its own."""
    failures[hook] += 1
    for listener in tuple(_listeners):
        with contextlib.suppress(Exception):  # it tells of failures: there is nobody to tell of its own
            listener(hook)


def listen(listener: Callable[[str], None]) -> Callable[[], None]:
    """Calls `listener` with the hook's name on each failure, until the returned function is called."""
    _listeners.append(listener)
    return functools.partial(_forget, listener)


def guarded(hook: str, default: R) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function of ours that the agent calls: on an exception of ours it returns `default`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, the agent must not see it
                failed(hook, error)
                return default

        return wrapper

    return decorate


def _frames(error: Exception) -> str:
    """Our own frames of the traceback; messages and what the error came from are left out, they may hold content."""
    found: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__")
        if isinstance(module, str) and module.partition(".")[0] == "tachograph":
            found.append(f"{module}:{trace.tb_lineno} ({trace.tb_frame.f_code.co_name})")
        trace = trace.tb_next
    return ", ".join(found) or "no code of ours"


def _line(error: Exception) -> int:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_lineno if trace is not None else 0


def _forget(listener: Callable[[str], None]) -> None:
    if listener in _listeners:
        _listeners.remove(listener)


def forget_causes() -> None:
    """Lets each cause be logged once again."""
    _logged.clear()
