"""Delivers batches through any SDK exporter: redacted, patiently, counted, and quietly.

A batch that fails is tried again with growing pauses until it is delivered, the endpoint refuses it for good, patience
ends, or the process does. What is lost is counted by reason; the log has one line a minute at most.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from tachograph.registry.instruments import EXPORT_FAILURES, TELEMETRY_DROPPED
from tachograph.registry.names import DROP_REASON, SIGNAL
from tachograph.telemetry import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tachograph.export.answer import Answer
    from tachograph.registry.instruments import Instrument

Item = TypeVar("Item")
Sent_contra = TypeVar("Sent_contra", contravariant=True)

PATIENCE_S: Final = 60.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
HURRIED_PAUSE_S: Final = 0.2
SHUTDOWN_S: Final = 2.0
WARN_EVERY_S: Final = 60.0

_HALVED: Final = "halved"

_REFUSED: Final = "tachograph: %d %s are refused (%s) and lost."
_WAITING: Final = "tachograph: %s do not get through (%s); they are kept for %.0f s and tried again. The agent goes on."

_TALKATIVE: Final = (
    "opentelemetry.exporter.otlp.proto.common._internal",  # the encoder: a traceback for each odd attribute
    "opentelemetry.exporter.otlp.proto.grpc.exporter",  # a line for each attempt
)
_log = logging.getLogger("tachograph")


class Tally(Protocol):
    """Adds to a metric; called from export threads, must not block."""

    def __call__(self, metric: Instrument, value: int, labels: Mapping[str, str]) -> None:
        """Adds `value` to the series of `metric` with these labels."""
        ...


class Inner(Protocol[Sent_contra]):
    """An SDK exporter of spans or log records."""

    def export(self, batch: Sequence[Sent_contra], /) -> Any:
        """An enum member named SUCCESS or FAILURE."""
        ...

    def shutdown(self) -> None:
        """Closes its connections."""
        ...


class Exporter(Generic[Item]):
    """One signal's way out. `export` blocks its caller, a worker thread, until the batch is delivered or lost.

    `connect` makes the inner exporter, again in a forked child, whose inherited connections belong to the parent.
    `answer` is filled by inner exporters that can tell refusal from failure; without one every failure is tried again.
    `outgoing` makes the redacted copy of an item; an item that it fails on is lost, never sent as it is.
    """

    def __init__(
        self,
        signal: str,
        connect: Callable[[], Inner[Item]],
        outgoing: Callable[[Item], Item],
        tally: Tally,
        *,
        answer: Answer | None = None,
        patience_s: float = PATIENCE_S,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.signal = signal
        self._connect = connect
        self._outgoing = outgoing
        self._tally = tally
        self._answer = answer
        self._patience_s = patience_s
        self._jitter = jitter
        self._abandoned: list[object] = []  # a parent's connections: closing them could wait for a lock it holds
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._deadline = float("inf")
        self._inner: Inner[Item] | None = None
        self.pending = 0
        self.delivered = 0
        self.lost = 0

    def after_fork(self) -> None:
        """In a forked child: nothing of the parent's is pending here, and its connections are left alone."""
        self._abandoned.append(self._inner)
        self._reset()

    def export(self, batch: Sequence[Item]) -> bool:
        """Whether the whole batch was delivered."""
        items = [item for item in map(self._copy, batch) if item is not None]
        self._lose(len(batch) - len(items), "rejected")
        if not items:
            return not batch
        self.pending = len(items)
        return self._send(items) and len(items) == len(batch)

    def drain(self, deadline: float) -> None:
        """From now on attempts follow each other quickly, and end at `deadline` on the monotonic clock."""
        self._deadline = deadline
        self._hurry.set()

    def shutdown(self, timeout_s: float = SHUTDOWN_S) -> None:
        """Ends all attempts; what is in flight counts as lost. Returns within `timeout_s`."""
        self._stop.set()
        self._hurry.set()
        inner, self._inner = self._inner, None
        if inner is not None:
            _close_within(inner, timeout_s)
        self._settle("shutdown", self.pending)

    def _copy(self, item: Item) -> Item | None:
        try:
            return self._outgoing(item)
        except Exception as error:  # noqa: BLE001  an item that cannot be redacted must not be sent
            guard.failed("export", error)
            return None

    def _send(self, items: list[Item]) -> bool:
        """Whether all items were delivered. An unsendable batch goes in halves: only its odd items are lost."""
        reason = "shutdown" if self._stop.is_set() else self._deliver(items)
        if reason == _HALVED:
            middle = len(items) // 2
            return all([self._send(items[:middle]), self._send(items[middle:])])
        self._settle(reason, len(items))
        return reason is None

    def _deliver(self, items: list[Item]) -> str | None:
        """None when delivered, else why the items are lost, or that there is more to try."""
        patience = time.monotonic() + self._patience_s
        attempt = 0
        while not self._attempt(items):
            if self._stop.is_set():
                return "shutdown"
            if self._unsendable() and len(items) > 1:
                return _HALVED
            self._count(EXPORT_FAILURES, 1, {SIGNAL: self.signal})
            if self._refused():
                warn(_REFUSED, len(items), self.signal, self._why())
                return "rejected"
            warn(_WAITING, self.signal, self._why(), self._patience_s)
            pause = self._pause(attempt)
            if time.monotonic() + pause > self._deadline:
                return "shutdown"
            if time.monotonic() + pause > patience:
                return "unreachable"
            (self._stop if self._hurry.is_set() else self._hurry).wait(pause)
            attempt += 1
        return None

    def _attempt(self, items: list[Item]) -> bool:
        if self._answer is not None:
            self._answer.reset()
        try:
            inner = self._inner = self._inner or self._connect()
            with quiet(inner):
                result = inner.export(items)
        except Exception as error:  # noqa: BLE001  counted as a failed attempt
            guard.failed("export", error)
            return False
        return getattr(result, "name", None) == "SUCCESS" and (self._answer is None or self._answer.taken)

    def _refused(self) -> bool:
        """Whether another attempt is pointless."""
        return self._unsendable() or (self._answer is not None and self._answer.final)

    def _unsendable(self) -> bool:
        """Whether nothing was asked, as the batch cannot be encoded or is too large."""
        return self._answer is not None and not self._answer.asked and self._inner is not None

    def _why(self) -> str:
        answer = self._answer
        if answer is None or answer.status is None:
            return "not sent" if answer is not None and not answer.asked else "no answer"
        return f"{'HTTP' if isinstance(answer.status, int) else 'gRPC'} {answer.status}"

    def _pause(self, attempt: int) -> float:
        if self._hurry.is_set():
            return HURRIED_PAUSE_S
        asked = (self._answer.retry_after if self._answer is not None else None) or 0.0
        growing = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * (0.5 + self._jitter() / 2)
        return max(asked, growing)

    def _settle(self, reason: str | None, count: int) -> None:
        with self._lock:
            count = min(count, self.pending)  # a shutdown may have counted them already
            self.pending -= count
            self.delivered += 0 if reason else count
        if reason:
            self._lose(count, reason)

    def _lose(self, count: int, reason: str) -> None:
        if count:
            with self._lock:
                self.lost += count
            self._count(TELEMETRY_DROPPED, count, {SIGNAL: self.signal, DROP_REASON: reason})

    def _count(self, metric: Instrument, value: int, labels: Mapping[str, str]) -> None:
        try:
            self._tally(metric, value, labels)
        except Exception as error:  # noqa: BLE001  counting must not stop delivery
            guard.failed("export", error)


