"""What an assertion looks for, and whether a recorded span or event is it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from tachograph.errors import UsageError
from tachograph.registry import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# What a test may write for an attribute of each type; anything else (pytest.approx, mock.ANY) decides by its ==.
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "int": (int,),
    "double": (int, float),
    "boolean": (bool,),
    "string[]": (list, tuple, set, frozenset),
    "double[]": (list, tuple, set, frozenset),
}
_PLAIN = (str, bool, int, float, list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Fact:
    """A recorded span or event: its name, and its attributes with those of its run, by the registry's names."""

    name: str
    attributes: Mapping[str, Any]

    def __getitem__(self, attribute: str) -> Any:
        """The attribute's value; None where it was not said."""
        return self.attributes.get(attribute)


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword of an assertion: the attribute that it asks for, or what `read` makes of that attribute's value."""

    attribute: str
    read: Callable[[Any], object] | None = None

    def of(self, fact: Fact) -> object:
        """What a fact says to this word; None where it says nothing."""
        found = fact[self.attribute]
        return found if self.read is None else self.read(found)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The closed list of its values in the registry; empty where any value may stand."""
        return () if self.read is not None else load().attributes[self.attribute].values


@dataclass(frozen=True, slots=True)
class Subject:
    """What can be looked for: the spans of a kind or the events of a name, and the words to say which.

    `hook` is the registry's name of the hook that records it, `by_hand` how a reader would say it.
    """

    noun: str
    source: str
    hook: str
    by_hand: str
    words: Mapping[str, Word]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one assertion asks of a fact: words with the value that each should have."""

    subject: Subject
    asked: Mapping[str, object]

    def misses(self, fact: Fact) -> dict[str, tuple[object, object]]:
        """The words in which a fact is not the one: what it says, and what was asked for."""
        said = {word: self.subject.words[word].of(fact) for word in self.asked}
        return {word: (said[word], value) for word, value in self.asked.items() if not same(value, said[word])}

    def __str__(self) -> str:
        return ", ".join(f"{word}={value!r}" for word, value in self.asked.items())


def wanted(subject: Subject, words: Mapping[str, object]) -> Wanted:
    """What a test asks for, without the words that it left out; UsageError for a value that nothing can ever have."""
    __tracebackhide__ = True
    asked = {word: value for word, value in words.items() if value is not None}
    for word, value in asked.items():
        known = subject.words[word]
        if known.read is None:
            require_possible(word, known.attribute, value)
    return Wanted(subject, asked)


def require_possible(word: str, attribute: str, value: object) -> None:
    """UsageError for a value that the attribute can never have by the registry: the test itself is wrong then."""
    __tracebackhide__ = True
    about = load().attributes[attribute]
    if type(value) not in _PLAIN:
        return
    if type(value) not in _TYPES[about.type]:
        raise UsageError(f"{word}={value!r} can never match: {attribute} is of type {about.type}; mend the test")
    if about.values and str(value) not in about.values:
        raise UsageError(f"{word}={value!r} can never match: {did_you_mean(str(value), about.values, attribute)}")


def require_known(given: str, known: Iterable[str], what: str, *, prefix: str = "") -> None:
    """UsageError for a word of ours, by its `prefix`, that is none of the known ones; others are the application's."""
    __tracebackhide__ = True
    names = list(known)
    if given.startswith(prefix) and given not in names:
        raise UsageError(did_you_mean(given, names, what))


def did_you_mean(given: str, known: Iterable[str], what: str) -> str:
    """A sentence for a word that is none of the known ones: the nearest of them, or all."""
    names = list(known)
    near = get_close_matches(given, names, n=3)
    if near:
        return f"{what} has no {given!r}; did you mean {' or '.join(repr(name) for name in near)}?"
    return f"{what} has no {given!r}; it is one of {', '.join(names)}"


def same(wanted: object, said: object) -> bool:
    """Whether a fact says what was asked for; lists in any order."""
    if isinstance(wanted, list | tuple | set | frozenset) and isinstance(said, list | tuple):
        return sorted(map(repr, wanted)) == sorted(map(repr, said))  # pyright: ignore[reportUnknownArgumentType] - of whatever
    return bool(wanted == said)
