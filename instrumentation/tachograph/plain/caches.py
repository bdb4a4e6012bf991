"""Caches of a plain agent: objects whose class or attribute is named a cache."""

from __future__ import annotations

import dataclasses
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from typing_extensions import override

from tachograph.patterns.cache import CacheAccess, CacheScope
from tachograph.plain.reading import attribute, entries, is_a, is_data, items, one_of, read, text
from tachograph.plain.runs import progress
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.lock import BriefLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.patterns.cache import Operation
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

OPERATIONS: Final[dict[str, Operation]] = {
    "get": "lookup",
    "set": "store",
    "put": "store",
    "delete": "invalidate",
    "invalidate": "invalidate",
}
TENANT = ("tenant", "tenant_id")

_VALUES = frozenset({"value", "val", "data", "result", "answer", "response"})
_NO_KEY = _VALUES | {"default", "ttl", "expire", "expires", "timeout"}
_SCOPES = get_args(CacheScope)
_UNTOLD: Final = object()  # stands for a part of a key that has no value to compare
_ENTRIES = 10_000  # bound of memory: entries whose writer is remembered
_OPAQUE = re.compile(r"[0-9a-f]{32,}")  # a digest: what went into it cannot be told


@dataclass(frozen=True, slots=True)
class _Written:
    tenant: str | None
    at: int


class _Writers:
    """Who wrote each entry and when, the newest 10,000 entries."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, object], _Written] = OrderedDict()
        self._lock = BriefLock()

    def note(self, entry: tuple[int, object], written: _Written) -> None:
        """Remembers the latest writer of an entry."""
        with self._lock.held():
            self._known[entry] = written
            self._known.move_to_end(entry)
            if len(self._known) > _ENTRIES:
                self._known.popitem(last=False)

    def of(self, entry: tuple[int, object]) -> _Written | None:
        """The writer of an entry, where it is remembered."""
        return self._known.get(entry)


_writers = _Writers()


class ObservedAccess(CacheAccess):
    """An operation on a cache that a call of its method is."""

    def __init__(self, call: Call, operation: Operation) -> None:
        self._cache = id(call.instance)
        self._tenant = _tenant()
        scope = one_of(read(call.instance, "scope"), _SCOPES) or ("global" if self._tenant is None else "tenant")
        super().__init__(
            text(read(call.instance, "name")) or type(call.instance).__name__,
            operation=operation,
            scope=cast("CacheScope", scope),
            key=_key(_keys(call, operation)),
            parts=_parts(call, _keys(call, operation), self._tenant),
        )

    @property
    def _told(self) -> bool:
        return self.attributes.get(n.CACHE_KEY_HASH) is not None

    @property
    def entry(self) -> tuple[int, object]:
        """The entry that it is about."""
        return self._cache, self.attributes.get(n.CACHE_KEY_HASH)

    def found(self, recorder: Recorder) -> None:
        """Says that an entry was served, and whose it is where its writing was seen."""
        written = _writers.of(self.entry) if self._told else None
        if written is None:
            self.hit()
            return
        # an asker without a tenant is no other tenant
        writer = written.tenant if self._tenant is not None else None
        self.hit(tenant=writer, age=(recorder.clock() - written.at) / 1e9)

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        super().closed(recorder, error, seconds)
        if error is None and self._told and self.attributes[n.CACHE_OPERATION] == "store":
            _writers.note(self.entry, _Written(self._tenant, recorder.clock()))


def access(operation: Operation) -> Callable[[Call], CacheAccess]:
    """Makes the accesses of one operation."""
    return lambda call: ObservedAccess(call, operation)


def served(step: ObservedAccess, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads whether a lookup served anything: whatever is not None."""
    if step.attributes[n.CACHE_OPERATION] == "lookup" and value is not None and step.recorder is not None:
        step.found(step.recorder)


def _tenant() -> str | None:
    known, run = progress(), current()
    if known is not None:
        return known.tenant
    return text(run.common.get(n.TENANT_ID)) if run is not None else None


def _keys(call: Call, operation: Operation) -> dict[str, Any]:
    """The arguments that make the key; what is stored is named like a value, or comes last."""
    keys = {name: value for name, value in call.arguments.items() if name not in _NO_KEY}
    if operation == "store" and len(keys) > 1 and not any(name in _VALUES for name in call.arguments):
        keys.popitem()
    return keys


def _key(named: dict[str, Any]) -> object:
    keys = [_plain(key) for key in named.values()]
    if _UNTOLD in keys:
        return None
    return keys[0] if len(keys) == 1 else keys


def _plain(key: Any) -> Any:
    """The key in strings, numbers, lists and dicts, so that equal hashes mean equal keys; _UNTOLD for other objects."""
    if is_a(key, bytes):
        return key.hex()
    if key is None or is_a(key, str, int, float):
        return key
    if is_data(key):
        return _plain({each.name: attribute(key, each.name) for each in dataclasses.fields(key)})
    keyed = entries(key)
    pieces = [_plain(piece) for piece in (keyed.values() if keyed is not None else items(key) or ())]
    if _UNTOLD in pieces or is_a(key, set, frozenset) or (keyed is None and items(key) is None):
        return _UNTOLD
    return pieces if keyed is None else dict(zip(keyed, pieces, strict=True))


def _parts(call: Call, keys: dict[str, Any], tenant: str | None) -> list[str] | None:
    parts = [_part(name) for name in keys] if len(keys) != 1 else _key_parts(next(iter(keys.values())), tenant)
    if parts is not None and "tenant" not in parts and read(call.instance, *TENANT) is not None:
        parts = ["tenant", *parts]  # a cache of one tenant's own
    return parts


def _key_parts(key: Any, tenant: str | None) -> list[str] | None:
    keyed = entries(key)
    fields = [str(name) for name in keyed] if keyed is not None else list(items(attribute(key, "_fields")) or ())
    if is_data(key):
        fields = [each.name for each in dataclasses.fields(key)]
    if fields:
        return [_part(name) for name in fields]
    pieces = (key,) if is_a(key, str) else items(key) or ()
    written = [piece for piece in pieces if is_a(piece, str)]
    if tenant is not None and any(tenant in piece for piece in written):
        return ["tenant"]
    opaque = not written or any(_OPAQUE.search(piece) for piece in written)
    return None if opaque else []


def _part(name: str) -> str:
    return "tenant" if name in TENANT else name
