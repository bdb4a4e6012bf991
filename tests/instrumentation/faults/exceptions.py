"""What an agent raises, and how its results are compared: with all that can be seen of an exception."""

from __future__ import annotations

from typing import Any


class BoomError(Exception):
    pass


def seen(function: Any, *args: Any) -> object:
    """What a call gives: its result, or the exception with all that can be seen of it."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return raised(error)


def raised(error: BaseException) -> object:
    """An exception with the host's own frames, and what it came from."""
    frames: list[tuple[str, int]] = []
    around = error.__traceback__
    while around is not None:
        module = str(around.tb_frame.f_globals.get("__name__"))
        if module.startswith("instrumentation."):
            frames.append((around.tb_frame.f_code.co_name, around.tb_lineno))
        around = around.tb_next
    return type(error), error.args, frames, error.__cause__, error.__context__, error.__suppress_context__


def same(function: Any) -> bool:
    """Whether the exception that the host raised is the very object that arrives."""
    error = BoomError("17")
    try:
        function(error)
    except BoomError as caught:
        return caught is error
    return False
