"""Whatever a host passes to a hook, in whichever argument: nothing is raised, and what it does stays what it was.

Hooks, their arguments and what can be said of a step come from their signatures.
"""

from __future__ import annotations

import inspect
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pytest

import tachograph
from tachograph.recording import Recording
from tachograph.run import current_tool
from tachograph.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NO_HOOKS = {"Report", "instrument", "uninstrument", "flush", "run_id"}
HOOKS = sorted(set(tachograph.__all__) - NO_HOOKS)
STEPS = [name for name in HOOKS if str(inspect.signature(getattr(tachograph, name)).return_annotation) != "None"]
VALID = {"attempt": 2, "limit": 3, "used": 1, "stage": "pre_tool", "source": "document", "input_tokens": 1}
VALID |= {"output_tokens": 1, "count": 2, "number": 2, "amount": 0.5, "track": "stable", "type": "turns"}


def _raises(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError("asked")


class Touchy:
    """Raises whatever it is asked."""

    def __new__(cls) -> Self:
        made = object.__new__(cls)
        object.__setattr__(made, "field", 13)
        return made

    __class__ = property(_raises)  # pyright: ignore[reportAssignmentType] - as a lazy object's
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raises
    __hash__ = __repr__ = __str__ = __format__ = __len__ = __bool__ = __iter__ = __getattr__ = _raises  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    __getitem__ = __contains__ = __int__ = __float__ = __index__ = __add__ = __radd__ = __call__ = _raises
    __enter__ = __exit__ = __reduce_ex__ = __mul__ = __truediv__ = __rtruediv__ = __or__ = __ror__ = _raises


class TouchyText(str):
    __slots__ = ()
    __eq__ = __ne__ = __len__ = __str__ = __repr__ = __format__ = __getitem__ = __iter__ = _raises
    __contains__ = __add__ = __radd__ = __mod__ = strip = lower = encode = partition = _raises
    __hash__ = str.__hash__


class TouchyDict(dict[Any, Any]):
    __len__ = __iter__ = __getitem__ = get = items = keys = values = __contains__ = __repr__ = _raises


class TouchyInt(int):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __float__ = __int__ = __index__ = _raises
    __truediv__ = __rtruediv__ = __repr__ = __str__ = __format__ = __bool__ = _raises
    __hash__ = int.__hash__


class TouchyError(Exception):
    __str__ = __repr__ = __eq__ = _raises  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    __hash__ = Exception.__hash__


def _endless() -> Iterator[int]:
    while True:
        yield 17


def _recursive() -> list[object]:
    inside: list[object] = []
    inside += [inside, {"again": inside}]
    return inside


def _dead() -> object:
    return weakref.proxy(TouchyError())


ODD: dict[str, Callable[[], object]] = {
    "an object that raises whatever it is asked": Touchy,
    "a text that does": lambda: TouchyText("x"),
    "a dict that does": lambda: TouchyDict({1: 2}),
    "a number that does": lambda: TouchyInt(13),
    "an exception that does": TouchyError,
    "a class": lambda: Touchy,
    "a dead reference": _dead,
    "a list in itself": _recursive,
    "a list of such objects": lambda: [Touchy(), TouchyText("y")],
    "a number of 5,000 digits": lambda: 10**5_000,
    "a negative number": lambda: -(2**70),
    "no number": lambda: float("nan"),
    "infinity": lambda: float("-inf"),
    "a lone surrogate": lambda: "\ud800 4111",
    "a null": lambda: "\0" * 3,
    "a long text": lambda: "4111 " * 30_000,
    "bytes": lambda: b"\xff\xfe",
    "a generator": lambda: (number for number in (1, 2)),
    "nothing": lambda: None,
    "an empty tuple": tuple,
    "a boolean": lambda: True,
}


def arguments(function: Any) -> tuple[dict[str, object], list[str]]:
    """Valid arguments for all that must be given, and the names of all that can be."""
    parameters = [each for each in inspect.signature(function).parameters.values() if each.name != "self"]
    needed = {each.name: VALID.get(each.name, "x") for each in parameters if each.default is inspect.Parameter.empty}
    return needed, [each.name for each in parameters]


def sayings(step: Recording) -> list[str]:
    """What can be said of a step: its public methods that are not the machinery's."""
    own = [name for name in dir(type(step)) if not name.startswith("_") and not hasattr(Recording, name)]
    return [name for name in own if inspect.isfunction(getattr(type(step), name))]


def say(method: str, given: dict[str, object], step: Any) -> object:
    """Says one thing of a step."""
    return getattr(step, method)(**given)


def use(made: object, tell: Callable[[Any], object] = lambda _: None) -> None:
    """Uses what a hook gave as a host does; its own exception passes."""
    if made is None:
        return
    error = ZeroDivisionError("the host's own")
    try:
        with made as step:  # pyright: ignore[reportGeneralTypeIssues] - a hook
            said = tell(step)
            assert said is None or isinstance(said, str)
            raise error
    except ZeroDivisionError as caught:
        assert caught is error  # noqa: PT017 - a dozen thousand times


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_takes_whatever_is_passed(name: str):
    hook = getattr(tachograph, name)
    needed, every = arguments(hook)
    with recording(capture="redacted") as recorded, tachograph.run():
        for parameter in every:
            for odd in ODD.values():
                use(hook(**{**needed, parameter: odd()}))
        assert current_tool() is None
        use(hook(**needed))  # it still works
        assert recorded.recorder.hooks("agent")


@pytest.mark.parametrize("name", STEPS)
def test_whatever_is_said_of_a_step_it_goes_on(name: str):
    hook = getattr(tachograph, name)
    needed, _ = arguments(hook)
    with recording(capture="redacted"), tachograph.run():
        with hook(**needed) as shown:
            methods = sayings(shown)
        for method in methods:
            given, every = arguments(getattr(type(shown), method))
            for parameter in every:
                for odd in ODD.values():
                    use(hook(**needed), partial(say, method, {**given, parameter: odd()}))


@pytest.mark.parametrize("odd", ODD)
def test_a_decorated_function_gets_and_gives_what_it_did(odd: str):
    value = ODD[odd]()
    for name in STEPS:
        hook = getattr(tachograph, name)
        made = hook(**arguments(hook)[0])
        got = made(lambda given, *more, **named: (given, more, named))
        with recording(capture="full"):
            given, more, named = got(value, value, key=value)
            assert all(each is value for each in (given, *more, *named.values()))
            assert made(lambda: value)() is value
