"""Every place of ours that can fail in the agent's process, derived from the code.

A point is a function, method, closure or lambda in a module that runs there, by its qualified name. It is read off the
compiled modules, so a new one is a new point without being listed anywhere.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import pkgutil
from types import CodeType
from typing import TYPE_CHECKING, Any

import tachograph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Modules of which nothing runs on the agent's threads, or whose failures have tests of their own.
ELSEWHERE = {
    "cli": "a command's own process",
    "demo": "agents like any user's",
    "testing": "runs in tests",
    "registry": "tools: of the registry an agent's process has names and instruments, which are data",
    "prices.generate": "makes the table, in development",
    "audit.verify": "of the audit command",
    "audit.lines": "of the audit command",
    "launch.command": "the process of `tachograph run`",
    "launch.process": "the process of `tachograph run`",
    "launch.program": "the process of `tachograph run`",
    "launch.receiver": "the process of `tachograph run`",
    "launch.summary": "the process of `tachograph run`",
    "launch.main": "begins the program without us where we fail: launch/test_transparency.py",
    "launch.start": "as launch.main",
    "launch.plan": "as launch.main",
    "launch.providers": "as launch.main",
    "launch.frames": "what an exception looks like when the program is over: launch/test_transparency.py",
    "privacy.analyzer": "needs Presidio: privacy/test_analyzer.py",
    "export.otlp_grpc": "the exporter's thread, as export.otlp: export/test_otlp.py",
    "metrics.endpoint": "threads of /metrics: metrics/test_endpoint.py",
    "metrics.families": "threads of /metrics",
    "metrics.merge": "threads of /metrics",
    "metrics.peers": "threads of /metrics",
    "metrics.roster": "threads of /metrics: metrics/test_roster.py",
    "metrics.workers": "threads of /metrics: metrics/test_workers.py",
}
# Functions that stand between the host's code and ours: the host's frame is in them, or they hold a failure of ours.
# Whatever they call is a point.
DOORS = {
    "hook": "`with`, `async with` and the decorator",
    "wrapping": "the wrapper around the host's own function",
    "telemetry.guard": "counts and logs failures",
    "recording:begin": "holds what fails in a step",
    "recording:finish": "as begin",
    "recording:enter": "as begin",
    "recording:leave": "as begin",
    "recording:observe": "as begin",
    "recording:finalizing": "asked by those five before anything else",
    "recording:_Collecting.__call__": "called by the garbage collector",
    "instrument:instrument": "holds what fails in instrument()",
    "instrument:_take_back": "as instrument",
    "instrument:_alone": "taken by instrument() and uninstrument() before anything else",
    "telemetry.correlation:_Fields": "one look into the host's own log record",
    "instrument:uninstrument": "as instrument",
    "instrument:flush": "as instrument",
    "instrument:exposition": "gives what there is",
    "telemetry.recorder:active": "asked by those in hook and recording before anything else",
    "telemetry.threads:carry.<locals>.submit": "the host's own call of submit()",
    "telemetry.threads:_carried.<locals>.work": "the host's work in its pool",
    "telemetry.threads:_guarded": "as begin",
    "telemetry.correlation:correlate.<locals>.factory": "around the host's own factory of log records",
    "telemetry.processor:LogTap.shutdown": "does nothing",
    "telemetry.processor:LogTap.force_flush": "does nothing",
    "telemetry.providers:ForwardedLogs.shutdown": "does nothing",
    "telemetry.providers:ForwardedLogs.force_flush": "does nothing",
    "telemetry.recorder:activate": "as active: it sets one variable",
    "telemetry.providers:_OnceMore.do_once": "the host's own call that sets a provider",
    "export.exporter:quiet.filter": "called by logging, where the SDK's exporter logs",
    "launch.importer:Importer.find_spec": "the other finders, which are the host's",
    "launch.importer:_code": "the loader's own code",
    "plain.slots:ThreadSlots": "the host's own semaphore",
    "plain.slots:AsyncSlots": "the host's own semaphore",
    "plain.slots:_Slots.__copy__": "the host's own semaphore",
    "plain.slots:_Slots.__deepcopy__": "the host's own semaphore",
    "plain.slots:_Slots.__reduce_ex__": "the host's own semaphore",
}
COMMANDS = ("command", "__main__")  # modules of that name are commands, wherever they stand

_NO_FUNCTIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_FUNCTION = inspect.CO_NEWLOCALS | inspect.CO_OPTIMIZED


@functools.cache
def _all() -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{module}:{name}" for module in modules() for name in _functions(module)))


@functools.cache
def points() -> list[str]:
    """All points as `module:qualified name`, without `tachograph.` in front, in the order of the code."""
    return [each for each in _all() if not _within(each, DOORS) and each not in _factories()]


@functools.cache
def doors() -> list[str]:
    """The functions that are no points because the host's code runs in them, or because they hold failures."""
    return [each for each in _all() if _within(each, DOORS) or each in _factories()]


def _within(point: str, places: Iterable[str]) -> bool:
    """Whether a point is one of the places, or in a module, class or function that is."""
    return any(point == each or point.startswith((each + ":", each + ".", each + ".<locals>.")) for each in places)


@functools.cache
def _factories() -> frozenset[str]:
    """Public functions that only make a `Hook` of what they are given: whatever it does is a point."""
    public = (getattr(tachograph, name) for name in tachograph.__all__)
    hooks = (each for each in public if "Hook[" in str(getattr(each, "__annotations__", {}).get("return")))
    return frozenset(f"{each.__module__.partition('.')[2]}:{each.__qualname__}" for each in hooks)


def modules() -> list[str]:
    """The modules that run in an agent's process, without `tachograph.` in front."""
    found = (each.name.partition(".")[2] for each in pkgutil.walk_packages(tachograph.__path__, "tachograph."))
    return [name for name in found if name.rpartition(".")[2] not in COMMANDS and not _within(name, ELSEWHERE)]


def _functions(module: str) -> Iterator[str]:
    name = f"tachograph.{module}"
    spec = importlib.util.find_spec(name)
    assert spec is not None
    loader: Any = spec.loader
    found = (code.co_qualname for code in _nested(loader.get_code(name)))
    return (each for each in found if not _is_protocols(name, each))


def _is_protocols(module: str, function: str) -> bool:
    """Whether a function is of a Protocol, which nobody calls."""
    owner = getattr(importlib.import_module(module), function.partition(".")[0], None)
    return getattr(owner, "_is_protocol", False)


def _nested(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_flags & _FUNCTION == _FUNCTION and each.co_name not in _NO_FUNCTIONS:
                yield each
            yield from _nested(each)
