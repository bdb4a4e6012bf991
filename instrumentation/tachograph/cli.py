"""The `tachograph` command: finds its subcommands by entry point and loads the one that is called.

A package adds a command with an entry point of the group `tachograph.commands` that names a `Command`. The module
behind it imports the standard library only, so `--help` works in a base-only installation.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: its help, its arguments, what it does (returns the exit code) and the extra it needs."""

    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    extra: str | None = None


def commands(only: str | None = None) -> dict[str, Command]:
    """The installed commands by name, in alphabetical order; just `only` where there is a command of that name."""
    found = {entry.name: entry for entry in entry_points(group="tachograph.commands")}
    wanted = [only] if only in found else sorted(found)
    return {name: found[name].load() for name in wanted}


def port(text: str) -> int:
    """The type of an argument that is a port."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= 65535:  # noqa: PLR2004 - the range of ports
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a port is a number from 0 to 65535")
    return number


def require(*modules: str) -> None:
    """Raises ModuleNotFoundError for the first of `modules` that is not installed, before other processes need it."""
    for module in modules:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def parser(available: dict[str, Command]) -> argparse.ArgumentParser:
    """The argument parser over `available` commands."""
    top = argparse.ArgumentParser(prog="tachograph", description="The sealed recorder for AI agents.")
    top.add_argument("--version", action="version", version=f"tachograph {version('tachograph')}")
    sub = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in available.items():
        command.configure(sub.add_parser(name, help=command.help, description=command.help))
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code, 2 with one sentence on stderr for anything the user can mend."""
    words = sys.argv[1:] if argv is None else list(argv)
    available = commands(only=words[0] if words else None)
    arguments = parser(available).parse_args(words)
    command = available[arguments.command]
    try:
        return command.run(arguments)
    except UsageError as error:
        return _say(f"tachograph {arguments.command}: {error}")
    except ModuleNotFoundError as error:
        if command.extra is None or (error.name or "").startswith("tachograph"):
            raise
        needs = f"tachograph {arguments.command} needs {error.name}, which is not installed"
        return _say(f"{needs}: pip install 'tachograph[{command.extra}]'")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough: what is left goes nowhere, also at the interpreter's end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _say(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 2
