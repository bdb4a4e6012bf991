"""The write-ahead log's writer: what it has confirmed survives a power cut.

One thread takes whatever waits, appends it in one write and makes it durable with one fdatasync: a disk does a few
hundred of those a second, so the requests of a group share it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tachograph_analytics.store.durable import sync_directory
from tachograph_analytics.store.manifest import Position
from tachograph_analytics.store.segment import HEADER_BYTES, Record, segment_path, segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEGMENT_BYTES = 64 * 2**20
QUEUE_BYTES = 64 * 2**20
GROUP_BYTES = 8 * 2**20
_RETRY_S = 1.0

_log = logging.getLogger(__name__)


class WalFullError(Exception):
    """More waits to be written than may; the client should try again."""


class WalWriteError(Exception):
    """The disk did not take it; the client should try again."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: Record
    confirmed: Future[Position]

    @property
    def size(self) -> int:
        return HEADER_BYTES + len(self.record.body)


class Wal:
    """The log in `directory`; it always begins a segment of its own, so a torn tail is never appended to.

    `after` is the last segment that was ever decoded: numbers never come back. `sync` makes a file durable.
    """

    def __init__(
        self,
        directory: Path,
        *,
        after: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
        queue_bytes: int = QUEUE_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._queue_bytes = queue_bytes
        self._sync = sync
        self._queue: deque[_Waiting] = deque()
        self._group: list[_Waiting] = []
        self._queued = 0
        self._closing = False
        self._changed = threading.Condition()
        self._file: int | None = None
        self._end = Position(max([after, *segments(directory)]), 0)
        self._failure: str | None = None
        self._open_next()
        self._thread = threading.Thread(target=self._run, name="wal", daemon=True)
        self._thread.start()

    @property
    def end(self) -> Position:
        """Where the durable part ends."""
        return self._end

    @property
    def failure(self) -> str | None:
        """Why nothing can be written now, or None."""
        return self._failure

    def append(self, record: Record) -> Future[Position]:
        """A future of the record's end that is done when it is durable; WalWriteError in it when the disk refuses.

        Raises WalFullError at once when too much waits already.
        """
        waiting = _Waiting(record, Future())
        with self._changed:
            if self._closing:
                raise WalWriteError(self._failure or "the receiver is stopping")
            if self._queued and self._queued + waiting.size > self._queue_bytes:
                raise WalFullError(f"{self._queued} bytes wait for the disk")
            self._queue.append(waiting)
            self._queued += waiting.size
            self._changed.notify()
        return waiting.confirmed

    def close(self) -> None:
        """Writes what waits and ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _run(self) -> None:
        """The thread: nobody would see it die, so whatever ends it is what readiness and every client hear."""
        try:
            self._work()
        except BaseException as error:
            with self._changed:
                self._closing = True
                self._failure = f"the writer ended: {_reason(error)}"
                left = [*self._group, *self._queue]
                self._queue.clear()
            _refuse(left, self._failure)
            raise

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    if not self._changed.wait(_RETRY_S) and self._file is None:
                        break
                self._group = self._take()
                if not self._group and self._closing:
                    return
            if self._group:
                self._write(self._group)
            elif self._file is None:
                self._recover()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._queue and (not group or size + self._queue[0].size <= GROUP_BYTES):
            group.append(self._queue.popleft())
            size += group[-1].size
        self._queued -= size
        return group

    def _write(self, group: list[_Waiting]) -> None:
        try:
            data = b"".join(part for waiting in group for part in (waiting.record.header(), waiting.record.body))
            self._append(data)
        except Exception as error:  # noqa: BLE001 - whatever it was, the group is not durable and its clients wait
            self._abandon(error)
            _refuse(group, f"the disk does not take it: {_reason(error)}")
            return
        self._failure = None
        end = Position(self._end.segment, self._end.offset + len(data))
        self._end = end
        for confirmed in _heard(group):
            confirmed.set_result(end)

    def _append(self, data: bytes) -> None:
        if self._file is None or (self._end.offset and self._end.offset + len(data) > self._segment_bytes):
            self._open_next()
        file = self._file
        assert file is not None
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        self._sync(file)

    def _open_next(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        number = self._end.segment + 1
        file = os.open(segment_path(self._directory, number), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        self._file, self._end = file, Position(number, 0)
        sync_directory(self._directory)

    def _abandon(self, error: Exception) -> None:
        """Gives the segment up: after a failed write or sync nobody knows what of the group is on the disk."""
        if self._failure is None:
            _log.error("nothing is acked until the disk takes it again: %s", _reason(error))
        self._failure = _reason(error)
        if self._file is None:
            return
        with suppress(OSError):
            os.ftruncate(self._file, self._end.offset)
        with suppress(OSError):
            os.close(self._file)
        self._file = None
        if self._end.offset == 0:
            with suppress(OSError):
                segment_path(self._directory, self._end.segment).unlink()

    def _recover(self) -> None:
        try:
            self._open_next()
        except Exception as error:  # noqa: BLE001 - tried again, as after a failed write
            self._abandon(error)
        else:
            self._failure = None


def _heard(group: list[_Waiting]) -> list[Future[Position]]:
    """The futures that somebody still waits for: a client may have gone."""
    return [w.confirmed for w in group if not w.confirmed.done() and w.confirmed.set_running_or_notify_cancel()]


def _refuse(group: list[_Waiting], sentence: str) -> None:
    for confirmed in _heard(group):
        confirmed.set_exception(WalWriteError(sentence))


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
