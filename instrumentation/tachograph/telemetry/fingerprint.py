"""Hashes that let telemetry compare values without holding them.

Hashing runs on the agent's thread, so it has a budget. A value that exceeds it, or that holds anything whose content
cannot be read, has no hash: a hash of a part would call different values equal, which fakes a loop and hides a change.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring
from types import MemberDescriptorType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

HEX_DIGITS = 16  # 64 bits: enough to tell the keys of one deployment apart, short enough for a label of a span
NODES: Final = 2_000  # values looked at: a few milliseconds of the agent's time, more than a tool's arguments hold
BYTES: Final = 1 << 20  # characters and bytes of text: 1 MiB is encoded and hashed in a few milliseconds
DEPTH: Final = 32  # levels: deeper than any schema of arguments, far from Python's recursion limit; ends cycles

_SETS: tuple[type[Any], ...] = (set, frozenset)
_COLLECTIONS: tuple[type[Any], ...] = (list, tuple, *_SETS)
_EXACT = (date, time, timedelta, Decimal, UUID)  # beside strings and numbers: what str() says in full
_FEW = 16  # parts, and
_SHORT = 4096  # characters of each: far within the budget
_NARROW = 1 << 63
_SPARE = frozenset({bool, float})
_quoted = encode_basestring
_LONG = 4096  # bits of an integer: beyond, decimal digits take quadratic time and Python refuses 4300 of them
_PYTHON_CLASS = 1 << 9  # Py_TPFLAGS_HEAPTYPE: other classes may keep state where no attribute shows it


class _NoHashError(Exception):
    """The value is too large or cannot be read."""


def fingerprint(value: object, key: bytes | None = None) -> str | None:
    """16 hex digits of SHA-256 over a string or the canonical JSON of a value; HMAC when a key is given.

    None for a value without a hash: of more than `NODES` values, `BYTES` of text or `DEPTH` levels, or with an object
    in it that cannot be read. Such a value is not to be judged: neither equal to another one nor different from it.
    """
    text = _short(value) if issubclass(type(value), str) else canonical(value)
    if text is None:
        return None
    data = text.encode("utf-8", "surrogatepass")
    digest = hmac.digest(key, data, "sha256") if key else hashlib.sha256(data).digest()
    return digest.hex()[:HEX_DIGITS]


def canonical(value: object) -> str | None:
    """JSON with sorted keys and no spaces; dates and the like stand as text, other objects as type and fields.

    None for a value without a hash.
    """
    try:
        return _flat(value) or _dump(_Walk().plain(value, DEPTH))
    except Exception:  # noqa: BLE001 - a host's value may change or fail while it is read: then it has no hash
        return None


def _flat(value: Any) -> str | None:
    """The JSON of a few short texts and numbers, as most tools are called with; None for anything else."""
    kind = cast("type[object]", type(value))
    if kind is dict and len(value) <= _FEW:
        parts: list[str] = []
        for name in sorted(value) if all(type(name) is str for name in value) else ():
            said = _small(value[name])
            if said is None or len(name) > _SHORT:
                return None
            parts.append(f"{_quoted(name)}:{said}")
        return "{" + ",".join(parts) + "}" if len(parts) == len(value) else None
    if (kind is tuple or kind is list) and len(value) <= _FEW:
        items = [_small(each) for each in value]
        return None if None in items else "[" + ",".join(cast("list[str]", items)) + "]"
    return None


def _small(value: Any) -> str | None:
    kind = cast("type[object]", type(value))
    if kind is str:
        return _quoted(value) if len(value) <= _SHORT else None
    if kind is int:
        return int.__repr__(value) if -_NARROW < value < _NARROW else None
    return None if value is not None and kind not in _SPARE else _dump(value)


def _short(text: Any) -> str | None:
    return str.__str__(text) if str.__len__(text) <= BYTES else None


_dump = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(slots=True)
class _Walk:
    """One way through a value: what is left of its budget."""

    nodes: int = NODES
    bytes: int = BYTES

    def plain(self, value: Any, depth: int) -> Any:
        """The value in lists, dicts with strings as keys, strings and numbers."""
        kind = cast("type[Any]", type(value))
        self._spend(nodes=1)
        if value is None or kind is bool or issubclass(kind, float):
            return value
        if issubclass(kind, str):
            self._spend(bytes=str.__len__(value))
            return value
        if issubclass(kind, int):
            self._spend(bytes=int.bit_length(value) // 4)
            return value if int.bit_length(value) <= _LONG else f"int:{int.__format__(value, 'x')}"
        if depth == 0:
            raise _NoHashError
        if issubclass(kind, dict):
            return self._dict(value, depth - 1)
        if issubclass(kind, _COLLECTIONS):
            self._fits(value)
            parts = [self.plain(each, depth - 1) for each in _base(value).__iter__(value)]
            return sorted(map(_dump, parts)) if issubclass(kind, _SETS) else parts
        return self._object(value, kind, depth - 1)

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        self._fits(value)
        return {self._key(key, depth): self.plain(each, depth) for key, each in _base(value).items(value)}

    def _key(self, key: Any, depth: int) -> str:
        if type(key) is str:  # almost every key
            self._spend(nodes=1, bytes=len(key))
            return key
        plain = self.plain(key, depth)
        return plain if isinstance(plain, str) else _dump(plain)

    def _object(self, value: Any, kind: type[Any], depth: int) -> str:
        name = kind.__qualname__
        if issubclass(kind, bytes | bytearray):
            self._spend(bytes=2 * len(value))
            return f"bytes:{value.hex()}"
        if issubclass(kind, Enum):
            return f"{name}.{value._name_ or value._value_}"
        if issubclass(kind, _EXACT):
            return f"{name}:{value}"
        if issubclass(kind, type):
            return f"type:{value.__module__}.{value.__qualname__}"
        fields = self._dict(_fields(value, kind), depth)
        return f"{name}:{_dump(fields)}" if fields else name

    def _fits(self, value: Any) -> None:
        if _base(value).__len__(value) > self.nodes:
            raise _NoHashError

    def _spend(self, *, nodes: int = 0, bytes: int = 0) -> None:
        self.nodes -= nodes
        self.bytes -= bytes
        if self.nodes < 0 or self.bytes < 0:
            raise _NoHashError


def _base(value: object) -> Any:
    """The built-in collection that a value's type derives from: its methods are not the host's."""
    return next(base for base in (dict, *_COLLECTIONS) if issubclass(type(value), base))


def _fields(value: object, kind: type[Any]) -> dict[str, Any]:
    """What an object stores, in its `__dict__` and its slots; `__name__`-like slots are a library's own bookkeeping."""
    classes = kind.__mro__[:-1]
    if not all(cls.__flags__ & _PYTHON_CLASS or cls is SimpleNamespace for cls in classes):
        raise _NoHashError
    found: dict[str, Any] = {}
    for name, slot in _slots(classes):
        try:
            found[name] = slot.__get__(value, kind)
        except AttributeError:  # never set
            continue
    try:
        return found | cast("dict[str, Any]", object.__getattribute__(value, "__dict__"))
    except AttributeError:
        if not any("__slots__" in vars(cls) for cls in classes):
            raise
        return found


def _slots(classes: tuple[type[Any], ...]) -> Iterable[tuple[str, MemberDescriptorType]]:
    for cls in reversed(classes):
        for name, slot in vars(cls).items():
            if type(slot) is MemberDescriptorType and not (name.startswith("__") and name.endswith("__")):
                yield name, slot
