"""Values of metrics between the step that notes them and the SDK that is told when somebody collects."""

from __future__ import annotations

import os
import threading
import time
import weakref
from bisect import bisect_left
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext

from tachograph.telemetry.guard import failed, guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from tachograph.registry.instruments import Instrument

    Post = Callable[[Instrument, float, "Labels", SpanContext], None]
    Note = tuple[Instrument, float, "Labels", SpanContext]

Labels = tuple[object, ...]
_Series = tuple[str, Labels]  # an instrument's name: hashing all its facts would cost more than the note

_NOTES: Final = 512  # noted before somebody sums them up: under half a millisecond of work
_ALONE: Final = 8 * _NOTES  # noted before a step sums them up itself, where the clerk is gone or does not keep up
_TURN: Final = 16  # values posted before the clerk lets others run: a fifth of a millisecond
_NOTES_AT_MOST: Final = 65_536  # bound of memory where summing up fails again and again
_VALUES: Final = 1_024  # of one histogram series before the SDK gets them without being asked
_PATIENCE_S: Final = 2.0  # for the lock, which is held for milliseconds; what is noted is posted another time
_SERIES: Final = 20_000  # bound of memory: series between two collects


@dataclass(slots=True)
class _Sum:
    """A counter's increments: `last` is the newest, which an exemplar may show, with the span it came from."""

    instrument: Instrument
    before: float
    last: float
    span: SpanContext


@dataclass(slots=True)
class _Values:
    """A histogram's values; `newest` is the place of the newest value of each bucket, with its span."""

    instrument: Instrument
    values: list[float] = field(default_factory=list[float])
    newest: dict[int, tuple[int, SpanContext]] = field(default_factory=dict[int, tuple[int, SpanContext]])


