"""Values of metrics between the step that notes them and the SDK that is told when somebody collects."""

from __future__ import annotations

import os
import threading
import weakref
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context

from tachograph.telemetry.guard import failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.registry.instruments import Instrument

    Post = Callable[[Instrument, float, "Labels", Context], None]

Labels = tuple[object, ...]
_Series = tuple[str, Labels]  # an instrument's name: hashing all its facts would cost more than the note

_NOTES: Final = 512  # noted before somebody sums them up: under half a millisecond of work
_NOTES_AT_MOST: Final = 65_536  # bound of memory where summing up fails again and again
_VALUES: Final = 1_024  # of one histogram series before the SDK gets them without being asked
_SERIES: Final = 20_000  # bound of memory: series between two collects

_NOWHERE: Final = Context()  # no span, so no exemplar


@dataclass(slots=True)
class _Sum:
    """A counter's increments: `last` is the newest, which an exemplar may show, with the context it came from."""

    instrument: Instrument
    before: float
    last: float
    context: Context


@dataclass(slots=True)
class _Values:
    """A histogram's values; `newest` is the place of the newest value of each bucket, with its context."""

    instrument: Instrument
    values: list[float] = field(default_factory=list[float])
    newest: dict[int, tuple[int, Context]] = field(default_factory=dict[int, tuple[int, Context]])


class Ledger:
    """Notes values without waiting, sums them up by series, and posts them when it is drained.

    `post` gets an instrument, a value, the labels in the instrument's order and the context of the value. Safe for
    threads, for finalizers that run in the middle of it, and after a fork: the child begins with nothing, for what was
    noted before belongs to the parent.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._begin()
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._begin)
            os.register_at_fork(after_in_child=lambda: (begin := weak()) and begin())

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._notes: deque[tuple[Instrument, Labels, float, Context]] = deque(maxlen=_NOTES_AT_MOST)
        self._sums: dict[_Series, _Sum] = {}
        self._values: dict[_Series, _Values] = {}

    def note(self, instrument: Instrument, value: float, labels: Labels, context: Context) -> None:
        """Writes one value down."""
        self._notes.append((instrument, labels, value, context))
        if len(self._notes) >= _NOTES and self._lock.acquire(blocking=False):
            try:
                self._sum_up()
                if len(self._sums) + len(self._values) > _SERIES:
                    self._hand_over()
            finally:
                self._lock.release()

    def drain(self) -> None:
        """Posts everything that was noted before the call."""
        with self._lock:
            self._sum_up()
            self._hand_over()

    def _sum_up(self) -> None:
        for _ in range(len(self._notes)):
            instrument, labels, value, context = self._notes.popleft()
            try:
                match instrument.kind:
                    case "histogram":
                        self._observe(instrument, labels, value, context)
                    case "gauge":
                        self._sums[instrument.name, labels] = _Sum(instrument, 0, value, context)
                    case _:
                        self._add(instrument, labels, value, context)
            except Exception as error:  # noqa: BLE001 - one odd value must not keep the others
                failed("export", error)

    def _add(self, instrument: Instrument, labels: Labels, value: float, context: Context) -> None:
        known = self._sums.get((instrument.name, labels))
        if known is None:
            self._sums[instrument.name, labels] = _Sum(instrument, 0, value, context)
        else:
            known.before, known.last, known.context = known.before + known.last, value, context

    def _observe(self, instrument: Instrument, labels: Labels, value: float, context: Context) -> None:
        key = instrument.name, labels
        series = self._values.get(key)
        if series is None:
            series = self._values[key] = _Values(instrument)
        series.newest[bisect_left(instrument.buckets, value)] = len(series.values), context
        series.values.append(value)
        if len(series.values) >= _VALUES:
            self._post_values(labels, self._values.pop(key))

    def _hand_over(self) -> None:
        sums, self._sums = self._sums, {}
        values, self._values = self._values, {}
        for (_, labels), total in sums.items():
            if total.before:
                self._posted(total.instrument, total.before, labels, _NOWHERE)
            self._posted(total.instrument, total.last, labels, total.context)
        for (_, labels), series in values.items():
            self._post_values(labels, series)

    def _post_values(self, labels: Labels, series: _Values) -> None:
        shown = dict(series.newest.values())
        for place, value in enumerate(series.values):
            self._posted(series.instrument, value, labels, shown.get(place, _NOWHERE))

    def _posted(self, instrument: Instrument, value: float, labels: Labels, context: Context) -> None:
        try:
            self._post(instrument, value, labels, context)
        except Exception as error:  # noqa: BLE001 - a series that the SDK refuses must not keep the others
            failed("export", error)
