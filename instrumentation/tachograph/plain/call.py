"""A call of a host's function, and the step that it is recorded as."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tachograph.plain.reading import read
from tachograph.privacy.captured import capture
from tachograph.recording import Recording
from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import BoundArguments


@dataclass(frozen=True, slots=True)
class Place:
    """Where a hooked function lives.

    `owner` is the class that defines it, or None for a function of a module; `parameters` are the names it can be
    called with, without `self` and `cls`; `globals` is its module's namespace; `receives` says that it is called on an
    instance or class; `bool_result` says that it is annotated to return a bool.
    """

    where: str
    name: str
    owner: type | None
    parameters: tuple[str, ...]
    globals: dict[str, Any]
    receives: bool = False
    bool_result: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its arguments by name without `self` and `cls`, and the instance or class it was called on."""

    place: Place
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    instance: object = None

    def argument(self, *names: str) -> Any:
        """The first of these arguments that was given and is not None."""
        given = self.arguments.get
        for name in names:
            found = given(name)
            if found is not None:
                return found
        return None

    def first(self) -> Any:
        """The first argument, or None without one."""
        return next(iter(self.arguments.values()), None)

    def fact(self, *names: str) -> Any:
        """The first of these that is an argument, or else a field of an argument."""
        found = self.argument(*names)
        if found is not None:
            return found
        return next(
            (value for value in (read(each, *names) for each in self.arguments.values()) if value is not None), None
        )


def called(place: Place, arguments: BoundArguments) -> Call:
    """The call that the bound arguments make, defaults included."""
    arguments.apply_defaults()
    given: dict[str, Any] = {}
    for name, value in arguments.arguments.items():
        kind = arguments.signature.parameters[name].kind
        if kind is Parameter.VAR_KEYWORD:
            given |= value
        elif kind is Parameter.VAR_POSITIONAL:
            given |= {str(position): each for position, each in enumerate(value)}
        else:
            given[name] = value
    receiver = next(iter(given), "") if place.receives else ""
    return Call(place, given, given.pop(receiver, None))


@dataclass(frozen=True, slots=True)
class Convention:
    """What a name stands for: the hook, the step that a call is, and what the returned value says about it.

    `nested` tells a call's step of another call of the hook inside of it, which then is the one that counts; without it
    the outer call counts. `covers` are further hooks of the registry that are installed with it.
    """

    hook: str
    step: Callable[[Call], Recording | None]
    read: Callable[[Any, Call, object], None] | None = None
    nested: Callable[[Any, Any], None] | None = None
    covers: tuple[str, ...] = ()


class Observed(Recording):
    """A call of a host's function; which step it is, and of what, shows when its arguments are known.

    A call that only passes on the step around it (`super().call_tool()`, `call_tool` that calls `execute_tool`) is
    no step of its own: one tool call is counted once.
    """

    def __init__(self, place: Place, convention: Convention) -> None:
        super().__init__()
        self.hook = convention.hook
        self.call = Call(place)
        self.step: Recording | None = None
        self.outer: Observed | None = None
        self._convention = convention

    @override
    def bound(self, arguments: BoundArguments) -> None:
        self.call = called(self.call.place, arguments)

    @override
    def begin(self) -> None:
        step = self._convention.step(self.call)
        if step is None:
            return
        self.outer = _open.get()
        around = _around(self)
        if around is not None and self._convention.nested is not None:
            self._convention.nested(around.step, step)
        elif around is not None and _passed_on(self, step, around):
            return
        step.carry(_open, self)
        self.step = step
        step.begin()
        if self._says():
            capture(step.attributes, input=self.call.arguments)

    @override
    def attach(self) -> None:
        if self.step is not None:
            self.step.attach()

    @override
    def detach(self) -> None:
        if self.step is not None:
            self.step.detach()

    def _says(self) -> bool:
        """Whether what goes in and comes out is what a run or a model call says; tool calls see to it themselves."""
        return self.step is not None and self.step.kind in _SAYING and not getattr(self.step, "is_step", False)

    @override
    def returned(self, value: object) -> None:
        if self.step is not None and self._says():
            capture(self.step.attributes, output=value)
        self._read(value)

    def _read(self, value: object) -> None:
        if self.step is not None and self._convention.read is not None:
            self._convention.read(self.step, self.call, value)

    @override
    def yielded(self, item: object) -> None:
        if self.hook == "llm":  # the usage of a streamed call stands in one of its chunks, mostly the last
            self._read(item)

    @override
    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        if self.step is not None:
            self.step.finish(error, ended)


_open: ContextVar[Observed | None] = ContextVar("tachograph_call", default=None)

_SAYING = frozenset({"run", "llm"})  # kinds of spans
_ONE_OWNER = frozenset({"tool", "approval"})  # hooks whose steps are counted at exactly one level
_APART = frozenset({"run", "step", "tool", "llm", "delegate"})  # below these the same kind of call is another call


def _around(call: Observed) -> Observed | None:
    """The call of the same hook that this one is a part of, if there is one."""
    around = call.outer
    while around is not None and around.hook != call.hook and around.hook not in _APART:
        around = around.outer
    return around if around is not None and around.hook == call.hook and around.step is not None else None


def _passed_on(call: Observed, step: Recording, around: Observed) -> bool:
    if around.step is None or around.call.place is call.call.place:
        return False
    same_subject = around.step.attributes.get(n.GEN_AI_TOOL_NAME) == step.attributes.get(n.GEN_AI_TOOL_NAME)
    return (call.hook in _ONE_OWNER and same_subject) or _is_super(call.call, around.call)


def _is_super(inner: Call, outer: Call) -> bool:
    if inner.place.name != outer.place.name or inner.instance is None or inner.instance is not outer.instance:
        return False
    base, derived = inner.place.owner, outer.place.owner
    return base is not None and derived is not None and base is not derived and issubclass(derived, base)
