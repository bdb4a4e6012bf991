"""OTLP/JSON as protobuf messages: JSON's mapping of protobuf, but trace and span ids are hex."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, TypeVar, cast

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

_Request = TypeVar("_Request", bound=Message)
_IDS = ("traceId", "spanId", "parentSpanId")
_NO_HEX = b"this is no hex: "  # with what follows longer than any id, so never taken for one


def parse(body: bytes, request: _Request) -> _Request:
    """`request` filled from `body`; ValueError (or json_format's own) where it does not hold one."""
    loaded = json.loads(body)
    if not isinstance(loaded, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004 - the client's value is wrong
    document = cast("dict[str, Any]", loaded)
    for holder in _holders(document):
        for name in _IDS:
            if holder.get(name):
                holder[name] = base64.b64encode(_id(holder[name])).decode("ascii")
    return ParseDict(document, request, ignore_unknown_fields=True)


def _id(text: Any) -> bytes:
    """The bytes of an id; of what is no hex the text, since one wrong id does not spoil a request."""
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        return _NO_HEX + str(text).encode("utf-8", "backslashreplace")


def _holders(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object that holds ids: spans, their links, log records."""
    for resource in document.get("resourceSpans") or ():
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                yield span
                yield from span.get("links") or ()
    for resource in document.get("resourceLogs") or ():
        for scope in resource.get("scopeLogs") or ():
            yield from scope.get("logRecords") or ()
