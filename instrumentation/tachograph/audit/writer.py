"""The one thread that puts entries on record: chain and file first, then the host's own log, then the telemetry.

The agent's thread only appends to a queue. What the file or the host's log refuses is said to nobody as recorded.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import weakref
from dataclasses import dataclass, field
from importlib.metadata import version
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from tachograph.audit.chain import FILED, UNFILED, Link, Origin, genesis, link_of, sealed
from tachograph.audit.entry import Entry, canonical
from tachograph.audit.file import SUFFIX, AuditFile
from tachograph.telemetry import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Settled = Callable[[Entry, Mapping[str, Any] | None], None]

_log = logging.getLogger("tachograph")

QUEUE: Final = 4_096  # entries that may wait; as many as telemetry's queues take
_PATIENCE_S: Final = 0.02  # what an entry waits for others: one sync for all, and none beside the hook that made it
_BATCH: Final = 256  # entries of one sync: a disk syncs some hundred times a second


class AuditLog(Protocol):
    """Where the host wants entries too: append one, or raise."""

    def append(self, entry: Mapping[str, object]) -> None:
        """Takes one record, on our thread; an exception means that it is not on record."""
        ...


@dataclass(slots=True)
class _Marker:
    """Stands in the queue: everything before it has been dealt with once it is reached."""

    stop: bool = False
    reached: threading.Event = field(default_factory=threading.Event)


class Writer:
    """Takes entries without waiting, and tells `settled` of each its record, or None where it is on no record.

    One chain a process, in a file of `folder` if there is one, begun with the first entry; after a fork the child
    begins its own. Not `threaded`, it works where it is called: for tests and simulated times; so it does where the
    system gives no thread.
    """

    def __init__(
        self,
        agent: str,
        settled: Settled,
        *,
        ids: Callable[[], str],
        folder: Path | None = None,
        key: bytes | None = None,
        audit_log: AuditLog | None = None,
        threaded: bool = True,
        queue: int = QUEUE,
    ) -> None:
        self._agent, self._settled, self._ids = agent, settled, ids
        self._folder, self._key, self._audit_log = folder, key, audit_log
        self._threaded, self._most = threaded, queue
        self._closed = False
        self._begin()
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := weak()) and again())

    def _begin(self) -> None:
        self._queue: SimpleQueue[Entry | _Marker] = SimpleQueue()
        self._lock = threading.Lock()  # of who works, where there is no thread for it
        self._file: AuditFile | None = None
        self._end: Link | None = None
        self._abandoned = False
        self._overflow = self._told = 0
        self._causes: set[object] = set()
        self._thread: threading.Thread | None = None
        if self._threaded:
            self._thread = threading.Thread(
                target=guard.guarded("audit", None)(self._run), name="tachograph-audit", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError as error:  # no thread to be had: late entries are better than none
                guard.failed("audit", error)
                self._thread = None

    @guard.guarded("audit", None)
    def _after_fork(self) -> None:
        if self._closed:
            return
        if self._file is not None:
            self._file.close()  # the parent's, which goes on with it
        self._begin()

    # -- what the agent's threads call
    def put(self, entry: Entry) -> None:
        """Takes an entry; where the queue is full or closed, it is settled at once as on no record."""
        if self._closed or self._queue.qsize() >= self._most:
            self._overflow += 1
            self._settle(entry, None)
            return
        self._queue.put(entry)
        if self._thread is None:
            self._work_here()

    def flush(self, deadline: float) -> bool:
        """Whether every entry before the call is settled by `deadline` on the monotonic clock."""
        if self._thread is None or self._closed:
            return self._queue.empty()
        if threading.current_thread() is self._thread:
            return False  # it cannot wait for itself
        marker = _Marker()
        self._queue.put(marker)
        return marker.reached.wait(_left(deadline))

    def close(self, deadline: float) -> None:
        """Settles what waits until `deadline`; what is left then is on no record. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._queue.put(_Marker(stop=True))
            self._thread.join(_left(deadline))
        self._abandoned = True
        lost = self._refuse_rest()
        self._queue.put(_Marker(stop=True))  # the thread may just begin to wait, and the rest had what ends it
        if lost:
            _log.warning(
                "tachograph: %d audit entries are on no record: the process ended before they were taken", lost
            )
        if self._file is not None and (self._thread is None or not self._thread.is_alive()):
            self._file.close()

    def _refuse_rest(self) -> int:
        lost = 0
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return lost
            if isinstance(item, _Marker):
                item.reached.set()
            else:
                lost += 1
                self._settle(item, None)

    # -- the work
    def _run(self) -> None:
        queue = self._queue
        while not self._abandoned and queue is self._queue:
            entries, marker = _batch(queue, _PATIENCE_S)
            try:
                self._put_on_record(entries)
            except Exception as error:  # noqa: BLE001 - the thread must live on
                guard.failed("audit", error)
            if marker is not None:
                marker.reached.set()
                if marker.stop:
                    return

    def _work_here(self) -> None:
        """Deals with the queue, unless another thread or an interrupted call does: then that one sees what came."""
        while not self._queue.empty() and self._lock.acquire(blocking=False):
            try:
                while not self._queue.empty():
                    self._put_on_record(_batch(self._queue)[0])
            finally:
                self._lock.release()

    def _put_on_record(self, entries: list[Entry]) -> None:
        if self._overflow > self._told:
            self._told = self._overflow
            self._say("queue", "the queue was full")
        for entry, record in zip(entries, self._chained(entries), strict=True):
            if not self._threaded:  # the context is the hook's own
                self._settle(entry, self._archived(record))
                continue
            token = attach(set_span_in_context(NonRecordingSpan(entry.span), Context()))
            try:
                self._settle(entry, None if self._abandoned else self._archived(record))
            finally:
                detach(token)

    def _chained(self, entries: list[Entry]) -> list[dict[str, Any] | None]:
        """Each entry's record, once all of them are in the file; None for those that are not."""
        if not entries:
            return []
        try:
            end = self._ready(entries[0].time)
            records: list[dict[str, Any] | None] = []
            for entry in entries:
                record = self._sealed(entry, end)
                records.append(record)
                end = end if record is None else link_of(record)
            if self._file is not None:
                self._file.append(b"".join(canonical(record) + b"\n" for record in records if record is not None))
        except OSError as error:
            guard.count("audit")
            self._say(error.errno, f"{self._folder}: {error.strerror}")
        except Exception as error:  # noqa: BLE001 - the thread must live on
            guard.failed("audit", error)
        else:
            self._end = end
            return records
        return [None] * len(entries)

    def _sealed(self, entry: Entry, end: Link) -> dict[str, Any] | None:
        try:
            return sealed(entry.facts(), end, self._key)
        except Exception as error:  # noqa: BLE001 - one odd entry must not keep the others
            guard.failed("audit", error)
            return None

    def _ready(self, now: int) -> Link:
        """The end of the chain; it is begun here, and anew where somebody took its file away."""
        if self._file is not None and self._file.over:
            _log.warning("tachograph: %s was removed or cannot be mended; a new audit chain begins", self._file.path)
            self._file.close()
            self._file = self._end = None
        if self._end is None:
            chain = f"{UNFILED if self._folder is None else FILED}_{self._ids()}"
            origin = Origin(self._agent, now, os.getpid(), socket.gethostname(), version("tachograph"))
            first = genesis(chain, origin, self._key)
            if self._folder is not None:
                file = AuditFile(self._folder / f"{chain}{SUFFIX}")
                try:
                    file.append(canonical(first) + b"\n")
                except OSError:
                    file.discard()
                    raise
                self._file = file
            self._end = link_of(first)
        return self._end

    def _archived(self, record: dict[str, Any] | None) -> dict[str, Any] | None:
        """The record, if the host's own log took it too."""
        if record is None or self._audit_log is None:
            return record
        try:
            self._audit_log.append(dict(record))
        except Exception as error:  # noqa: BLE001 - a failing audit log is a finding, not the agent's failure
            guard.failed("audit", error)
            return None
        return record

    def _settle(self, entry: Entry, record: Mapping[str, Any] | None) -> None:
        try:
            self._settled(entry, record)
        except Exception as error:  # noqa: BLE001 - whoever it is told to, the next entry has its turn
            guard.failed("audit", error)

    def _say(self, cause: object, why: str) -> None:
        """One line a cause."""
        if cause not in self._causes:
            self._causes.add(cause)
            _log.warning(
                "tachograph: audit entries are on no record: %s. The agent goes on; tachograph_audit_entries_total "
                "counts them as failed.",
                why,
            )


def _left(deadline: float) -> float:
    """Seconds until then, as many as a thread can wait for."""
    return min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)


def _batch(queue: SimpleQueue[Entry | _Marker], patience_s: float = 0.0) -> tuple[list[Entry], _Marker | None]:
    """Waits for a first item, then for company until the batch is full, its time is up or a marker comes."""
    entries: list[Entry] = []
    item = queue.get()
    if not isinstance(item, _Marker) and patience_s:
        time.sleep(patience_s)  # to be woken by each entry would cost the thread that brings it
    while not isinstance(item, _Marker):
        entries.append(item)
        if len(entries) == _BATCH:
            return entries, None
        try:
            item = queue.get_nowait()
        except Empty:
            return entries, None
    return entries, item
