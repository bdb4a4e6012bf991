"""The documents of a file: one OTLP message each, whatever the file is packed in and however it is framed.

The Collector's file exporter writes one JSON document a line, or protobuf messages behind their length in four bytes,
big-endian. With compression it has two ways: each message a zstd frame of its own behind its length, or, since its
native compression, all of it one zstd stream. Rotation only renames files.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What one document may take unpacked: parsing takes several times that, and no exporter sends a tenth of it at once.
MAX_DOCUMENT_BYTES: Final = 256 * 2**20

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_FIELD_1: Final = b"\x0a"  # what every OTLP message in protobuf begins with: its resources
_LENGTH_BYTES: Final = 4
_BUFFER_BYTES: Final = 2**20
_STEP_BYTES: Final = 2**16  # what is unpacked at once, and so lost at most of what stands before a cut
_LOOK_BYTES: Final = 64
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Document:
    """One OTLP message, JSON or protobuf; `where` is its place in the file, or empty where it is all of it."""

    where: str
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether it is JSON; else it is protobuf."""
        return _looks_like_json(self.body)


@dataclass(frozen=True, slots=True)
class Broken:
    """A place of a file that holds no document, and why."""

    where: str
    reason: str


def documents(file: BinaryIO, advance: Callable[[int], None]) -> Iterator[Document | Broken]:
    """The documents of an open file; `advance` hears how many of its bytes as stored were read.

    Nothing more than one document and some buffers is in memory. What cannot be read ends the file with a Broken.
    """
    counted = _buffered(_Counted(file, advance))
    try:
        yield from _framed(_unpacked(counted))
    except (OSError, EOFError, zlib.error) as error:
        # gzip, zlib and pyarrow say so in different words, which a user need not tell apart
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is cut off, or no sound archive"
        yield Broken("", f"{reason}; what stands before is imported")


def _buffered(file: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(file, _BUFFER_BYTES)


class _Counted(io.RawIOBase):
    def __init__(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        self._file, self._advance = file, advance

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._advance(len(data))
        return len(data)


def _looks_like_json(beginning: bytes) -> bool:
    """A newline and a brace are also the tag and the length of a protobuf field: there, control characters follow."""
    text = beginning[:_LOOK_BYTES]
    return text.lstrip(_BLANK)[:1] in (b"{", b"[") and all(sign >= ord(" ") or sign in _BLANK for sign in text)


class _Gzip(io.RawIOBase):
    """A file's gzip members, one after the other, unpacked; of one that is cut off what there is, then EOFError."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._packed = b""
        self._stream: Any = None

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        while True:
            self._packed = self._packed or self._file.read(_STEP_BYTES)
            if not self._packed:
                if self._stream is not None:
                    raise EOFError
                return 0
            stream = self._stream = self._stream or zlib.decompressobj(wbits=31)
            data = stream.decompress(self._packed, len(buffer))
            self._packed = stream.unused_data.lstrip(b"\0") if stream.eof else stream.unconsumed_tail
            if stream.eof:
                self._stream = None
            if data:
                buffer[: len(data)] = data
                return len(data)


class _Zstd(io.RawIOBase):
    """A file's zstd frames, one after the other, unpacked."""

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs] - there are none

        arrow: Any = pa
        self._stream = arrow.CompressedInputStream(file, "zstd")

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), _STEP_BYTES))
        buffer[: len(data)] = data
        return len(data)


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    beginning = file.peek(_LENGTH_BYTES)
    if beginning.startswith(_GZIP):
        return _buffered(_Gzip(file))
    if beginning.startswith(_ZSTD):
        return _buffered(_Zstd(cast("BinaryIO", file)))
    return file


def _framed(file: io.BufferedReader) -> Iterator[Document | Broken]:
    beginning = file.peek(_BUFFER_BYTES).removeprefix(_BOM)
    if _looks_like_json(beginning):
        yield from _lines(file)
    elif beginning.startswith(_FIELD_1):
        yield from _resources(file)
    elif beginning:
        yield from _messages(file)


def _lines(file: io.BufferedReader) -> Iterator[Document | Broken]:
    """A JSON document a line; where the first lines are no documents, all lines are one."""
    number, first = 1, file.readline(MAX_DOCUMENT_BYTES + 1).removeprefix(_BOM)
    while first and not first.strip():
        number, first = number + 1, file.readline(MAX_DOCUMENT_BYTES + 1)
    second = file.peek(1)[:1]
    if second not in (b"", b"{") and not _is_json(first):
        whole = first + file.read(MAX_DOCUMENT_BYTES + 1 - len(first))
        yield Document("", whole) if len(whole) <= MAX_DOCUMENT_BYTES else Broken("", _too_large("the document"))
        return
    line = first
    while line:
        if len(line) > MAX_DOCUMENT_BYTES:
            yield Broken(f"line {number}", _too_large("the line"))
            while line and not line.endswith(b"\n"):
                line = file.readline(_BUFFER_BYTES)
        elif line.strip():
            yield Document(f"line {number}", line)
        number, line = number + 1, file.readline(MAX_DOCUMENT_BYTES + 1)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _too_large(what: str) -> str:
    return f"{what} is larger than {MAX_DOCUMENT_BYTES >> 20} MiB: have its exporter write smaller batches"


def _resources(file: io.BufferedReader) -> Iterator[Document | Broken]:
    """A protobuf message in the parts that its resources are: each of them is a message of the same kind."""
    while tag := file.read(1):
        size, length = _varint(file)
        body = file.read(size) if size <= MAX_DOCUMENT_BYTES else b""
        if tag != _FIELD_1 or size > MAX_DOCUMENT_BYTES:
            yield Broken("", "it is no OTLP message, or a damaged one, from here on")
            return
        if len(body) < size:
            yield Broken("", "its last resource is cut off; what stands before is imported")
            return
        yield Document("", tag + length + body)


def _varint(file: io.BufferedReader) -> tuple[int, bytes]:
    """A number of protobuf and how it is written."""
    value, written = 0, b""
    while part := file.read(1):
        value |= (part[0] & 0x7F) << (7 * len(written))
        written += part
        if part[0] < 0x80 or len(written) > 9:  # noqa: PLR2004 - 10 bytes of 7 bits hold 64
            break
    return value, written


def _messages(file: io.BufferedReader) -> Iterator[Document | Broken]:
    """Messages behind their length, each perhaps packed."""
    number = 0
    while length := file.read(_LENGTH_BYTES):
        number += 1
        where, size = f"message {number}", int.from_bytes(length, "big")
        if size > MAX_DOCUMENT_BYTES or not size:
            none = "it is neither OTLP as JSON nor as protobuf, nor what the Collector's file exporter writes"
            yield Broken("", none) if number == 1 else Broken(where, "its length is damaged: the rest is not read")
            return
        body = file.read(size)
        if len(length) < _LENGTH_BYTES or len(body) < size:
            yield Broken(where, "it is cut off; what stands before is imported")
            return
        yield _message(where, body)


def _message(where: str, body: bytes) -> Document | Broken:
    if not body.startswith(_ZSTD):
        return Document(where, body)
    try:
        unpacked = _buffered(_Zstd(io.BytesIO(body))).read(MAX_DOCUMENT_BYTES + 1)
    except OSError:
        return Broken(where, "its zstd frame is damaged")
    if len(unpacked) > MAX_DOCUMENT_BYTES:
        return Broken(where, _too_large("the message"))
    return Document(where, unpacked)
