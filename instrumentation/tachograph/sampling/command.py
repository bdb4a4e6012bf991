"""`tachograph sample`: keeps more of one agent's traces for a while, without a restart."""

from __future__ import annotations

import argparse
import math
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    from tachograph.sampling.raises import Raise

VARIABLE: Final = "TACHOGRAPH_SAMPLING_FILE"
_LONGEST_S: Final = 86_400  # an incident's: what is meant to stay is a sample_rate
_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `tachograph sample`."""
    sub = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    begin = sub.add_parser("raise", help="keep more traces of an agent, for a while")
    begin.add_argument("agent", metavar="AGENT")
    begin.add_argument("--rate", type=share, default=1.0, help="share of its traces to keep, default 1: all")
    begin.add_argument(
        "--for", dest="seconds", type=duration, default=1_800, metavar="TIME", help="30m (default), 2h, 90s"
    )
    end = sub.add_parser("end", help="end a raise before its time")
    end.add_argument("agent", metavar="AGENT")
    shown = sub.add_parser("list", help="what is raised now, and until when")
    for action in (begin, end, shown):
        action.add_argument("--file", type=Path, help=f"the file that the agents look at, default ${VARIABLE}")


def share(text: str) -> float:
    """The type of an argument that is a share from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; a share is a number from 0 to 1")
    return number


def duration(text: str) -> int:
    """The type of an argument that is a time of at most a day, in seconds: 90s, 30m, 2h."""
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of up to a day; say 90s, 30m or 2h")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0; raises UsageError for a file that is not named or cannot be read or written."""
    from tachograph.sampling.raises import Raise, read, write

    path, now = _path(arguments), time.time()
    try:
        raises = [one for one in read(path) if one.until > now]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no sampling file: {error}. Remove it, or name another one with --file.") from error
    if arguments.action == "list":
        print("\n".join(map(_line, raises)) or f"Nothing is raised in {path}.")
        return 0
    others = [one for one in raises if one.agent != arguments.agent]
    added = [Raise(arguments.agent, arguments.rate, now + arguments.seconds)] if arguments.action == "raise" else []
    try:
        write(path, [*others, *added])
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name another file with --file.") from error
    if added:
        print(f"{_line(added[0])}. Agents that were started with {VARIABLE}={path} follow within seconds.")
    else:
        ended = "ended" if len(others) < len(raises) else "was not raised"
        print(f"{arguments.agent}: {ended}")
    return 0


def _path(arguments: argparse.Namespace) -> Path:
    named: Path | None = arguments.file
    if named is None and not os.environ.get(VARIABLE, "").strip():
        raise UsageError(f"Name the file that the agents look at: --file FILE, or {VARIABLE} as they have it.")
    return (named or Path(os.environ[VARIABLE])).absolute()


def _line(one: Raise) -> str:
    until = datetime.fromtimestamp(one.until, UTC)
    kept = "all" if one.rate == 1 else "no" if one.rate == 0 else f"{100 * one.rate:g} % of its"
    return f"{one.agent}: {kept} traces are kept until {until:%Y-%m-%d %H:%M:%S} UTC"


COMMAND = Command("keep more of one agent's traces for a while", configure, run)