class Ledger:
    """Notes values without waiting, sums them up by series, and posts them when it is drained.

    `post` gets an instrument, a value, the labels in the instrument's order and the ids of the value's span: nothing of
    the host is kept alive. Safe for threads, for finalizers and signal handlers that run in the middle of it, and after
    a fork: the child begins with nothing, for what was noted before belongs to the parent; only what gauges are set to
    holds for both.

    With a `clerk`, a daemon thread, summing up and posting cost the steps nothing; else they do it in turns.
    """

    def __init__(self, post: Post, *, clerk: bool = False) -> None:
        self._post = post
        self._has_clerk = clerk
        self._begin()
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (begin := weak()) and begin())

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None  # the thread that has the lock
        self._notes: deque[tuple[Instrument, Labels, float, SpanContext]] = deque(maxlen=_NOTES_AT_MOST)
        self._first: Callable[[], Iterable[Note]] | None = None
        self._sums: dict[_Series, _Sum] = {}
        self._values: dict[_Series, _Values] = {}
        self._bell: SimpleQueue[bool] = SimpleQueue()  # the one queue that signal handlers and finalizers may use
        self._rung = False
        if self._has_clerk:
            work = guarded("export", None)(self._work)
            try:
                threading.Thread(target=work, args=(self._bell,), name="tachograph-ledger", daemon=True).start()
            except RuntimeError as error:  # no thread to be had: the steps sum up in turns
                self._has_clerk = False
                failed("export", error)

    @guarded("export", None)
    def _after_fork(self) -> None:
        set_before = [(s.instrument, series[1], s.last, s.span) for series, s in self._sums.items()]
        gauges = [note for note in (*set_before, *self._notes) if note[0].kind == "gauge"]
        self._begin()
        self._notes.extend(gauges)

    def waiting(self) -> bool:
        """Whether something was noted that is not posted."""
        return bool(self._first or self._notes or self._sums or self._values)

    def take_back(self) -> list[Note]:
        """Gives up what was noted and not summed up: in a forked child, the gauges that its parent had just set."""
        notes = [(instrument, value, labels, span) for instrument, labels, value, span in self._notes]
        self._notes.clear()
        return notes

    def begin_with(self, notes: Callable[[], Iterable[Note]]) -> None:
        """Has `notes` asked for what counts before everything noted, when it is summed up first."""
        self._first = notes

    def note(self, instrument: Instrument, value: float, labels: Labels, span: SpanContext) -> None:
        """Writes one value down."""
        self._notes.append((instrument, labels, value, span))
        waiting = len(self._notes)
        if waiting < _NOTES:
            return
        if self._has_clerk and not self._rung:
            self._rung = True
            self._bell.put(True)
        if not self._has_clerk or waiting >= _ALONE:
            with self._held(wait=False) as held:
                if held:
                    self._take_stock()

    def close(self) -> None:
        """Lets the clerk go; the ledger works on without one."""
        if self._has_clerk:
            self._has_clerk = False
            self._bell.put(False)

    def _work(self, bell: SimpleQueue[bool]) -> None:
        while bell.get():
            self._rung = False
            with self._held() as held:
                if held:
                    self._take_stock()

    def _take_stock(self) -> None:
        self._sum_up()
        if len(self._sums) + len(self._values) > _SERIES:
            self._hand_over()

    def drain(self) -> None:
        """Posts everything that was noted before the call.

        Called from within itself, by a signal handler say, it leaves everything to the one who was interrupted.
        """
        if self._owner == threading.get_ident():
            return
        with self._held() as held:
            if held:
                self._sum_up()
                self._hand_over()
                if self._notes:  # by finalizers that ran in the middle of it
                    self._sum_up()
                    self._hand_over()

    @contextmanager
    def _held(self, *, wait: bool = True) -> Generator[bool]:
        """The lock until the end of the block; False where somebody has it for longer than is waited."""
        if not self._lock.acquire(timeout=_PATIENCE_S if wait else 0):
            yield False
            return
        self._owner = threading.get_ident()
        try:
            yield True
        finally:
            self._owner = None
            self._lock.release()

    def _sum_up(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            for instrument, value, labels, span in first():
                self._sum(instrument, labels, value, span)
        for _ in range(len(self._notes)):
            self._sum(*self._notes.popleft())

    def _sum(self, instrument: Instrument, labels: Labels, value: float, span: SpanContext) -> None:
        try:
            match instrument.kind:
                case "histogram":
                    self._observe(instrument, labels, value, span)
                case "gauge":
                    self._sums[instrument.name, labels] = _Sum(instrument, 0, value, span)
                case _:
                    self._add(instrument, labels, value, span)
        except Exception as error:  # noqa: BLE001 - one odd value must not keep the others
            failed("export", error)

    def _add(self, instrument: Instrument, labels: Labels, value: float, span: SpanContext) -> None:
        if instrument.kind == "counter" and not value >= 0:
            self._posted(instrument, value, labels, span)  # the SDK refuses it; within a sum it would take others along
            return
        known = self._sums.get((instrument.name, labels))
        if known is None:
            self._sums[instrument.name, labels] = _Sum(instrument, 0, value, span)
        else:
            known.before, known.last, known.span = known.before + known.last, value, span

    def _observe(self, instrument: Instrument, labels: Labels, value: float, span: SpanContext) -> None:
        key = instrument.name, labels
        series = self._values.get(key)
        if series is None:
            series = self._values[key] = _Values(instrument)
        series.newest[bisect_left(instrument.buckets, value)] = len(series.values), span
        series.values.append(value)
        if len(series.values) >= _VALUES:
            self._post_values(labels, self._values.pop(key))

    def _hand_over(self) -> None:
        sums, self._sums = self._sums, {}
        values, self._values = self._values, {}
        for (_, labels), total in sums.items():
            if total.before:
                self._posted(total.instrument, total.before, labels, INVALID_SPAN_CONTEXT)
            self._posted(total.instrument, total.last, labels, total.span)
        for (_, labels), series in values.items():
            self._post_values(labels, series)

    def _post_values(self, labels: Labels, series: _Values) -> None:
        shown = dict(series.newest.values())
        for place, value in enumerate(series.values):
            if place % _TURN == 0:
                time.sleep(0)
            self._posted(series.instrument, value, labels, shown.get(place, INVALID_SPAN_CONTEXT))

    def _posted(self, instrument: Instrument, value: float, labels: Labels, span: SpanContext) -> None:
        try:
            self._post(instrument, value, labels, span)
        except Exception as error:  # noqa: BLE001 - a series that the SDK refuses must not keep the others
            failed("export", error)
