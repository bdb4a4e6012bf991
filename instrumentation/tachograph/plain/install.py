"""Installs the naming convention on a target: what is hooked, what is not and why, and the way back."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from tachograph.errors import UsageError
from tachograph.plain.call import Convention, Observed, Place
from tachograph.plain.convention import CACHE_METHODS, NAMES, VALIDATORS, find, lingering, meant, nearest
from tachograph.plain.degradations import mode_of
from tachograph.plain.ownership import is_users, namespace
from tachograph.plain.reading import attribute, is_a
from tachograph.plain.sites import Site, sites
from tachograph.plain.slots import slots
from tachograph.plain.tools import KEY
from tachograph.telemetry.guard import failed
from tachograph.wrapping import MARKER, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger("tachograph")

By = Literal["convention", "mapping"]


@dataclass(frozen=True, slots=True)
class Hooked:
    """A function, method or semaphore that is on record, as which hook of the registry, and what said so."""

    where: str
    name: str
    hook: str
    by: By


@dataclass(frozen=True, slots=True)
class Skipped:
    """A name of the convention that is not on record, and why."""

    where: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What install() did. `hooks` are the registry's names that it covers; `undo` restores every original object.

    `unrecognised` are public functions of the target that the convention says nothing of.
    """

    hooked: tuple[Hooked, ...]
    skipped: tuple[Skipped, ...]
    undo: Callable[[], None]
    hooks: frozenset[str]
    unrecognised: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    site: Site
    convention: Convention
    by: By


@dataclass(frozen=True, slots=True)
class _Change:
    owner: Any
    name: str
    original: Any
    installed: Any


@dataclass(slots=True)
class _Work:
    """An installation under way."""

    hooked: list[Hooked] = field(default_factory=list[Hooked])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    hooks: set[str] = field(default_factory=set[str])
    changes: list[_Change] = field(default_factory=list[_Change])
    replaced: dict[int, tuple[Any, Any]] = field(default_factory=dict[int, tuple[Any, Any]])
    unrecognised: list[str] = field(default_factory=list[str])

    def skip(self, site: Site, reason: str) -> None:
        self.skipped.append(Skipped(site.where, site.name, reason))

    def put(self, site: Site, installed: Any) -> bool:
        try:
            setattr(site.owner, site.name, installed)
        except Exception as error:  # noqa: BLE001 - a frozen or slotted host says no in its own way
            self.skip(site, f"cannot be replaced: {type(error).__name__}")
            return False
        self.changes.append(_Change(site.owner, site.name, site.value, installed))
        return True


def install(target: object, mapping: Mapping[str, str] | None = None) -> Installation:
    """Hooks what the target defines under a name of the convention, or under the own names that `mapping` explains.

    `target` is a module, a class, an instance (whose class is hooked, so all instances are) or a list of these. Raises
    UsageError for what is no target, and for a mapping whose names do not exist; nothing is changed then. Whatever else
    cannot be hooked is skipped and said.
    """
    work, explained = _Work(), _own_names(mapping)
    try:
        _install(target, explained, work)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the host goes on unobserved, with nothing changed
        _undo(work.changes)
        lost = Skipped(type(target).__name__, "*", f"nothing is hooked: {type(error).__name__}")
        return Installation((), (lost,), lambda: None, frozenset())
    except BaseException:
        _undo(work.changes)
        raise
    changes = tuple(work.changes)
    return Installation(
        tuple(work.hooked),
        tuple(work.skipped),
        lambda: _undo(changes),
        frozenset(work.hooks),
        tuple(dict.fromkeys(work.unrecognised)),
    )


def _own_names(mapping: Mapping[str, str] | None) -> dict[str, str]:
    try:
        explained = dict(mapping or {})
    except (TypeError, ValueError):
        explained = {None: None}
    if not all(is_a(each, str) for pair in explained.items() for each in pair):
        raise UsageError(
            "The mapping has to say {own name: convention name}, both as strings; got something else. "
            "Give for instance mapping={'do_tool': 'call_tool'}."
        )
    return cast("dict[str, str]", explained)


def _install(target: object, mapping: dict[str, str], work: _Work) -> None:
    found = sites(target)
    choices = _choose(found.functions, mapping, work)
    validated = any(choice.convention is NAMES[name] for choice in choices for name in VALIDATORS)
    for choice in choices:
        try:
            _hook(choice, work, validated=validated)
        except Exception as error:  # noqa: BLE001 - the other functions can be hooked all the same
            work.skip(choice.site, f"cannot be hooked: {type(error).__name__}")
    for site in found.semaphores:
        _replace_semaphore(site, work)
    for site, reason in found.closed_caches:
        work.skip(site, reason)
    _rebind(work)


