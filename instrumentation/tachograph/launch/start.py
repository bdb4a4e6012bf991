"""In the process of the program: recording begins, then the program runs as `__main__`, as Python would run it."""

from __future__ import annotations

import atexit
import builtins
import os
import pkgutil
import runpy
import sys
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from tachograph.instrument import instrument, report, watch
from tachograph.launch.frames import clean
from tachograph.launch.importer import Importer, Own
from tachograph.launch.journal import Writer
from tachograph.launch.plan import Plan
from tachograph.launch.providers import leave_settable
from tachograph.launch.source import adopting

if TYPE_CHECKING:
    from collections.abc import Callable


class _UnreadableError(Exception):
    """The program cannot be read or compiled, which Python itself says best."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is ready to run; it does so in `start`."""

    start: Callable[[], None]

    @classmethod
    def prepared(cls, text: str, before: frozenset[str]) -> Program | None:
        """The program of a plan, recorded from its first line on; `before` are the modules that Python itself loaded.

        None for one that cannot be read or compiled, which Python itself says best. Whatever is raised is a failure of
        ours. Nothing of the program has run.
        """
        plan = Plan.read(text)
        path = _Path.of(plan)
        try:
            start = _starter(plan)
        except _UnreadableError:
            return None
        _record(plan, path)
        path.enter(plan)
        _give_back(before)
        return cls(start)

    def run(self) -> None:
        """Runs the program to its end; what it raises is its own."""
        self.start()

    def vanish(self, main: str) -> None:
        """Takes our frames, and those of the file `main`, out of the exception that is being handled."""
        error = sys.exc_info()[1]
        if error is not None:
            clean(error, main)


# -- as Python would
@dataclass(frozen=True, slots=True)
class _Path:
    """Where the program's imports begin (`sys.path[0]`), and what of them is its own."""

    first: str
    own: Own
    packed: bool = False

    @classmethod
    def of(cls, plan: Plan) -> _Path:
        here = os.path.realpath(".")
        if plan.kind == "code":
            return cls("", Own((here,)))
        if plan.kind == "module":
            return cls(str(Path.cwd()), Own((here,), plan.what.partition(".")[0]))
        if pkgutil.get_importer(plan.what) is not None:  # a folder or an archive with a __main__
            return cls(_absolute(plan.what), Own((os.path.realpath(plan.what), here)), packed=True)
        folder = str(Path(os.path.realpath(plan.what)).parent)
        return cls(folder, Own((folder, here)))

    def enter(self, plan: Plan) -> None:
        """Sets what the program sees of how it was started."""
        if self.packed or not sys.flags.safe_path:
            sys.path.insert(0, self.first)
        name = {"file": plan.what, "module": "-m", "code": "-c"}[plan.kind]
        sys.argv[:] = [name, *plan.arguments]
        sys.orig_argv[:] = plan.command


def _starter(plan: Plan) -> Callable[[], None]:
    match plan.kind:
        case "module":
            return lambda: _run_module(plan.what, alter_argv=True)
        case "code":
            return _script(_compiled(plan.what, "<string>"), None)
        case "file":
            if pkgutil.get_importer(plan.what) is not None:
                return lambda: _run_module("__main__", alter_argv=False)
            filename = _absolute(plan.what)
            return _script(_compiled(_read(filename), filename), filename)


def _absolute(name: str) -> str:
    """The name as Python makes it absolute: the way round that it takes stays in it."""
    if name == ".":
        return str(Path.cwd())
    return name if name.startswith(os.sep) else f"{Path.cwd()}{os.sep}{name}"


def _read(filename: str) -> bytes:
    if not Path(filename).is_file():  # a pipe can be read once, and that is for Python
        raise _UnreadableError(filename)
    try:
        return Path(filename).read_bytes()
    except OSError as error:
        raise _UnreadableError(filename) from error


def _compiled(source: bytes | str, filename: str) -> CodeType:
    try:
        return adopting(source, filename)
    except (SyntaxError, ValueError) as error:
        raise _UnreadableError(filename) from error


def _script(code: CodeType, filename: str | None) -> Callable[[], None]:
    def start() -> None:
        namespace = vars(_new_main(filename))
        exec(code, namespace)  # noqa: S102 - the user's program
        namespace.pop("__file__", None)  # as Python does: what runs at exit finds none
        namespace.pop("__cached__", None)

    return start


def _run_module(name: str, *, alter_argv: bool) -> None:
    _new_main(None)
    # What `python -m` itself calls; the public run_module() gives the module's name back to another one at its end.
    runpy._run_module_as_main(name, alter_argv)  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _new_main(filename: str | None) -> ModuleType:
    """A fresh `__main__` with the names in it that this Python gives to the one of a script, or of `-c` and `-m`."""
    main = ModuleType("__main__")
    given = vars(sys.modules["__main__"])
    if "__annotations__" in given:
        main.__annotations__ = {}
    vars(main)["__builtins__"] = builtins
    main.__loader__ = BuiltinImporter if filename is None else SourceFileLoader("__main__", filename)
    if filename is not None:
        main.__file__ = filename
        if "__cached__" in given:
            vars(main)["__cached__"] = None
    sys.modules["__main__"] = main
    return main


# -- what we do before
def _record(plan: Plan, path: _Path) -> None:
    writer = Writer(plan.journal)
    # before instrument(), whose own end is then over: at exit the last comes first
    atexit.register(lambda: writer.ended(report(), plan.mapping))
    headers = {"Authorization": f"Bearer {os.environ['TACHOGRAPH_TOKEN']}"} if plan.token else None
    # without being asked for no port is opened, which may be the one of the program
    metrics = None if os.environ.get("OTEL_METRICS_EXPORTER", "").strip() else "none"
    instrument(
        mapping=plan.mapping,
        service_name=plan.service_name,
        endpoint=plan.endpoint,
        headers=headers,
        protocol=None if plan.endpoint is None else "http/protobuf",  # what the receivers named to `run` take
        metrics=metrics,
    )
    watch(writer)
    leave_settable()
    sys.meta_path.insert(0, Importer(path.own))
    writer.begun()


def _give_back(before: frozenset[str]) -> None:
    """Forgets each module that we imported and of which the program has another of the same name in its folder."""
    if sys.flags.safe_path:
        return
    for name in {module.partition(".")[0] for module in sys.modules.keys() - before}:
        spec = PathFinder.find_spec(name, [sys.path[0] or str(Path.cwd())])
        loaded = sys.modules.get(name)
        if spec is None or spec.loader is None or loaded is None:
            continue
        if spec.origin != getattr(loaded, "__file__", None):
            for each in [each for each in sys.modules if each == name or each.startswith(name + ".")]:
                del sys.modules[each]
