"""Reads facts off the host's values without running the host's code: keys of dicts and plain attributes, nothing else.

A property, a `__getattr__` or an overridden `get` may do anything, so none is asked; what cannot be read is None. What
a value is, is asked of its type: `isinstance` also consults `__class__`, which a lazy object or a proxy computes.
"""

from __future__ import annotations

import dataclasses
import math
import re
from decimal import Decimal
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sized

    from _typeshed import DataclassInstance
    from typing_extensions import TypeIs

T = TypeVar("T")
Name = TypeVar("Name", bound="str | None")

_BARE = frozenset({type(None), bool, int, float, str, bytes})  # have no fields: most of what is read off
NAME_LENGTH = 200  # characters: what is longer is content, not a name
_UNNAMED = "unnamed"  # stands for a name that reads like free text
_IDENTIFIER = re.compile(r"[\w.:/-]{1,64}")


def is_a(value: object, *kinds: type[T]) -> TypeIs[T]:
    """Whether a value's own type is one of these or derives from one, whatever the value says of itself."""
    return issubclass(type(value), kinds)


def is_data(value: object) -> TypeIs[DataclassInstance]:
    """Whether a value is an instance of a dataclass."""
    return dataclasses.is_dataclass(type(value))


def read(value: object, *names: str) -> Any:
    """The first of `names` that a dict has as a key, or any other object as a plain attribute; None without one."""
    if type(value) in _BARE:
        return None
    keyed = entries(value)
    for name in names:
        found = attribute(value, name) if keyed is None else keyed.get(name)
        if found is not None:
            return found
    return None


def entries(value: object) -> Mapping[str, Any] | None:
    """The value as a mapping where it is a dict whose reading runs no code of the host; None otherwise."""
    if type(value) is dict or is_a(value, MappingProxyType):
        return cast("Mapping[str, Any]", value)
    return MappingProxyType(cast("dict[str, Any]", value)) if _reads_like_dict(value) else None


def _reads_like_dict(value: object) -> bool:
    kind: type[Any] = type(value)
    return issubclass(kind, dict) and kind.__getitem__ is dict.__getitem__ and kind.get is dict.get  # pyright: ignore[reportUnknownMemberType] - compared, never called


def items(value: object) -> tuple[Any, ...] | None:
    """What a list or tuple holds, or a dict's keys or a set's members; None for anything else, iterators included."""
    if is_a(value, list, tuple, set, frozenset, dict):
        return tuple(cast("Iterable[Any]", value))
    return None


def parts(value: object) -> tuple[Any, ...]:
    """What a plain tuple holds, such as `(ok, reason)`; nothing for anything else, named tuples included."""
    return cast("tuple[Any, ...]", value) if type(value) is tuple else ()


def attribute(value: object, name: str) -> Any:
    """An attribute that is stored in the object, a slot, a named tuple's field or its class; None without one."""
    fields = stored(value)
    if fields is not None and name in fields:
        return fields[name]
    for cls in type(value).__mro__:
        held = cls.__dict__
        if name in held:
            return _class_attribute(value, held[name])
    return None


def stored(value: object) -> dict[str, Any] | None:
    """What an object stores under names, its slots apart; None for one that stores nothing so."""
    try:
        return object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None


def _class_attribute(value: object, found: Any) -> object:
    kind = cast("type[object]", type(found))
    if kind is MemberDescriptorType or kind.__name__ == "_tuplegetter":
        try:
            return found.__get__(value, type(value))
        except AttributeError:  # a slot that was never set
            return None
    return None if hasattr(kind, "__get__") else found


def text(value: object) -> str | None:
    """A short string, a whole number or an enum's value as a string; None for anything else."""
    if is_a(value, Enum):
        value = value._value_
    if is_a(value, str):
        return str.__str__(value) if 0 < str.__len__(value) <= NAME_LENGTH else None
    return int.__repr__(value) if is_a(value, int) and not is_a(value, bool) else None


def name(value: object, *fields: str) -> str | None:
    """A thing's name: the string itself, a function's or class's name, or what the thing has under `fields`."""
    if is_a(value, FunctionType, BuiltinFunctionType, type):
        return value.__name__
    found = text(value)
    return found if found is not None or value is None else text(read(value, *fields))


def label(found: Name) -> Name | str:
    """A name that can be a metric's label: itself if it reads like an identifier, "unnamed" if it is free text."""
    return found if found is None or _IDENTIFIER.fullmatch(found) else _UNNAMED


def number(value: object) -> float | None:
    """A finite number; None for anything else, booleans included."""
    if is_a(value, bool) or not is_a(value, int, float, Decimal):
        return None
    return float(value) if math.isfinite(value) else None


def whole(value: object) -> int | None:
    """A whole number that is not negative; None for anything else."""
    return value if is_a(value, int) and not is_a(value, bool) and value >= 0 else None


def flag(value: object) -> bool | None:
    """True or False; None for anything else."""
    return value if type(value) is bool else None


def one_of(value: object, allowed: tuple[str, ...]) -> Any:
    """The string where it is one of those allowed, else None."""
    found = text(value)
    return found if found in allowed else None


def size(value: object) -> int | None:
    """How many things a list, tuple, set or dict holds; None for anything else, iterators included."""
    return len(cast("Sized", value)) if is_a(value, list, tuple, set, frozenset, dict) else None


def names(value: object) -> list[str] | None:
    """The names of the things in a list, tuple, set or dict, as labels; None where one has none."""
    found = [label(name(item, "name", "id")) for item in items(value) or ()]
    return None if items(value) is None or None in found else cast("list[str]", found)
