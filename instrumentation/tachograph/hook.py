"""A hook as its user sees it: `with`, `async with`, or a decorator of any kind of function."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from typing_extensions import override

from tachograph.recording import Recording, begin, finalizing, finish
from tachograph.telemetry import recorder as recorders
from tachograph.telemetry.guard import failed
from tachograph.wrapping import wrap

if TYPE_CHECKING:
    from types import TracebackType

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound=Recording)

# A class or another callable is not what a decorator without parentheses is put on.
_FUNCTIONS: Final = frozenset({types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial})


class Inert(Recording):
    """What `with` gives where nothing is recorded: each method does nothing, each id is None."""

    id = call_id = None
    tool = ""

    def __init__(self) -> None:
        """Nothing is noted."""

    @override
    def begin(self) -> None:
        """Nothing begins."""

    @override
    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        """Nothing ends."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)  # protocols that Python looks for, as copy's and pickle's
        return _nothing


def named(first: object, make: Callable[[Any], R]) -> Hook[R] | Any:
    """The hook that `make` gives for a name; a function in its place is decorated, under its own name."""
    if type(first) not in _FUNCTIONS:
        return Hook(lambda: make(first))
    function: Any = first
    name = getattr(getattr(function, "func", function), "__name__", "function")
    return Hook(lambda: make(name))(function)


def unnamed(first: object, make: Callable[[Any], R]) -> Hook[R] | Any:
    """The hook that `make` gives for a name or None; a function in its place is decorated as with empty parentheses."""
    if type(first) not in _FUNCTIONS:
        return Hook(lambda: make(first))
    function: Any = first
    return Hook(lambda: make(None))(function)


def no_function(first: object, hook: str, what: str) -> None:
    """Raises a TypeError for a hook without parentheses that cannot be named as its function."""
    if type(first) in _FUNCTIONS:
        raise TypeError(f"@tachograph.{hook} without parentheses does not say {what}; use @tachograph.{hook}(name).")


def _nothing(*_: object, **__: object) -> None:
    """A step's method where nothing is recorded."""


class Hook(Generic[R]):
    """A hook that is used as `with`, as `async with`, or as a decorator of any kind of function."""

    __slots__ = ("_make", "_open")

    def __init__(self, make: Callable[[], R]) -> None:
        self._make = make
        self._open: dict[int, R] = {}  # entered and not left yet, by id(), in the order of entering

    def __enter__(self) -> R:
        recording = self._made()
        begin(recording)
        self._open[id(recording)] = recording
        if not finalizing():
            entered = _entered.get()
            still = [each for each in entered if id(each[1]) in each[0]._open] if entered else ()  # noqa: SLF001 - a hook too
            _entered.set((*still, (self, recording)))
        return recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        # more than one thread or task may be inside of one hook: each leaves the step that it entered itself
        mine = [step for _, step in _entered.get() if id(step) in self._open]
        # a step that is left in another context than it was entered in is the one that was entered last
        for recording in (mine or [*self._open.values()])[-1:]:
            self._open.pop(id(recording), None)
            finish(recording, error)

    async def __aenter__(self) -> R:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace_)

    def __call__(self, function: F) -> F:
        """Records each call of `function`; its results, exceptions, signature and kind stay what they are."""
        return wrap(function, self._make)

    def _made(self) -> R:
        if recorders.active() is not None:
            try:
                return self._make()
            except Exception as error:  # noqa: BLE001 - arguments that make no step are not the agent's problem
                failed("instrument", error)
        return cast("R", Inert())


# Entered and perhaps left: the next __enter__ sorts that out, as __exit__ may run in a finalizer, which sets nothing.
_entered: ContextVar[tuple[tuple[Hook[Any], Recording], ...]] = ContextVar("tachograph_entered", default=())
