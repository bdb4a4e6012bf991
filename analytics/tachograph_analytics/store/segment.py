"""The WAL's format: segments of records, each found whole, torn or damaged by its checksums.

A record is a header of 28 bytes and the body as it was sent. The header has a checksum of its own, so that a damaged
length cannot hide the records behind it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, BinaryIO

from tachograph_analytics.store.manifest import Position

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC = b"TGW1"
# magic, body bytes, signal, encoding, content type, 0, received (Unix ns), CRC32 of the body; then the header's CRC32
_FIELDS = struct.Struct("<4sIBBBBqI")
_CHECK = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECK.size


class Signal(IntEnum):
    """What a body holds."""

    TRACES = 1
    LOGS = 2
    ALERTS = 3

    @property
    def label(self) -> str:
        """Its value of `tachograph.signal`."""
        return self.name.lower()


class Encoding(IntEnum):
    """How a body is compressed; the name is that of Content-Encoding."""

    IDENTITY = 0
    GZIP = 1


class ContentType(IntEnum):
    """How a body is written."""

    PROTOBUF = 0
    JSON = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One request as it was sent; `received_ns` is Unix time in nanoseconds."""

    signal: Signal
    encoding: Encoding
    content_type: ContentType
    received_ns: int
    body: bytes

    def header(self) -> bytes:
        """What stands before the body in the segment."""
        fields = _FIELDS.pack(
            _MAGIC,
            len(self.body),
            self.signal,
            self.encoding,
            self.content_type,
            0,
            self.received_ns,
            zlib.crc32(self.body),
        )
        return fields + _CHECK.pack(zlib.crc32(fields))


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no sound record; `record` is what its header still says, if that is sound."""

    raw: bytes
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, a damage, or None for the end of a closed segment; and where the next one begins."""

    found: Record | Damage | None
    end: Position


def segment_path(wal: Path, number: int) -> Path:
    """The file of segment `number`."""
    return wal / f"{number:010d}.wal"


def segments(wal: Path) -> list[int]:
    """The numbers of the segments that exist, oldest first."""
    return sorted(int(path.stem) for path in wal.glob("*.wal"))


def backlog(wal: Path, position: Position) -> int:
    """Bytes of the WAL behind `position`; 0 when everything is decoded."""
    total = 0
    for number in segments(wal):
        if number >= position.segment:
            size = _size(segment_path(wal, number))
            total += max(0, size - (position.offset if number == position.segment else 0))
    return total


def scan(wal: Path, start: Position) -> Iterator[Entry]:
    """The entries from `start` to the end of what is written so far, through all segments in order.

    A segment that has a successor is closed: nothing is appended to it any more. Its torn tail was never acked and is
    passed over; that of the newest segment may still be growing, so the scan ends before it.
    """
    numbers = [number for number in segments(wal) if number >= start.segment]
    for number, successor in zip_longest(numbers, numbers[1:]):
        try:
            file = segment_path(wal, number).open("rb")
        except FileNotFoundError:  # an empty segment that the writer gave up
            continue
        offset = start.offset if number == start.segment else 0
        with file:
            yield from _entries(file, number, offset, closed=successor is not None)
        if successor is not None:
            yield Entry(None, Position(successor, 0))


def _entries(file: BinaryIO, number: int, offset: int, *, closed: bool) -> Iterator[Entry]:
    file.seek(offset)
    while len(raw := file.read(HEADER_BYTES)) == HEADER_BYTES:
        if (header := _parse(raw)) is None:
            skipped = raw + file.read()
            following = _next_header(skipped)
            if following is None and not closed:
                return
            skipped = skipped[:following]
            if skipped.strip(b"\0"):
                yield Entry(Damage(skipped), Position(number, offset + len(skipped)))
            offset += len(skipped)
            file.seek(offset)
            continue
        length, crc, fields = header
        body = file.read(length)
        if len(body) < length:
            return
        offset += HEADER_BYTES + length
        record = Record(*fields, body)
        found = record if zlib.crc32(body) == crc else Damage(raw + body, record)
        yield Entry(found, Position(number, offset))


def _parse(raw: bytes) -> tuple[int, int, tuple[Signal, Encoding, ContentType, int]] | None:
    fields = raw[: _FIELDS.size]
    if not raw.startswith(_MAGIC) or _CHECK.unpack_from(raw, _FIELDS.size)[0] != zlib.crc32(fields):
        return None
    _, length, signal, encoding, content_type, _, received_ns, crc = _FIELDS.unpack(fields)
    return length, crc, (Signal(signal), Encoding(encoding), ContentType(content_type), received_ns)


def _next_header(raw: bytes) -> int | None:
    at = raw.find(_MAGIC, 1)
    while at >= 0:
        if len(raw) - at >= HEADER_BYTES and _parse(raw[at : at + HEADER_BYTES]) is not None:
            return at
        at = raw.find(_MAGIC, at + 1)
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # decoded and deleted meanwhile
        return 0
