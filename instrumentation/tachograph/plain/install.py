"""Installs the naming convention on a target: what is hooked, what is not and why, and the way back."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from tachograph.errors import UsageError
from tachograph.plain.call import Observed, Place
from tachograph.plain.choices import HOOKED, By, Choice, Meanings, choose, meanings, parameters, require_defined
from tachograph.plain.convention import lingering, resumes, waiting
from tachograph.plain.ownership import is_users, namespace
from tachograph.plain.reading import attribute, is_a
from tachograph.plain.sites import Site, bound, sites
from tachograph.plain.slots import slots
from tachograph.plain.tools import KEY
from tachograph.telemetry.guard import failed
from tachograph.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tachograph.plain.call import Convention
    from tachograph.plain.sites import Sites

_log = logging.getLogger("tachograph")


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
class _Change:
    owner: Any
    name: str
    original: Any
    installed: Any


@dataclass(slots=True)
class _Validation:
    """Whether the agent validates results of tools, and resumes runs, which may show after others are hooked."""

    seen: bool = False
    resumes: bool = False

    def adapted(self, convention: Convention) -> Convention:
        """The convention for such an agent."""
        convention = lingering(convention) if self.seen else convention
        return waiting(convention) if self.resumes else convention


@dataclass(slots=True)
class _Work:
    """An installation under way."""

    hooked: list[Hooked] = field(default_factory=list[Hooked])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    hooks: set[str] = field(default_factory=set[str])
    changes: list[_Change] = field(default_factory=list[_Change])
    replaced: dict[int, tuple[Any, Any]] = field(default_factory=dict[int, tuple[Any, Any]])
    unrecognised: list[str] = field(default_factory=list[str])
    validation: _Validation = field(default_factory=_Validation)

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

    def done(self) -> Installation:
        """What was done so far, and the way back from it."""
        changes = tuple(self.changes)
        return Installation(
            tuple(self.hooked),
            tuple(self.skipped),
            lambda: _undo(changes),
            frozenset(self.hooks),
            tuple(dict.fromkeys(self.unrecognised)),
        )


def install(target: object, mapping: Mapping[str, str] | None = None) -> Installation:
    """Hooks what the target defines under a name of the convention, or under the own names that `mapping` explains.

    `target` is a module, a class, an instance (whose class is hooked, so all instances are) or a list of these. Raises
    UsageError for what is no target, and for a mapping whose names do not exist; nothing is changed then. Whatever else
    cannot be hooked is skipped and said.
    """
    work = _Work()
    try:
        explained, found = meanings(mapping), sites(target)
        require_defined(explained, found.functions)
        _install(found, explained, work)
        _rebind(work)
        return work.done()
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the host goes on unobserved, with nothing changed
        _undo(work.changes)
        failed("instrument", error)
        lost = Skipped(type(target).__name__, "*", f"nothing is hooked: {type(error).__name__}")
        return Installation((), (lost,), lambda: None, frozenset())
    except BaseException:
        _undo(work.changes)
        raise


class Adoption:
    """An installation that grows name by name, as the modules of a program define them.

    UsageError for a mapping to what is no name of the convention; its own names may turn up in any module, or never.
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        self._explained = meanings(mapping)
        self._work = _Work()

    @property
    def installation(self) -> Installation:
        """What was done so far."""
        return self._work.done()

    def adopt(self, module: ModuleType, name: str) -> frozenset[str]:
        """Hooks what `name` stands for in a module that has just bound it; gives the hooks that are now known.

        Never raises. Nobody can have taken the name out of the module before, so only the module is changed.
        """
        try:
            _install(bound(module, name), self._explained, self._work)
        except Exception as error:  # noqa: BLE001 - the program goes on without this hook
            failed("instrument", error)
        # a class below another one, or a name that is bound again, has methods that were hooked where they were defined
        self._work.skipped = [each for each in self._work.skipped if each.reason != HOOKED]
        return frozenset(self._work.hooks)


def _install(found: Sites, explained: Meanings, work: _Work) -> None:
    choices = choose(found.functions, explained)
    work.unrecognised += choices.unrecognised
    for site, reason in choices.left:
        work.skip(site, reason)
    work.validation.seen |= any(choice.validates for choice in choices.chosen)
    work.validation.resumes |= any(resumes(choice.convention) for choice in choices.chosen)
    for choice in choices.chosen:
        try:
            _hook(choice, work)
        except Exception as error:  # noqa: BLE001 - the other functions can be hooked all the same
            failed("instrument", error)
            work.skip(choice.site, f"cannot be hooked: {type(error).__name__}")
    for site in found.semaphores:
        _replace_semaphore(site, work)
    for site, reason in found.closed_caches:
        work.skip(site, reason)


# -- putting hooks in
def _hook(choice: Choice, work: _Work) -> None:
    site, function = choice.site, choice.site.function
    if function is None:
        return
    convention, place, validation = choice.convention, _place(site, function), work.validation
    known = work.replaced.get(id(function))
    wrapper = known[1] if known is not None else wrap(function, lambda: Observed(place, validation.adapted(convention)))
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
    names = parameters(function)
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
        for alias, value in list(found.items()):
            original, replacement = work.replaced.get(id(value), (None, None))
            if original is not None and original is value:
                work.put(Site(module, alias, value), replacement)


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
