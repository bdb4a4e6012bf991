"""A hash says that two values are equal or different, or there is none."""

from __future__ import annotations

import threading
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from tachograph.telemetry.fingerprint import BYTES, DEPTH, NODES, fingerprint


@dataclass(slots=True)
class Slotted:
    query: str


class Base:
    __slots__ = ("first",)


class Derived(Base):
    __slots__ = ("__dict__", "second")

    def __init__(self, first: int, second: int, third: int) -> None:
        self.first, self.second, self.third = first, second, third


@dataclass
class Plain:
    query: str


class Stateless:
    pass


class Color(Enum):
    RED = 11
    BLUE = 13


class LoudDict(dict[str, int]):
    def items(self) -> Any:
        raise AssertionError("items")


class FailingError(Exception):
    pass


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - what hosts have


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


ALIKE = [  # a value, one that equals it and one that does not
    ("a", "a", "b"),
    ({"a": 11, "b": [13]}, {"b": [13], "a": 11}, {"a": 11, "b": [17]}),
    ({("a", 1): 11}, {("a", 1): 11}, {("a", 2): 11}),
    ({"a", "b", "c"}, {"c", "b", "a"}, {"a", "b"}),
    ({11, "a"}, {"a", 11}, {13, "a"}),
    (b"11", b"11", b"13"),
    (10**5000, 10**5000, 10**5000 + 1),
    (-(10**5000), -(10**5000), 10**5000),
    (Decimal("1.10"), Decimal("1.10"), Decimal("1.1")),
    (datetime(2026, 1, 11, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC), datetime(2026, 1, 13, tzinfo=UTC)),
    (Color.RED, Color.RED, Color.BLUE),
    (Pair(1, 2), Pair(1, 2), Pair(2, 1)),
    (Plain("a"), Plain("a"), Plain("b")),
    (Slotted("a"), Slotted("a"), Slotted("b")),
    (Slotted("a"), Slotted("a"), Plain("a")),
    (Derived(1, 2, 3), Derived(1, 2, 3), Derived(7, 2, 3)),
    (Derived(1, 2, 3), Derived(1, 2, 3), Derived(1, 7, 3)),
    (Derived(1, 2, 3), Derived(1, 2, 3), Derived(1, 2, 7)),
    (SimpleNamespace(a=11), SimpleNamespace(a=11), SimpleNamespace(a=13)),
    (Stateless(), Stateless(), SimpleNamespace()),
    (Plain, Plain, Slotted),
    (LoudDict(a=11), LoudDict(a=11), LoudDict(a=13)),
    ([None, True, 1.5], [None, True, 1.5], [None, False, 1.5]),
]


@pytest.mark.parametrize(("one", "same", "other"), ALIKE, ids=range(len(ALIKE)))
def test_equal_values_have_equal_hashes_and_others_do_not(one, same, other):
    hashes = [fingerprint(each) for each in (one, same, other)]
    assert None not in hashes
    assert (hashes[0] == hashes[1], hashes[0] == hashes[2]) == (True, False)


def test_a_key_changes_every_hash():
    assert fingerprint({"a": 11}, b"k-13") != fingerprint({"a": 11})
    assert fingerprint({"a": 11}, b"k-13") == fingerprint({"a": 11}, b"k-13")


def test_what_fits_the_budget_has_a_hash_and_what_exceeds_it_has_none():
    fits = [[0] * (NODES - 1), nested(DEPTH - 1), "x" * BYTES, ["x" * (BYTES - 1)]]
    exceeds = [[0] * NODES, nested(DEPTH + 1), "x" * (BYTES + 1), ["x" * (BYTES + 1)], b"x" * BYTES, 1 << (8 * BYTES)]
    assert None not in [fingerprint(value) for value in fits]
    assert [fingerprint(value) for value in exceeds] == [None] * len(exceeds)


def test_a_cycle_has_no_hash():
    cycle: dict[str, Any] = {}
    cycle["me"] = cycle
    assert fingerprint(cycle) is None


@pytest.mark.parametrize(
    "value",
    [object(), threading.Lock(), open, (each for each in "ab"), memoryview(b"11"), FailingError("11"), lambda: 11],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_read_has_no_hash_wherever_it_lies(value):
    assert fingerprint(value) is None
    assert fingerprint({"a": [value]}) is None
    assert fingerprint(Plain(value)) is None
