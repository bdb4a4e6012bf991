"""Circuit breakers of a plain agent: in which state a call meets the one in front of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, get_args

from tachograph.patterns.tool import Circuit
from tachograph.plain.reading import attribute, flag, one_of, read, stored, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tachograph.plain.call import Call

_BREAKERS: Final = ("breaker", "circuit_breaker", "circuit", "BREAKER", "CIRCUIT_BREAKER")
_TABLES: Final = ("breakers", "circuit_breakers", "circuits", "BREAKERS", "CIRCUIT_BREAKERS")
_NAMES: Final = frozenset({*_BREAKERS, *_TABLES, *(f"_{name}" for name in (*_BREAKERS, *_TABLES))})
_STATE: Final = ("state", "_state", "circuit_state")  # pybreaker, aiobreaker and circuitbreaker keep it in the second
_OPENED: Final = re.compile(r"Circuit\w*(Open|Error)|Breaker\w*(Open|Error)|OpenCircuit")
_STATES: Final = get_args(Circuit)


def circuit_of(call: Call, subject: str | None) -> Circuit | None:
    """The state of the breaker that the object or its module has for `subject`, or for all its calls."""
    if not _has_one(call):
        return None
    for name in _TABLES:
        state = _state(read(_held(call, name), subject)) if subject is not None else None
        if state is not None:
            return state
    states: Iterator[Circuit | None] = (_state(_held(call, name)) for name in _BREAKERS)
    return next((state for state in states if state is not None), None)


def _has_one(call: Call) -> bool:
    """Whether there is anything by such a name: most agents have no breaker, and are asked at each call."""
    kind = type(call.instance)
    return not (
        _NAMES.isdisjoint(call.place.globals)
        and _NAMES.isdisjoint(stored(call.instance) or ())
        and all(_NAMES.isdisjoint(cls.__dict__) for cls in kind.__mro__)
    )


def opened(error: BaseException | None) -> bool:
    """Whether an exception says by its type that an open circuit held the call back."""
    return error is not None and _OPENED.search(type(error).__name__) is not None


def _held(call: Call, name: str) -> Any:
    for place in (name, f"_{name}"):
        found = attribute(call.instance, place)
        if found is not None:
            return found
    return call.place.globals.get(name)


def _state(breaker: Any) -> Circuit | None:
    """What a breaker says in the registry's words, in any case; or whether it is open, where it says no more."""
    said = read(breaker, *_STATE)
    said = text(said) or text(read(said, "name", "_name"))
    known: Circuit | None = one_of(said.lower().replace("-", "_"), _STATES) if said is not None else None
    if known is not None:
        return known
    is_open = flag(read(breaker, "is_open", "open"))
    return None if is_open is None else "open" if is_open else "closed"
