"""P08: entries served to strangers, keys that let it happen, writes that did not happen."""

from __future__ import annotations

from tachograph_analytics.detections.tables import Rows, findings, view, writes


def _served() -> Rows:
    lookups = view("cache_lookups")
    return lookups.filter(lookups.result.isin(("hit", "stale")))


def _scoped(lookups: Rows) -> Rows:
    return lookups.filter(lookups.scope.fill_null("tenant") != "global")


def cache_cross_tenant() -> Rows:
    """Entries that were served to another tenant than the one that wrote them, from a cache that is not global."""
    served = _scoped(_served())
    strange = served.filter(
        served.entry_tenant.notnull() & (served.tenant.isnull() | (served.tenant != served.entry_tenant))
    )
    return findings(
        strange,
        "cache_cross_tenant",
        "{cache} served an entry of tenant {entry_tenant} to {tenant:nobody known}",
    )


def cache_key_no_tenant() -> Rows:
    """Operations on a cache that is not global with a key that has no part called tenant; null parts are unknown."""
    accesses = _scoped(view("cache_lookups"))
    open_ = accesses.filter(~accesses.key_parts.contains("tenant"))
    return findings(open_, "cache_key_no_tenant", "the key of {cache} (scope {scope}, {operation}) has no tenant in it")


def write_cached() -> Rows:
    """Results of writes that were served from a cache: the write did not happen."""
    served = writes(_served())
    return findings(
        served,
        "write_cached",
        "{cache} served the result of {tool_name:a tool} ({effect}), which did not run",
    )
