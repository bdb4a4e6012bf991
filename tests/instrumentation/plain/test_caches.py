"""Caches: whose entry was served to whom, and what is part of the key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from inline_snapshot import snapshot

import tachograph
from tachograph.registry import names as n


class AnswerCache:
    def __init__(self) -> None:
        self.entries: dict[Any, Any] = {}

    def get(self, key: Any, default: Any = None) -> Any:
        return self.entries.get(str(key), default)

    def set(self, key: Any, value: Any) -> None:
        self.entries[str(key)] = value

    def put(self, key: Any, value: Any) -> None:
        self.entries[str(key)] = value

    def delete(self, key: Any) -> None:
        self.entries.pop(str(key), None)

    def invalidate(self, key: Any) -> None:
        self.entries.pop(str(key), None)


def test_each_method_is_an_operation_of_the_cache(hook, recorded):
    assert hook(AnswerCache).hooks == {"cache"}
    cache = AnswerCache()
    with tachograph.run(tenant="acme"):
        cache.get("acme:q")
        cache.set("acme:q", "content")
        cache.put("acme:q", "content")
        cache.get("acme:q")
        cache.delete("acme:q")
        cache.invalidate("acme:q")
    assert recorded.spans("cache") == snapshot(
        [
            {
                "name": "cache lookup AnswerCache",
                "kind": "cache",
                "parent": "invoke_agent desk",
                "attributes": {
                    "tachograph.cache.name": "AnswerCache",
                    "tachograph.cache.operation": "lookup",
                    "tachograph.cache.scope": "tenant",
                    "tachograph.cache.key.parts": ["tenant"],
                    "tachograph.cache.key.hash": "e7b42e7b5b659318",
                    "tachograph.cache.result": "miss",
                },
                "status": "UNSET",
            },
            {
                "name": "cache store AnswerCache",
                "kind": "cache",
                "parent": "invoke_agent desk",
                "attributes": {
                    "tachograph.cache.name": "AnswerCache",
                    "tachograph.cache.operation": "store",
                    "tachograph.cache.scope": "tenant",
                    "tachograph.cache.key.parts": ["tenant"],
                    "tachograph.cache.key.hash": "e7b42e7b5b659318",
                },
                "status": "UNSET",
            },
            {
                "name": "cache store AnswerCache",
                "kind": "cache",
                "parent": "invoke_agent desk",
                "attributes": {
                    "tachograph.cache.name": "AnswerCache",
                    "tachograph.cache.operation": "store",
                    "tachograph.cache.scope": "tenant",
                    "tachograph.cache.key.parts": ["tenant"],
                    "tachograph.cache.key.hash": "e7b42e7b5b659318",
                },
                "status": "UNSET",
            },
            {
                "name": "cache lookup AnswerCache",
                "kind": "cache",
                "parent": "invoke_agent desk",
                "attributes": {
                    "tachograph.cache.name": "AnswerCache",
                    "tachograph.cache.operation": "lookup",
                    "tachograph.cache.scope": "tenant",
                    "tachograph.cache.key.parts": ["tenant"],
                    "tachograph.cache.key.hash": "e7b42e7b5b659318",
                    "tachograph.cache.result": "hit",
                    "tachograph.cache.entry.tenant.id": "acme",
                    "tachograph.cache.entry.age": 2.0,
                },
                "status": "UNSET",
            },
            {
                "name": "cache invalidate AnswerCache",
                "kind": "cache",
                "parent": "invoke_agent desk",
                "attributes": {
                    "tachograph.cache.name": "AnswerCache",
                    "tachograph.cache.operation": "invalidate",
                    "tachograph.cache.scope": "tenant",
                    "tachograph.cache.key.parts": ["tenant"],
                    "tachograph.cache.key.hash": "e7b42e7b5b659318",
                },
                "status": "UNSET",
            },
            {
                "name": "cache invalidate AnswerCache",
                "kind": "cache",
                "parent": "invoke_agent desk",
                "attributes": {
                    "tachograph.cache.name": "AnswerCache",
                    "tachograph.cache.operation": "invalidate",
                    "tachograph.cache.scope": "tenant",
                    "tachograph.cache.key.parts": ["tenant"],
                    "tachograph.cache.key.hash": "e7b42e7b5b659318",
                },
                "status": "UNSET",
            },
        ]
    )


def test_the_entry_of_another_tenant_is_a_finding_and_ones_own_is_not(hook, recorded):
    hook(AnswerCache)
    cache = AnswerCache()
    with tachograph.run(tenant="acme"):
        cache.set({"tenant": "any", "q": "faq"}, "content")
        assert cache.get({"tenant": "any", "q": "faq"}) == "content"
    assert recorded.detections() == {}
    with tachograph.run(tenant="bolt"):
        cache.get({"tenant": "any", "q": "faq"})
        AnswerCache().get({"tenant": "any", "q": "faq"})  # another cache of the class
        cache.get({"tenant": "any", "q": "another"})
    with tachograph.run():
        cache.get({"tenant": "any", "q": "faq"})  # for nobody: no other tenant
    assert recorded.detections() == {"cache_cross_tenant": 1}
    assert recorded.values("cache", n.CACHE_ENTRY_TENANT_ID) == [None, "acme", "acme", None, None, None]
    assert recorded.values("cache", n.CACHE_RESULT) == [None, "hit", "hit", "miss", "miss", "hit"]


class Pair(NamedTuple):
    tenant_id: str
    question: str


@dataclass(frozen=True, slots=True)
class Slotted:
    tenant: str
    question: str


@pytest.mark.parametrize(
    ("key", "parts", "hashed"),
    [
        ("acme:faq", ["tenant"], True),
        ("faq", [], True),
        (("acme", "faq"), ["tenant"], True),
        (("faq", 13), [], True),
        ({"tenant_id": "acme", "question": "faq"}, ["tenant", "question"], True),
        (Pair("acme", "faq"), ["tenant", "question"], True),
        (Slotted("acme", "faq"), ["tenant", "question"], True),
        (hashlib.sha256(b"acme:faq").hexdigest(), None, True),
        (13, None, True),
        (object(), None, False),
    ],
)
def test_the_parts_of_the_key_are_read_where_they_can_be(key, parts, hashed, hook, recorded):
    hook(AnswerCache)
    with tachograph.run(tenant="acme"):
        AnswerCache().get(key)
    assert recorded.values("cache", n.CACHE_KEY_PARTS) == [tuple(parts) if parts is not None else None]
    assert (recorded.values("cache", n.CACHE_KEY_HASH) != [None]) is hashed
    assert recorded.detections() == ({"cache_key_no_tenant": 1} if parts == [] else {})


def test_keys_that_differ_have_other_hashes(hook, recorded):
    hook(AnswerCache)
    keys = [Slotted("acme", "a"), Slotted("acme", "b"), b"a", b"b", ("a", 1), ("a", 2), {"a": 1}, {"a": 2}]
    for key in keys:
        AnswerCache().get(key)
    assert len(set(recorded.values("cache", n.CACHE_KEY_HASH))) == len(keys)


def test_without_a_tenant_there_is_nobody_to_keep_apart(hook, recorded):
    hook(AnswerCache)
    with tachograph.run():
        AnswerCache().get("faq")
    assert recorded.values("cache", n.CACHE_SCOPE) == ["global"]
    assert recorded.detections() == {}


def test_scope_tenant_and_name_may_be_the_caches_own(hook, recorded):
    class TenantCache(AnswerCache):
        def __init__(self, tenant: str) -> None:
            super().__init__()
            self.tenant, self.scope, self.name = tenant, "user", "faq"

        def get(self, key: Any, default: Any = None) -> Any:
            return super().get(key, default)

    hook(TenantCache)
    with tachograph.run(tenant="acme"):
        TenantCache("acme").get("faq")
    assert recorded.spans("cache") == snapshot(
        [
            {
                "name": "cache lookup faq",
                "kind": "cache",
                "parent": "invoke_agent desk",
                "attributes": {
                    "tachograph.cache.name": "faq",
                    "tachograph.cache.operation": "lookup",
                    "tachograph.cache.scope": "user",
                    "tachograph.cache.key.parts": ["tenant"],
                    "tachograph.cache.key.hash": "30de18cc4ea2bf46",
                    "tachograph.cache.result": "miss",
                },
                "status": "UNSET",
            }
        ]
    )


def test_a_cache_is_known_by_the_name_of_its_attribute_too(hook, recorded):
    class Store:
        def get(self, tenant: str, key: str) -> str:
            return "content"

    class Agent:
        def __init__(self) -> None:
            self.answer_cache = Store()

        def get(self, key: str) -> str:
            return "no cache"

    hook(Agent())
    Agent().get("faq")
    with tachograph.run(tenant="acme"):
        Agent().answer_cache.get("acme", "faq")
    assert [(span["name"], span["attributes"][n.CACHE_KEY_PARTS]) for span in recorded.spans("cache")] == [
        ("cache lookup Store", ["tenant", "key"]),
    ]


def test_a_mapping_may_name_the_methods(hook, recorded):
    class Store:
        def fetch(self, key: str) -> str | None:
            return None

    hook(Store, {"fetch": "cache.get"})
    Store().fetch("faq")
    assert recorded.values("cache", n.CACHE_RESULT) == ["miss"]
