"""What playing an agent leads to: with us, and with one function of ours broken."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any

from instrumentation.faults import plain
from instrumentation.faults.exceptions import raised
from instrumentation.faults.points import modules
from instrumentation.faults.watch import OWN, Fault

from tachograph import hook as hooks
from tachograph.export import exporter
from tachograph.plain.ownership import is_library
from tachograph.prices import lookup
from tachograph.telemetry import attributes, guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Play = Callable[[], object]
    Around = Callable[["Outcome"], contextlib.AbstractContextManager[object]]
    Inside = Callable[[Play], object]

FAILED = "hook failed and is skipped"  # of the line that the log has for a cause
_LEFT_ALONE = {hooks._entered}  # it holds what was left until the next step is entered
_ENDS_S = 10.0  # that a thread of ours gets to end, which takes milliseconds
# Points that tell a thread to end: where they fail it stays, waiting for what will not come.
ENDING = {
    "audit.writer:Writer.close",
    "export.batch:BatchProcessor.shutdown",
    "export.batch:BatchProcessor.stop",
    "metrics.ledger:Ledger.close",
    "metrics.metrics:Metrics.close",
    "metrics.push:PushReader.shutdown",
    "sampling.sampler:TailSampler.close",
    "telemetry.deadline:left",
    "telemetry.pipeline:Pipeline.close",
}


@dataclass
class Outcome:
    """What a scenario led to. `result` is the agent's; the rest is ours.

    `failures` by hook as they were counted, `counted` the same as the metric where `counts` asks for it, `lines` of the
    log, `left` the context variables that are not as before, what of the agent was not restored, and threads of ours.
    """

    result: object = None
    failures: Counter[str] = field(default_factory=Counter[str])
    counted: Counter[str] | None = None
    lines: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])
    counts: bool = False

    def causes(self) -> list[str]:
        return [line for line in self.lines if FAILED in line]


@dataclass(frozen=True)
class Scenario:
    """An agent's part: `play` gives what it returns and raises, as it does without us.

    With us it is played `inside` of what happens under a fault, and `around` that is what does not.
    """

    name: str
    play: Play
    around: Around
    inside: Inside = lambda play: play()


def outcome(scenario: Scenario, fault: contextlib.AbstractContextManager[object] | None = None) -> Outcome:
    """Plays a scenario with us, inside of the fault, in a context of its own."""
    return copy_context().run(_outcome, scenario, fault or contextlib.nullcontext())


def _outcome(scenario: Scenario, fault: contextlib.AbstractContextManager[object]) -> Outcome:
    point = fault.point if isinstance(fault, Fault) else None
    found = Outcome(counts=isinstance(fault, Fault) and not fault.again)
    _forget(point)
    with intact(found), scenario.around(found), _watched(found), _ended(found, point), fault:
        try:
            found.result = scenario.inside(scenario.play)
        except Exception as error:  # noqa: BLE001 - it is what the agent would see
            found.result = raised(error)
    return found


class Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines
        self.setFormatter(logging.Formatter("%(message)s"))  # with the traceback of a line that has one

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextlib.contextmanager
def _watched(outcome: Outcome) -> Iterator[None]:
    """Notes what is counted, logged and left behind while the block runs."""
    handler, before = Lines(outcome.lines), dict(copy_context().items())
    loggers = [logging.getLogger(name) for name in ("tachograph", "opentelemetry", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    guard.failures.clear()
    guard.forget_causes()
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        outcome.failures.update(guard.failures)
        after = dict(copy_context().items())
        outcome.left += [
            variable.name
            for variable in before.keys() | after.keys()
            if variable not in _LEFT_ALONE and before.get(variable) is not after.get(variable)
        ]


@contextlib.contextmanager
def _ended(outcome: Outcome, point: str | None) -> Iterator[None]:
    """Waits for the threads that we start in the block, and notes those that do not end."""
    before = set(threading.enumerate())
    yield
    if point in ENDING:
        return
    deadline = time.monotonic() + _ENDS_S
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith(OWN):
            thread.join(max(0.0, deadline - time.monotonic()))
            outcome.left += [thread.name] if thread.is_alive() else []


@contextlib.contextmanager
def intact(outcome: Outcome) -> Iterator[None]:
    """Notes what of the plain agent and of Python is not as it was after the block, and restores it."""
    owners = [plain, *(each for each in vars(plain).values() if isinstance(each, type))]
    own = [
        (owner, name, value)
        for owner in owners
        for name, value in vars(owner).items()
        if isinstance(value, FunctionType | classmethod | staticmethod) or name in {"SLOTS", "DOOR"}
    ]
    python = [(ThreadPoolExecutor, "submit")]
    before = [*own, *((owner, name, getattr(owner, name)) for owner, name in python)]
    factory, path = logging.getLogRecordFactory(), list(sys.meta_path)
    yield
    for owner, name, value in before:
        if vars(owner).get(name) is not value:
            outcome.left.append(f"{owner.__name__}.{name}")
            setattr(owner, name, value)
    if logging.getLogRecordFactory() is not factory:
        outcome.left.append("logging's record factory")
        logging.setLogRecordFactory(factory)
    sys.meta_path[:] = path


@functools.cache
def _caches() -> list[Any]:
    """All that our modules remember of values they saw, which would keep a function from being called again."""
    found = [sys.modules[name] for name in (f"tachograph.{each}" for each in modules()) if name in sys.modules]
    return [value for module in found for value in vars(module).values() if hasattr(value, "cache_clear")]


_ASK_THE_DISK = {is_library: "plain.ownership:", lookup._table: "prices."}  # so only where they are what fails


def _forget(point: str | None) -> None:
    for cache in _caches():
        home = _ASK_THE_DISK.get(cache)
        if home is None or point is None or point.startswith(home):
            cache.cache_clear()
    attributes._known.clear()
    exporter._LastWarning.at = float("-inf")
