"""Segments of the WAL: what is whole, what is torn, what is damaged."""

from __future__ import annotations

import pytest

from tachograph_analytics.store.manifest import Position
from tachograph_analytics.store.segment import (
    HEADER_BYTES,
    ContentType,
    Damage,
    Encoding,
    Entry,
    Record,
    Signal,
    backlog,
    scan,
    segment_path,
)

ONE = Record(Signal.TRACES, Encoding.GZIP, ContentType.PROTOBUF, 11, b"one")
TWO = Record(Signal.LOGS, Encoding.IDENTITY, ContentType.JSON, 13, b"second")
THREE = Record(Signal.ALERTS, Encoding.IDENTITY, ContentType.JSON, 17, b"")
FIRST_END = HEADER_BYTES + 3
SECOND_END = FIRST_END + HEADER_BYTES + 6


def raw(*records: Record) -> bytes:
    return b"".join(record.header() + record.body for record in records)


def write(wal, number: int, data: bytes) -> None:
    segment_path(wal, number).write_bytes(data)


def test_records_come_back_as_they_were_with_their_ends(tmp_path):
    write(tmp_path, 1, raw(ONE, TWO))
    write(tmp_path, 2, raw(THREE))
    assert [
        Entry(ONE, Position(1, FIRST_END)),
        Entry(TWO, Position(1, SECOND_END)),
        Entry(None, Position(2, 0)),
        Entry(THREE, Position(2, HEADER_BYTES)),
    ] == list(scan(tmp_path, Position()))


def test_a_scan_goes_on_from_where_another_ended(tmp_path):
    write(tmp_path, 1, raw(ONE, TWO))
    assert [Entry(TWO, Position(1, SECOND_END))] == list(scan(tmp_path, Position(1, FIRST_END)))
    assert list(scan(tmp_path, Position(1, SECOND_END))) == []


@pytest.mark.parametrize("left", range(1, HEADER_BYTES + 6))
def test_a_torn_tail_waits_in_the_newest_segment_and_ends_an_older_one(tmp_path, left):
    write(tmp_path, 1, raw(ONE) + raw(TWO)[:left])
    assert [Entry(ONE, Position(1, FIRST_END))] == list(scan(tmp_path, Position()))
    write(tmp_path, 2, b"")
    assert [Entry(ONE, Position(1, FIRST_END)), Entry(None, Position(2, 0))] == list(scan(tmp_path, Position()))


def test_a_damaged_body_is_reported_with_its_header_and_the_next_record_is_read(tmp_path):
    data = bytearray(raw(ONE, TWO))
    data[HEADER_BYTES] ^= 0xFF
    write(tmp_path, 1, bytes(data))
    damaged, following = list(scan(tmp_path, Position()))
    assert isinstance(damaged.found, Damage)
    assert (bytes(data[:FIRST_END]), Signal.TRACES, 11) == (
        damaged.found.raw,
        damaged.found.record.signal,
        damaged.found.record.received_ns,
    )
    assert Entry(TWO, Position(1, SECOND_END)) == following


@pytest.mark.parametrize("at", [0, 4, 8, 12, HEADER_BYTES - 1])
def test_a_damaged_header_hides_no_record_behind_it(tmp_path, at):
    data = bytearray(raw(ONE, TWO))
    data[at] ^= 0xFF
    write(tmp_path, 1, bytes(data))
    assert [
        Entry(Damage(bytes(data[:FIRST_END])), Position(1, FIRST_END)),
        Entry(TWO, Position(1, SECOND_END)),
    ] == list(scan(tmp_path, Position()))


def test_zeros_that_a_power_cut_left_are_no_damage(tmp_path):
    write(tmp_path, 1, raw(ONE) + bytes(4096))
    write(tmp_path, 2, raw(TWO))
    assert [entry.found for entry in scan(tmp_path, Position())] == [ONE, None, TWO]


def test_the_backlog_counts_what_is_behind_a_position(tmp_path):
    write(tmp_path, 1, raw(ONE, TWO))
    write(tmp_path, 2, raw(THREE))
    assert [
        backlog(tmp_path, position)
        for position in (Position(), Position(1, FIRST_END), Position(2, 0), Position(2, HEADER_BYTES))
    ] == [SECOND_END + HEADER_BYTES, SECOND_END - FIRST_END + HEADER_BYTES, HEADER_BYTES, 0]
