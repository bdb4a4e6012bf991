"""P08, safe caching: whose entry was served to whom, how old, and what is part of the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from typing_extensions import override

from tachograph.hook import Hook, no_function
from tachograph.patterns.tool import WRITES
from tachograph.patterns.values import double
from tachograph.recording import Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current_tool
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph.patterns.tool import Effect
    from tachograph.telemetry.recorder import Recorder

CacheScope = Literal["global", "tenant", "user", "role"]
Operation = Literal["lookup", "store", "invalidate"]


class CacheAccess(Recording):
    """One operation on a cache; a lookup that says nothing else has missed."""

    hook = "cache"
    kind = "cache"

    def __init__(
        self,
        name: str,
        *,
        operation: Operation = "lookup",
        scope: CacheScope = "tenant",
        key: object = None,
        parts: Iterable[str] | None = (),
        effect: Effect | None = None,
    ) -> None:
        super().__init__()
        self._key, self._effect = key, effect
        self.attributes |= {
            n.CACHE_NAME: name,
            n.CACHE_OPERATION: operation,
            n.CACHE_SCOPE: scope,
            n.CACHE_KEY_PARTS: list(parts) if parts is not None else None,
        }

    @override
    def name(self) -> str:
        return f"cache {self.attributes[n.CACHE_OPERATION]} {self.attributes[n.CACHE_NAME]}"

    @override
    def opened(self, recorder: Recorder) -> None:
        tool = current_tool()
        if tool is not None:
            self.attributes[n.GEN_AI_TOOL_NAME] = tool.attributes[n.GEN_AI_TOOL_NAME]
        effect = self._effect or (tool.attributes[n.TOOL_EFFECT] if tool is not None else None)
        key_hash = recorder.hashed(self._key) if self._key is not None else None
        self.attributes |= {n.TOOL_EFFECT: effect, n.CACHE_KEY_HASH: key_hash}

    @guarded("cache", None)
    def hit(
        self, *, tenant: str | None = None, age: float | None = None, saved: float | None = None, stale: bool = False
    ) -> None:
        """Says that an entry was served: written by `tenant`, `age` seconds ago, sparing `saved` US dollars."""
        writer = self.recorder.tenant(tenant) if self.recorder is not None else None
        self.attributes |= {
            n.CACHE_RESULT: "stale" if stale else "hit",
            n.CACHE_ENTRY_TENANT_ID: writer,
            n.CACHE_ENTRY_AGE: double(age),
            n.CACHE_SAVED: double(saved),
        }

    @guarded("cache", None)
    def result(self, result: str) -> None:
        """Says what came of the lookup where nothing was served: miss, bypass, denied or error."""
        self.attributes[n.CACHE_RESULT] = result

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        attributes = self.attributes
        parts = attributes[n.CACHE_KEY_PARTS]
        if attributes[n.CACHE_SCOPE] != "global" and isinstance(parts, list) and "tenant" not in parts:
            recorder.detect("cache_key_no_tenant")
        if attributes[n.CACHE_OPERATION] != "lookup":
            return
        result = attributes.setdefault(n.CACHE_RESULT, "miss" if error is None else "error")
        labels = recorder.with_common(attributes)
        age = attributes.get(n.CACHE_ENTRY_AGE)
        ages = ((instruments.CACHE_ENTRY_AGE, age),) if isinstance(age, float) else ()
        recorder.metrics.record_all(labels, (instruments.CACHE_LOOKUPS, 1), *ages)
        if result not in {"hit", "stale"}:
            return
        writer, asker = attributes.get(n.CACHE_ENTRY_TENANT_ID), labels.get(n.TENANT_ID)
        if attributes[n.CACHE_SCOPE] != "global" and writer is not None and writer != asker:
            recorder.detect("cache_cross_tenant")
        if attributes.get(n.TOOL_EFFECT) in WRITES:
            recorder.detect("write_cached")


def cache(
    name: str,
    *,
    operation: Operation = "lookup",
    scope: CacheScope = "tenant",
    key: object = None,
    parts: Iterable[str] | None = (),
    effect: Effect | None = None,
) -> Hook[CacheAccess]:
    """An operation on a cache: say `hit` with the tenant that wrote the entry, or what else came of it.

    `parts` are the names of the key's parts; unless the scope is global, tenant must be one. None says that they
    cannot be told. `effect` is that of the operation whose result is cached; inside of a tool call it is the tool's.
    """
    no_function(name, "cache", "the cache")
    return Hook(lambda: CacheAccess(name, operation=operation, scope=scope, key=key, parts=parts, effect=effect))
