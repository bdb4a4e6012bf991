"""What is looked at before the ack: cheap, and enough to turn away what could never be decoded."""

from __future__ import annotations

import zlib

from tachograph_analytics.store.decode import MAX_UNPACKED_BYTES
from tachograph_analytics.store.segment import ContentType, Encoding

# A body as sent; the OpenTelemetry Collector takes as much by default.
MAX_BODY_BYTES = 20 * 2**20

# Of a packed body only the beginning is unpacked here: enough to know its first field.
_PEEK_BYTES = 256
_GZIP_LENGTH_BYTES = 4
_GZIP_MAGIC = b"\x1f\x8b"
# Deflate packs no better than 1032 to 1 (zlib, technical details).
_GZIP_BEST_RATIO = 1040
_CONTENT_TYPES = {"application/x-protobuf": ContentType.PROTOBUF, "application/json": ContentType.JSON}
_ENCODINGS = {"": Encoding.IDENTITY, "identity": Encoding.IDENTITY, "gzip": Encoding.GZIP}
# Every OTLP request has one field, number 1, of messages.
_FIRST_TAG = b"\x0a"


class RefusedError(Exception):
    """A request that is not taken: its HTTP status, a sentence, and when to try again if that may help."""

    def __init__(self, status: int, sentence: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s


def content_type(header: str) -> ContentType:
    """How the body is written; refused with 415 if not in a way that OTLP knows."""
    found = _CONTENT_TYPES.get(header.partition(";")[0].strip().lower())
    if found is None:
        raise RefusedError(415, f"Content-Type {header or 'none'} is not OTLP: send {' or '.join(_CONTENT_TYPES)}")
    return found


def encoding(header: str) -> Encoding:
    """How the body is packed; refused with 415 if not in a way that is read here."""
    found = _ENCODINGS.get(header.strip().lower())
    if found is None:
        raise RefusedError(415, f"Content-Encoding {header} is not read here: send gzip or identity")
    return found


def check_size(size: int) -> None:
    """Refuses with 413 a body that is too large as sent."""
    if size > MAX_BODY_BYTES:
        raise RefusedError(413, f"the body is larger than {MAX_BODY_BYTES} bytes: send smaller batches")


def check_body(body: bytes, packing: Encoding, written: ContentType) -> None:
    """Refuses with 400 what does not begin like an OTLP request, with 413 what says itself that it unpacks too far."""
    beginning = _unpacked_beginning(body) if packing is Encoding.GZIP else body[:_PEEK_BYTES]
    if written is ContentType.JSON:
        if not beginning.lstrip().startswith(b"{"):
            raise RefusedError(400, "the body is no JSON object")
    elif beginning and not beginning.startswith(_FIRST_TAG):
        raise RefusedError(400, "the body is no OTLP request in protobuf")
    if packing is Encoding.GZIP:
        _check_unpacked_size(body)


def _unpacked_beginning(body: bytes) -> bytes:
    if not body.startswith(_GZIP_MAGIC):
        raise RefusedError(400, "the body is no gzip, though Content-Encoding says so")
    try:
        return zlib.decompressobj(wbits=31).decompress(body, _PEEK_BYTES)
    except zlib.error as error:
        raise RefusedError(400, f"the body is broken gzip: {error}") from error


def _check_unpacked_size(body: bytes) -> None:
    """Looks at the length in the last four bytes: what it claims may be too much, or more than gzip can pack."""
    claimed = int.from_bytes(body[-_GZIP_LENGTH_BYTES:], "little")
    if claimed > len(body) * _GZIP_BEST_RATIO:
        raise RefusedError(400, "the body is truncated gzip")
    if claimed > MAX_UNPACKED_BYTES:
        raise RefusedError(413, f"the body unpacks to more than {MAX_UNPACKED_BYTES} bytes: send smaller batches")
