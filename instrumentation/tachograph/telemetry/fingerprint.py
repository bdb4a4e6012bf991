"""Hashes that let telemetry compare values without holding them."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

_EXACT = (date, time, timedelta, Decimal, UUID)  # beside strings and numbers: what str() says in full
HEX_DIGITS = 16  # 64 bits: enough to tell the keys of one deployment apart, short enough for a label of a span


def fingerprint(value: object, key: bytes | None = None) -> str:
    """16 hex digits of SHA-256 over a string or the canonical JSON of a value; HMAC when a key is given."""
    data = (value if isinstance(value, str) else canonical(value)).encode("utf-8", "surrogatepass")
    digest = hmac.new(key, data, hashlib.sha256) if key else hashlib.sha256(data)
    return digest.hexdigest()[:HEX_DIGITS]


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces; dates and the like stand as text, other objects as their fields or type."""
    return json.dumps(_sortable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_type_name)


def _sortable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _sortable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a host's dict
    if isinstance(value, list | tuple):
        return [_sortable(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - a host's list
    if isinstance(value, set | frozenset):
        return sorted(canonical(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a host's set
    return value


def _type_name(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return f"bytes:{value.hex()}"
    if isinstance(value, Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, _EXACT):
        return f"{type(value).__qualname__}:{value}"
    fields = getattr(value, "__dict__", None)
    return f"{type(value).__qualname__}:{canonical(fields)}" if fields else type(value).__qualname__
