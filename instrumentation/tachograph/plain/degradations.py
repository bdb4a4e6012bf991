"""Degraded modes that a plain agent falls back to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, cast, get_args

from tachograph.patterns.degraded import Degraded, Mode, Trigger
from tachograph.plain.circuits import opened
from tachograph.plain.reading import flag, is_a, label, name, one_of, read

if TYPE_CHECKING:
    from tachograph.plain.call import Call

PREFIXES: Final = ("degraded_", "fallback_")
ANSWER: Final = "answer_degraded"

_MODES, _TRIGGERS = get_args(Mode), get_args(Trigger)
_IMPLIED: Final[dict[str, Trigger]] = {  # what a mode says by itself about what is gone
    "no_retrieval": "retrieval_down",
    "stale_cache": "retrieval_down",
    "tool_unavailable": "tool_down",
    "fallback_model": "provider_down",
    "fallback_provider": "provider_down",
}


def mode_of(function: str) -> Mode | None:
    """The mode that a function's name says: degraded_read_only, fallback_model, answer_degraded; None without one."""
    if function == ANSWER:
        return "partial_answer"
    suffix = next((function.removeprefix(prefix) for prefix in PREFIXES if function.startswith(prefix)), "")
    return one_of(suffix, _MODES) or one_of(function, _MODES)


def degraded(call: Call) -> Degraded | None:
    """A stay in the mode that the argument or the name says; None where neither does."""
    mode = one_of(call.argument("mode"), _MODES) or mode_of(call.place.name)
    if mode is None:
        return None
    disclosed = flag(call.argument("disclosed"))
    component = label(name(call.argument("component"), "name"))
    return Degraded(mode, trigger=_trigger(call, mode), component=component, disclosed=disclosed)


def told(step: Degraded, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads whether the user was told, where the result says so."""
    disclosed = flag(read(value, "disclosed"))
    if disclosed is not None:
        step.disclosed(disclosed)


def _trigger(call: Call, mode: str) -> Trigger:
    said = one_of(call.argument("trigger", "reason", "cause"), _TRIGGERS)
    error = next((each for each in call.arguments.values() if is_a(each, BaseException)), None) or sys.exception()
    if said is not None:
        return cast("Trigger", said)
    if isinstance(error, TimeoutError):
        return "timeout"
    if error is not None and "RateLimit" in type(error).__name__:
        return "rate_limited"
    if opened(error):
        return "circuit_open"
    return _IMPLIED.get(mode, "policy")
