"""What a target holds that could be hooked: its functions, methods, caches and semaphores."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import FunctionType, GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any, cast

from tachograph.errors import UsageError
from tachograph.plain.ownership import is_users
from tachograph.plain.reading import attribute, is_a
from tachograph.plain.slots import is_semaphore, is_slots

if TYPE_CHECKING:
    from collections.abc import Iterator

_BINDERS: tuple[type[Any], ...] = (staticmethod, classmethod)
_DESCRIPTORS: tuple[type[Any], ...] = (property, functools.cached_property, functools.partialmethod, *_BINDERS)
_NO_TARGETS: tuple[type[Any], ...] = (str, bytes, int, float, complex, bool, dict, type(None), FunctionType)


@dataclass(frozen=True, slots=True)
class Site:
    """One attribute of a module, class or instance: `value` is what lies in `owner` under `name`.

    `in_cache` says that the owner is a cache, `shared` that it was named by an instance and holds for all of its class.
    """

    owner: Any
    name: str
    value: Any
    in_cache: bool = False
    shared: bool = False

    @property
    def where(self) -> str:
        """The owner's full name."""
        return owner_name(self.owner) + (" (all instances)" if self.shared else "")

    @property
    def path(self) -> str:
        """The name within its module: `Agent.vet`, `vet`."""
        return self.name if is_a(self.owner, ModuleType) else f"{self.owner.__qualname__}.{self.name}"

    @property
    def function(self) -> FunctionType | None:
        """The function that lies there, also inside a staticmethod or classmethod; None where none does."""
        value: Any = self.value
        inner: Any = value.__func__ if issubclass(type(value), _BINDERS) else value
        return inner if is_a(inner, FunctionType) else None

    def obstacle(self) -> str | None:
        """Why the attribute cannot be hooked, as a sentence's end; None where it can."""
        function = self.function
        if is_a(self.value, property, functools.cached_property):
            return "a property: reading it is not a call"
        if function is None:
            return f"a {_type_name(self.value)}: only functions and methods written in Python can be hooked"
        home = function.__module__
        if is_a(self.owner, ModuleType) and home != self.owner.__name__:
            return f"imported from {home}: name that module as a target to hook it"
        if is_a(self.owner, type) and not is_users(home, self.owner.__module__):
            return f"imported from {home}, a library, which is left alone"
        return None


@dataclass(slots=True)
class Sites:
    """All sites of a target: functions to be told by their names, semaphores, and caches that cannot be hooked."""

    functions: list[Site]
    semaphores: list[Site]
    closed_caches: list[tuple[Site, str]]


def owner_name(owner: object) -> str:
    """A module's name, or a class's name with its module's."""
    if is_a(owner, ModuleType):
        return owner.__name__
    cls = owner if is_a(owner, type) else type(owner)
    return f"{cls.__module__}.{cls.__qualname__}"


def sites(target: object) -> Sites:
    """What the target and, if it is a list, each of its parts hold; UsageError for what can be no target."""
    found = Sites([], [], [])
    seen: set[type] = set()
    for part in _parts(target):
        if is_a(part, ModuleType):
            _module(part, found, seen)
        elif is_a(part, type):
            _class(part, found, seen)
        else:
            _instance(part, found, seen)
    return found


def _parts(target: object) -> Iterator[object]:
    if is_a(target, list, tuple, set, frozenset, GeneratorType):
        for part in cast("Iterator[object]", target):
            yield from _parts(part)
    elif is_a(target, *_NO_TARGETS):
        raise UsageError(
            f"instrument() was given a {_type_name(target)}, which holds no agent; "
            "give it a module, a class, an instance or a list of them."
        )
    else:
        yield target


def bound(module: ModuleType, name: str) -> Sites:
    """What one name of a module stands for."""
    found = Sites([], [], [])
    if name in vars(module):
        _member(module, name, vars(module)[name], found, set())
    return found


def _module(module: ModuleType, found: Sites, seen: set[type]) -> None:
    for name, value in list(vars(module).items()):
        _member(module, name, value, found, seen)


def _member(module: ModuleType, name: str, value: object, found: Sites, seen: set[type]) -> None:
    if not is_a(value, type):
        _attribute(Site(module, name, value), found, seen)
    elif value.__module__ == module.__name__:
        _class(value, found, seen)


def _class(target: type, found: Sites, seen: set[type], *, shared: bool = False, cache: bool = False) -> None:
    cache = cache or target.__name__.endswith("Cache")
    for cls in target.__mro__:
        if cls in seen or not is_users(cls.__module__, target.__module__):
            continue
        seen.add(cls)
        for name, value in list(vars(cls).items()):
            _attribute(Site(cls, name, value, in_cache=cache, shared=shared), found, seen)


def _instance(instance: object, found: Sites, seen: set[type]) -> None:
    _class(type(instance), found, seen, shared=True)
    names = [*stored(instance), *_slot_names(type(instance))]
    for name in names:
        value = attribute(instance, name)
        if is_semaphore(value) or _is_cache_name(name):
            _attribute(Site(instance, name, value), found, seen)


def stored(instance: object) -> dict[str, Any]:
    """The instance's own `__dict__`, empty where it has none."""
    try:
        return object.__getattribute__(instance, "__dict__")
    except AttributeError:
        return {}


def _slot_names(cls: type) -> Iterator[str]:
    for each in cls.__mro__:
        slots: Any = vars(each).get("__slots__", ())
        yield from (slots,) if is_a(slots, str) else slots


def _attribute(site: Site, found: Sites, seen: set[type]) -> None:
    if site.name.startswith("__"):
        return
    if is_semaphore(site.value):
        if not is_slots(site.value):
            found.semaphores.append(site)
    elif (
        _is_cache_name(site.name)
        and not callable(site.value)
        and site.value is not None
        and not _is_descriptor(site.value)
    ):
        _cache(site, found, seen)
    elif callable(site.value) or _is_descriptor(site.value):
        found.functions.append(site)


def _cache(site: Site, found: Sites, seen: set[type]) -> None:
    cls = cast("type[object]", type(site.value))
    if is_users(cls.__module__, owner_name(site.owner)):
        _class(cls, found, seen, cache=True)
    else:
        found.closed_caches.append(
            (site, f"a {_type_name(site.value)}: give it a class of your own with get and set to have it observed")
        )


def _is_cache_name(name: str) -> bool:
    return name == "cache" or name.endswith("_cache")


def _is_descriptor(value: object) -> bool:
    return is_a(value, *_DESCRIPTORS)


def _type_name(value: Any) -> str:
    cls = cast("type[object]", type(value))
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
