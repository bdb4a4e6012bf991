"""Attributes of OTLP: values of typed columns where the registry promotes them, text in a map where it does not."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tachograph.registry import Attribute, load

if TYPE_CHECKING:
    from tachograph.registry.model import AttributeKind
    from tachograph_analytics.store.schema import Row

Read = Callable[[AnyValue], Any]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    read: Read


@dataclass(frozen=True, slots=True)
class Promotion:
    """Which attributes fill columns: the registry's own names, and what other dialects call them."""

    canonical: dict[str, _Column]
    aliases: dict[str, _Column]


@cache
def promotion() -> Promotion:
    """The promotion that the registry asks for."""
    registry = load()
    canonical = {a.name: _Column(a.column, _READERS[a.type]) for a in registry.promoted}
    aliases = {
        alias: _Column(canonical[name].name, _closed(registry.attributes[name]))
        for alias, name in registry.aliases.items()
        if name in canonical
    }
    return Promotion(canonical, aliases)


def split(attributes: Iterable[KeyValue], inherited: Row) -> tuple[Row, dict[str, str]]:
    """The promoted columns, over those `inherited` from the resource, and everything else as text.

    A value of another type than its column's, and whatever another dialect said, stays in the texts too.
    """
    known = promotion()
    columns = dict(inherited)
    foreign: Row = {}
    texts: dict[str, str] = {}
    for attribute in attributes:
        key, value = attribute.key, attribute.value
        column = known.canonical.get(key)
        if column is not None and (typed := column.read(value)) is not None:
            columns[column.name] = typed
            continue
        texts[key] = text(value)
        column = known.aliases.get(key)
        if column is not None and column.name not in foreign and (typed := column.read(value)) is not None:
            foreign[column.name] = typed
    return (foreign | columns if foreign else columns), texts


def text(value: AnyValue) -> str:
    """The value as text: a string as it is, anything else as JSON."""
    if value.WhichOneof("value") == "string_value":
        return value.string_value
    return json.dumps(plain(value), ensure_ascii=False)


def plain(value: AnyValue) -> Any:
    """The value as JSON's own types; bytes as base64, and NaN and infinities, which JSON does not have, as text."""
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return mapping(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case "double_value":
            return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
        case _:
            return getattr(value, kind)


def mapping(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """The attributes as an object of JSON's own types."""
    return {attribute.key: plain(attribute.value) for attribute in attributes}


def _string(value: AnyValue) -> str | None:
    return value.string_value if value.WhichOneof("value") == "string_value" else None


def _int(value: AnyValue) -> int | None:
    return value.int_value if value.WhichOneof("value") == "int_value" else None


def _double(value: AnyValue) -> float | None:
    kind = value.WhichOneof("value")
    if kind == "int_value":
        return float(value.int_value)
    return value.double_value if kind == "double_value" else None


def _boolean(value: AnyValue) -> bool | None:
    return value.bool_value if value.WhichOneof("value") == "bool_value" else None


def _list_of(read: Read) -> Read:
    def read_list(value: AnyValue) -> list[Any] | None:
        if value.WhichOneof("value") != "array_value":
            return None
        items = [read(item) for item in value.array_value.values]
        return None if None in items else items

    return read_list


def _closed(attribute: Attribute) -> Read:
    """Reads another dialect's value, if the attribute allows it at all."""
    read = _READERS[attribute.type]
    if not attribute.values:
        return read
    allowed = frozenset(attribute.values)
    return lambda value: typed if str(typed := read(value)) in allowed else None


_READERS: dict[AttributeKind, Read] = {
    "string": _string,
    "int": _int,
    "double": _double,
    "boolean": _boolean,
    "string[]": _list_of(_string),
    "double[]": _list_of(_double),
}
