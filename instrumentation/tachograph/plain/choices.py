"""Which functions of a target are hooked, and as what: by their names, or by a mapping that explains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from tachograph.errors import UsageError
from tachograph.plain.convention import CACHE_METHODS, NAMES, VALIDATORS, find, meant, nearest
from tachograph.plain.degradations import mode_of
from tachograph.plain.reading import is_a
from tachograph.wrapping import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import FunctionType

    from tachograph.plain.call import Convention
    from tachograph.plain.sites import Site

By = Literal["convention", "mapping"]
Meanings = dict[str, "Convention"]  # of a mapping: own name, what it is

HOOKED = "already hooked"


@dataclass(frozen=True, slots=True)
class Choice:
    """A function to hook, what it is, and what said so."""

    site: Site
    convention: Convention
    by: By

    @property
    def validates(self) -> bool:
        """Whether it validates the results of tools."""
        return any(self.convention is NAMES[name] for name in VALIDATORS)


@dataclass(frozen=True, slots=True)
class Choices:
    """What is hooked of some functions, what is not and why, and what public ones the convention says nothing of."""

    chosen: tuple[Choice, ...]
    left: tuple[tuple[Site, str], ...]
    unrecognised: tuple[str, ...]


def meanings(mapping: Mapping[str, str] | None) -> Meanings:
    """What the own names of a mapping are; UsageError for another form, and for what is no name of the convention."""
    return {own: _meaning(own, name) for own, name in _strings(mapping).items()}


def require_defined(own_names: Iterable[str], functions: list[Site]) -> None:
    """UsageError for an own name under which there is no function."""
    known = {site.name for site in functions} | {site.path for site in functions}
    for own in own_names:
        if own not in known:
            raise UsageError(
                f"The mapping explains {own!r}, which the target does not define; "
                f"nearest are {nearest(own, sorted(known))}."
            )


def choose(functions: list[Site], explained: Meanings) -> Choices:
    """What is hooked of `functions`."""
    chosen: list[Choice] = []
    left: list[tuple[Site, str]] = []
    unrecognised: list[str] = []
    for site in functions:
        mapped = explained.get(site.path) or explained.get(site.name)
        convention = mapped or find(site.name, in_cache=site.in_cache)
        if convention is None:
            if site.function is not None and not site.name.startswith("_") and not site.in_cache:
                unrecognised.append(site.path)
            continue
        obstacle = site.obstacle() or _objection(site, convention)
        if obstacle is None:
            chosen.append(Choice(site, convention, "mapping" if mapped else "convention"))
        else:
            left.append((site, obstacle))
    return Choices(tuple(chosen), tuple(left), tuple(unrecognised))


def parameters(function: FunctionType) -> tuple[str, ...]:
    """The names of a function's parameters, without those that take any number."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _strings(mapping: Mapping[str, str] | None) -> dict[str, str]:
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


def _meaning(own: str, name: str) -> Convention:
    convention = meant(name)
    if convention is None:
        known = [*NAMES, *(f"cache.{method}" for method in CACHE_METHODS)]
        raise UsageError(
            f"The mapping says that {own!r} is {name!r}, which is no name of the convention; "
            f"nearest are {nearest(name, known)}."
        )
    return convention


def _objection(site: Site, convention: Convention) -> str | None:
    function = site.function
    if function is None:
        return None
    if MARKER in vars(function):
        return HOOKED
    if convention.hook == "degraded" and mode_of(site.name) is None and "mode" not in parameters(function):
        return (
            "neither its name nor an argument `mode` says which degraded mode: "
            "name it fallback_model, degraded_read_only …"
        )
    return None
