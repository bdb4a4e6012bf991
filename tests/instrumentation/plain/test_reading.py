"""Reading a value runs none of the host's code, and asks nobody but its type what it is."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from tachograph.plain import reading


class Lazy:
    """Says that it is something else, as proxies do, and fails when it is asked."""

    @property
    def __class__(self) -> type:
        raise RuntimeError("outside of a request")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("equal")

    __hash__ = None


class Gone:
    pass


class LoudText(str):
    __slots__ = ()

    def __len__(self) -> int:
        raise AssertionError("length")

    def __str__(self) -> str:
        raise AssertionError("str")


READERS = {
    "read": lambda value: reading.read(value, "ok", "error"),
    "entries": reading.entries,
    "items": reading.items,
    "parts": lambda value: reading.parts(value) or None,
    "text": reading.text,
    "name": lambda value: reading.name(value, "name"),
    "number": reading.number,
    "whole": reading.whole,
    "flag": reading.flag,
    "one_of": lambda value: reading.one_of(value, ("a",)),
    "size": reading.size,
    "names": reading.names,
}


@pytest.mark.parametrize("make", [Lazy, lambda: weakref.proxy(Gone())], ids=["lazy", "dead"])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_lazy_objects_and_dead_proxies_are_read_as_nothing(reader, make):
    assert reader(make()) is None


def test_a_strings_own_methods_are_not_asked():
    assert reading.text(LoudText("loud")) == "loud"
    assert type(reading.text(LoudText("loud"))) is str


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (None, None),
        ("collect.v2:eu/west-1", "collect.v2:eu/west-1"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "unnamed"),
        ("two words", "unnamed"),
        ("ann@example.com", "unnamed"),
        ("<lambda>", "unnamed"),
        ("line\n", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_a_label_reads_like_an_identifier(found, label):
    assert reading.label(found) == label
