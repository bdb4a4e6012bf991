"""The write-ahead log: what is confirmed is durable, whatever the disk does."""

from __future__ import annotations

import os
import threading

import pytest
from analytics.services import wait_for

from tachograph_analytics.receiver.wal import Wal, WalFullError, WalWriteError
from tachograph_analytics.store.manifest import Position
from tachograph_analytics.store.segment import (
    HEADER_BYTES,
    ContentType,
    Encoding,
    Record,
    Signal,
    scan,
    segment_path,
    segments,
)


def a_record(body: bytes) -> Record:
    return Record(Signal.LOGS, Encoding.GZIP, ContentType.JSON, 11, body)


def bodies(directory) -> list[bytes]:
    found = [entry.found for entry in scan(directory, Position())]
    return [record.body for record in found if isinstance(record, Record)]


def test_an_append_is_confirmed_only_after_the_sync_that_follows_its_write(tmp_path):
    synced = threading.Event()
    written: list[int] = []

    def sync(file: int) -> None:
        written.append(os.fstat(file).st_size)
        assert synced.wait(10)

    wal = Wal(tmp_path, sync=sync)
    confirmed = wal.append(a_record(b"x" * 13))
    wait_for(lambda: written)
    assert written == [HEADER_BYTES + 13]
    assert not confirmed.done()
    assert wal.end == Position(1, 0)
    synced.set()
    assert confirmed.result(10) == Position(1, HEADER_BYTES + 13)
    wal.close()


def test_what_waits_shares_one_sync(tmp_path):
    first, syncs = threading.Event(), []

    def sync(_: int) -> None:
        syncs.append(len(syncs))
        assert first.wait(10)

    wal = Wal(tmp_path, sync=sync)
    waiting = [wal.append(a_record(b"a"))]
    wait_for(lambda: syncs)
    waiting += [wal.append(a_record(bytes([65 + n]))) for n in range(1, 12)]
    first.set()
    ends = {future.result(10) for future in waiting}
    wal.close()
    assert syncs == [0, 1]
    assert len(ends) == 2
    assert len(bodies(tmp_path)) == 12


def test_a_start_opens_a_new_segment_and_leaves_a_torn_tail_alone(tmp_path):
    wal = Wal(tmp_path)
    wal.append(a_record(b"one")).result(10)
    wal.close()
    torn = segment_path(tmp_path, 1)
    with torn.open("ab") as file:
        file.write(a_record(b"never acked").header()[:17])
    size = torn.stat().st_size
    wal = Wal(tmp_path)
    wal.append(a_record(b"two")).result(10)
    wal.close()
    assert (size, [1, 2]) == (torn.stat().st_size, segments(tmp_path))
    assert bodies(tmp_path) == [b"one", b"two"]


def test_numbers_of_segments_never_come_back(tmp_path):
    wal = Wal(tmp_path, after=16)
    wal.close()
    assert segments(tmp_path) == [17]


def test_a_full_segment_is_followed_by_the_next(tmp_path):
    wal = Wal(tmp_path, segment_bytes=2 * (HEADER_BYTES + 1))
    for body in (b"a", b"b", b"c", b"d", b"e"):
        wal.append(a_record(body)).result(10)
    wal.close()
    assert segments(tmp_path) == [1, 2, 3]
    assert bodies(tmp_path) == [b"a", b"b", b"c", b"d", b"e"]


def test_a_full_queue_refuses_and_takes_again_when_it_is_empty(tmp_path):
    release, syncs = threading.Event(), []

    def sync(_: int) -> None:
        syncs.append(1)
        assert release.wait(10)

    wal = Wal(tmp_path, queue_bytes=100, sync=sync)
    first = wal.append(a_record(b"1" * 60))
    wait_for(lambda: syncs)
    second = wal.append(a_record(b"2" * 60))
    with pytest.raises(WalFullError):
        wal.append(a_record(b"3" * 60))
    release.set()
    assert first.result(10) < second.result(10)
    wal.append(a_record(b"3" * 60)).result(10)
    wal.close()
    assert bodies(tmp_path) == [b"1" * 60, b"2" * 60, b"3" * 60]


def test_a_failed_sync_confirms_nothing_and_the_log_goes_on_in_a_new_segment(tmp_path):
    failures = [OSError(5, "Input/output error")]

    def sync(_: int) -> None:
        if failures:
            raise failures.pop()

    wal = Wal(tmp_path, sync=sync)
    with pytest.raises(WalWriteError, match="Input/output error"):
        wal.append(a_record(b"lost")).result(10)
    wait_for(lambda: wal.failure is None)
    assert wal.append(a_record(b"kept")).result(10) == Position(2, HEADER_BYTES + 4)
    wal.close()
    assert bodies(tmp_path) == [b"kept"]


def test_closing_writes_what_waits_and_then_takes_nothing(tmp_path):
    wal = Wal(tmp_path)
    waiting = [wal.append(a_record(bytes([65 + n]))) for n in range(7)]
    wal.close()
    assert all(future.done() for future in waiting)
    with pytest.raises(WalWriteError):
        wal.append(a_record(b"late"))


def test_whatever_goes_wrong_with_a_write_its_clients_hear_and_the_log_goes_on(tmp_path):
    failures = [MemoryError()]

    def sync(_: int) -> None:
        if failures:
            raise failures.pop()

    wal = Wal(tmp_path, sync=sync)
    with pytest.raises(WalWriteError, match="MemoryError"):
        wal.append(a_record(b"lost")).result(10)
    wait_for(lambda: wal.failure is None)
    wal.append(a_record(b"kept")).result(10)
    wal.close()
    assert bodies(tmp_path) == [b"kept"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is to be heard of
def test_a_writer_that_ends_says_so_to_all_who_wait_and_to_all_who_come(tmp_path):
    release, synced = threading.Event(), []

    def sync(_: int) -> None:
        synced.append(1)
        assert release.wait(10)
        raise SystemExit("told to")

    wal = Wal(tmp_path, sync=sync)
    writing = wal.append(a_record(b"1"))
    wait_for(lambda: synced)
    waiting = wal.append(a_record(b"2"))
    release.set()
    for future in (writing, waiting):
        with pytest.raises(WalWriteError, match="the writer ended: told to"):
            future.result(10)
    assert wal.failure == "the writer ended: told to"
    with pytest.raises(WalWriteError, match="the writer ended: told to"):
        wal.append(a_record(b"3"))
    wal.close()