# -- which names stand for what
def _choose(functions: list[Site], mapping: dict[str, str], work: _Work) -> list[_Choice]:
    explained = {own: _explained(own, name, functions) for own, name in mapping.items()}
    choices: list[_Choice] = []
    for site in functions:
        mapped = explained.get(site.path) or explained.get(site.name)
        convention = mapped or find(site.name, in_cache=site.in_cache)
        if convention is None:
            if site.function is not None and not site.name.startswith("_") and not site.in_cache:
                work.unrecognised.append(site.path)
            continue
        obstacle = site.obstacle()
        obstacle = obstacle or _objection(site, convention)
        if obstacle is not None:
            work.skip(site, obstacle)
        else:
            choices.append(_Choice(site, convention, "mapping" if mapped else "convention"))
    return choices


def _objection(site: Site, convention: Convention) -> str | None:
    function = site.function
    if function is None:
        return None
    if MARKER in vars(function):
        return "already hooked"
    if convention.hook == "degraded" and mode_of(site.name) is None and "mode" not in _parameters(function):
        return (
            "neither its name nor an argument `mode` says which degraded mode: "
            "name it fallback_model, degraded_read_only …"
        )
    return None


def _explained(own: str, name: str, functions: list[Site]) -> Convention:
    convention = meant(name)
    if convention is None:
        known = [*NAMES, *(f"cache.{method}" for method in CACHE_METHODS)]
        raise UsageError(
            f"The mapping says that {own!r} is {name!r}, which is no name of the convention; "
            f"nearest are {nearest(name, known)}."
        )
    if not any(own in {site.name, site.path} for site in functions):
        known = {site.name for site in functions} | {site.path for site in functions}
        raise UsageError(
            f"The mapping explains {own!r}, which the target does not define; "
            f"nearest are {nearest(own, sorted(known))}."
        )
    return convention


# -- putting hooks in
def _hook(choice: _Choice, work: _Work, *, validated: bool) -> None:
    site, function = choice.site, choice.site.function
    if function is None:
        return
    convention = lingering(choice.convention) if validated else choice.convention
    place = _place(site, function)
    known = work.replaced.get(id(function))
    wrapper = known[1] if known is not None else wrap(function, lambda: Observed(place, convention))
    kind = next((kind for kind in (staticmethod, classmethod) if is_a(site.value, kind)), None)
    if not work.put(site, wrapper if kind is None else kind(wrapper)):
        return
    work.replaced[id(function)] = (function, wrapper)
    work.hooked.append(Hooked(site.where, site.name, convention.hook, choice.by))
    work.hooks |= {convention.hook, *convention.covers}
    if convention.hook == "tool" and any(key in place.parameters for key in KEY):
        work.hooks.add("tool.idempotency")


def _place(site: Site, function: FunctionType) -> Place:
    owner = site.owner if is_a(site.owner, type) else None
    names = _parameters(function)
    receives = owner is not None and not is_a(site.value, staticmethod)
    return Place(
        where=site.where,
        name=site.name,
        owner=owner,
        parameters=names[1:] if receives else names,
        globals=function.__globals__,
        receives=receives,
        bool_result=function.__annotations__.get("return") in {bool, "bool"},
    )


def _parameters(function: FunctionType) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _replace_semaphore(site: Site, work: _Work) -> None:
    replacement = slots(site.value, f"{site.where}.{site.name}")
    if work.put(site, replacement):
        work.replaced[id(site.value)] = (site.value, replacement)
        work.hooked.append(Hooked(site.where, site.name, "limiter", "convention"))
        work.hooks.add("limiter")


def _rebind(work: _Work) -> None:
    """Replaces what other modules of the user imported under the same or another name before."""
    like = {_module_of(change.owner) for change in work.changes}
    for name, module in list(sys.modules.items()):
        found = namespace(module)  # also entries like None lie in sys.modules
        if found is None or not is_a(name, str) or not any(is_users(name, each) for each in like):
            continue
        for bound, value in list(found.items()):
            original, replacement = work.replaced.get(id(value), (None, None))
            if original is not None and original is value:
                work.put(Site(module, bound, value), replacement)


def _module_of(owner: Any) -> str:
    if is_a(owner, ModuleType):
        return owner.__name__
    return (owner if is_a(owner, type) else type(owner)).__module__


# -- the way back
def _undo(changes: Sequence[_Change]) -> None:
    for change in reversed(changes):
        try:
            _restore(change)
        except Exception as error:  # noqa: BLE001 - the others are restored whatever this host says
            failed("instrument", error)


def _restore(change: _Change) -> None:
    lies_there = _stored(change.owner, change.name)
    if lies_there is change.installed:
        setattr(change.owner, change.name, change.original)
    elif lies_there is not change.original:
        _log.warning(
            "tachograph: %s.%s was replaced by somebody else after it was hooked and is left as it is.",
            getattr(change.owner, "__name__", type(change.owner).__name__),
            change.name,
        )


def _stored(owner: Any, name: str) -> Any:
    if is_a(owner, type):
        return vars(owner).get(name)
    found = namespace(owner)
    return found.get(name) if found is not None else attribute(owner, name)