def _close_within(inner: Inner[Any], timeout_s: float) -> None:
    close = guard.guarded("export", None)(_close)
    closer = threading.Thread(target=close, args=(inner,), name="tachograph-close", daemon=True)
    try:
        closer.start()
    except RuntimeError:  # the interpreter is ending and starts no threads: its sockets close with it
        return
    closer.join(timeout_s)


def _close(inner: Inner[Any]) -> None:
    try:
        with quiet(inner):
            inner.shutdown()
    except Exception as error:  # noqa: BLE001  the process is ending
        guard.failed("export", error)


class quiet(logging.Filter):  # noqa: N801  used as a context manager
    """Keeps log lines of an SDK exporter and its encoder about our attempts out of the host's log.

    Lines that other threads log, the host's own exporters among them, pass.
    """

    def __init__(self, inner: object) -> None:
        super().__init__()
        self._loggers = [logging.getLogger(name) for name in (type(inner).__module__, *_TALKATIVE)]
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether another thread logs it."""
        return record.thread != self._thread

    def __enter__(self) -> None:
        for logger in self._loggers:
            logger.addFilter(self)

    def __exit__(self, *_: object) -> None:
        for logger in self._loggers:
            logger.removeFilter(self)


class _LastWarning:
    """When the log was last told, on the monotonic clock; one for all signals."""

    at = float("-inf")


def warn(sentence: str, *values: object) -> None:
    """One line in the log, at most one a minute."""
    now = time.monotonic()
    if now - _LastWarning.at >= WARN_EVERY_S:
        _LastWarning.at = now
        _log.warning(sentence, *values)
