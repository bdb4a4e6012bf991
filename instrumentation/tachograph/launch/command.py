"""`tachograph run`: a program of the user's own, recorded without a change to it.

The program runs in a process of its own, as it would without us; see start.py.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from tachograph.launch.journal import Journal
    from tachograph.launch.plan import Plan

_UNNAMED = "agent"  # what config calls an agent that nothing names


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "tachograph run [options] -- python agent.py [arguments]"
    parser.add_argument("--endpoint", metavar="URL", help="an OTLP/HTTP receiver that runs already")
    parser.add_argument("--home", metavar="DIR", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--service-name", metavar="NAME", help="the agent's name (default: that of the program)")
    parser.add_argument(
        "--mapping",
        metavar="OWN=CONVENTION",
        action="append",
        default=[],
        help="what a function of another name is, for instance vet=validate_request; may be repeated",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing when the program is over")
    parser.add_argument("--verbose", action="store_true", help="say all that was hooked, and what was not")
    parser.add_argument("program", nargs="...", help="python, its options, the program and its arguments")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph.config import read
    from tachograph.launch.plan import Plan
    from tachograph.launch.process import end_like
    from tachograph.launch.program import in_our_python, main_file, program
    from tachograph.launch.receiver import receiver
    from tachograph.launch.summary import lines

    words: Sequence[str] = arguments.program
    asked = program(words[1:] if words[:1] == ["--"] else words)
    mapping = _mapping(arguments.mapping)
    config = read(service_name=arguments.service_name, endpoint=arguments.endpoint)
    if config.disabled:
        _say(["tachograph: OTEL_SDK_DISABLED is set, so nothing is recorded"], quiet=arguments.quiet)
        os.execvp(asked.python, asked.command)  # noqa: S606 - the user's own program
    try:
        main = main_file(asked)
    except UsageError:
        own = in_our_python(asked)
        if own is None:
            raise
        said = f"tachograph: {asked.python} on the PATH has no tachograph, so {own.python} runs the program"
        _say([said], quiet=arguments.quiet)
        asked, main = own, main_file(own)
    name = config.service_name if config.service_name != _UNNAMED else asked.name
    with receiver(config, arguments.home) as found:
        plan = Plan(
            asked.kind, asked.what, asked.command, asked.arguments, name, found.url, found.token, mapping=mapping
        )
        code, written = _recorded([asked.python, *asked.options, main], plan)
        queryable = not written.runs or found.settle()
        shown = config.shown_endpoint if config.endpoint_given else found.address
        said = list(lines(written, name, found.store, shown, queryable=queryable))
    _say([*said, written.report if arguments.verbose else ""], quiet=arguments.quiet)
    return end_like(code)


def _recorded(command: Sequence[str], plan: Plan) -> tuple[int, Journal]:
    """Runs the program of the plan; gives its exit code and what was recorded."""
    from tachograph.launch import journal, process

    with tempfile.TemporaryDirectory(prefix="tachograph-run-") as folder:
        path, told = Path(folder) / "journal", Path(folder) / "plan"
        for each in (path, told):
            each.touch(mode=0o600)
        told.write_text(replace(plan, journal=str(path)).written(), "ascii")
        code = process.run([*command, str(told)])
        return code, journal.read(path)


def _mapping(pairs: Iterable[str]) -> dict[str, str]:
    from tachograph.plain.choices import meanings

    mapping: dict[str, str] = {}
    for pair in pairs:
        own, equals, name = pair.partition("=")
        if not (own and equals and name):
            raise UsageError(f"--mapping {shlex.quote(pair)} does not say OWN=CONVENTION, as in vet=validate_request")
        mapping[own] = name
    meanings(mapping)  # a name that is none of the convention is said before the program runs
    return mapping


def _say(lines: Iterable[str], *, quiet: bool) -> None:
    if not quiet:
        with contextlib.suppress(OSError):  # stderr may be closed, which is no reason to end otherwise
            sys.stderr.write("".join(f"{line}\n" for line in lines if line))
            sys.stderr.flush()


COMMAND = Command(help="run a Python program and record it", configure=_configure, run=_run, extra="analytics")
