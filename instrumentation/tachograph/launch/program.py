"""What follows `--`: which Python runs which program, and where tachograph lies in that Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph.launch.plan import Kind

_PYTHON = re.compile(r"(python|pypy)[0-9.]*[td]*(\.exe)?")
_FLAGS = frozenset("bBdEiIOPqsSuv")  # options without a value that leave a program to run
_VALUED = frozenset("WX")
_LONG_VALUED = "--check-hash-based-pycs"
_SEARCH_CHANGING = frozenset("EIPsS")  # options that may hide an installed package from the interpreter

_EXAMPLE = "tachograph run -- python agent.py"
# The trick with which installers write interpreters whose path is too long for a #! line.
_SHELL_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' (\"[^\"]+\"|\S+)((?: \S+)*?) \"\$0\" \"\$@\"")
_HEAD = 4096  # bytes of a file: more than any #! line has

_PROBE = (
    "import importlib.util, sys; sys.path[:1] = sys.path[:1] if sys.path[:1] != [''] else []; "
    "found = importlib.util.find_spec('tachograph'); print(found.origin if found else '')"
)
_PROBE_S = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """A Python program: the words that start it are `python`, `options`, then -m, -c or the file, then `arguments`."""

    python: str
    kind: Kind
    what: str
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The words that start it without us."""
        how = {"file": (self.what,), "module": ("-m", self.what), "code": ("-c", self.what)}[self.kind]
        return (self.python, *self.options, *how, *self.arguments)

    @property
    def name(self) -> str:
        """What it is called: the name of its file, folder or module."""
        match self.kind:
            case "file":
                return Path(os.path.realpath(self.what)).stem
            case "module":
                return self.what
            case "code":
                return "python"


def program(words: Sequence[str]) -> Program:
    """The program that the words start; UsageError where they start none, or none in Python."""
    if not words:
        raise UsageError(f"it needs a program: {_EXAMPLE}")
    first, rest = words[0], words[1:]
    if _PYTHON.fullmatch(Path(first).name):
        if shutil.which(first) is None:
            raise UsageError(f"there is no {first} here: name a Python that is installed, as in {_EXAMPLE}")
        return _of_options(first, rest)
    file = shutil.which(first)
    if file is None:
        named = f"python {first}" if Path(first).is_file() else "python agent.py"
        raise UsageError(f"{first} is no program on the PATH: say for instance tachograph run -- {named}")
    interpreter = _interpreter(Path(file))
    if interpreter is None:
        raise UsageError(
            f"{first} is no Python program, so nothing of it could be recorded: name one, as in {_EXAMPLE}. "
            "Where it starts one, put `tachograph run --` between the two."
        )
    return Program(interpreter[0], "file", file, tuple(interpreter[1:]), tuple(rest))


def _of_options(python: str, words: Sequence[str]) -> Program:
    """The program that Python itself would run, by its own rules for options."""
    options: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == _LONG_VALUED and rest:
            options += [word, rest.pop(0)]
            continue
        for position, letter in enumerate(word[1:], 1):
            value = word[position + 1 :]
            if letter in {"c", "m"}:
                what = value or (rest.pop(0) if rest else "")
                if not what:
                    raise UsageError(f"-{letter} needs something behind it: {_EXAMPLE}")
                before = (word[:position],) if position > 1 else ()
                return Program(python, "module" if letter == "m" else "code", what, (*options, *before), tuple(rest))
            if letter in _VALUED:
                options += [word] if value or not rest else [word, rest.pop(0)]
                break
            if letter not in _FLAGS:
                raise UsageError(f"with {word} Python runs no program that could be recorded: {_EXAMPLE}")
        else:
            options.append(word)
    if not rest or rest[0] == "-":
        raise UsageError(f"a program that is typed in cannot be recorded: name its file, as in {_EXAMPLE}")
    return Program(python, "file", rest[0], tuple(options), tuple(rest[1:]))


def _interpreter(file: Path) -> list[str] | None:
    """The Python and its options that a file's first line names; None for any other."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
    except OSError:
        return None
    if wrapped := _SHELL_SHEBANG.match(head):
        words = [os.fsdecode(wrapped[1]).strip('"'), *os.fsdecode(wrapped[2]).split()]
    elif head.startswith(b"#!"):
        words = os.fsdecode(head[2:].partition(b"\n")[0]).split()
        if words and Path(words[0]).name == "env":
            words = [word for word in words[1:] if word != "-S"]
    else:
        return None
    return words if words and _PYTHON.fullmatch(Path(words[0]).name) else None


def in_our_python(program: Program) -> Program | None:
    """The same program in the Python that tachograph itself is installed in; None where another one was meant.

    A bare `python` means whatever comes first on the PATH, which an environment that nobody activated does not.
    """
    meant = os.sep in program.python or "VIRTUAL_ENV" in os.environ or program.python == sys.executable
    return None if meant else replace(program, python=sys.executable)


def main_file(program: Program) -> str:
    """Where launch/main.py lies in the program's Python; UsageError where it has no tachograph, or an older one."""
    ours = Path(__file__).with_name("main.py")
    python = shutil.which(program.python) or program.python
    letters = {letter for option in program.options if not option.startswith("--") for letter in option[1:2]}
    if os.path.normpath(python) == os.path.normpath(sys.executable) and not letters & _SEARCH_CHANGING:
        return str(ours)
    command = [python, *program.options, "-c", _PROBE]
    try:
        answer = subprocess.run(  # noqa: S603 - the Python that the user names
            command, capture_output=True, text=True, timeout=_PROBE_S, check=False, stdin=subprocess.DEVNULL
        ).stdout.split("\n")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{python} does not answer ({type(error).__name__}): name another Python") from None
    origin = next((line for line in answer if line.endswith(".py")), None)
    if origin is None:
        how = " ".join([python, *program.options])
        raise UsageError(
            f"{how} has no tachograph, so nothing of the program could be recorded: "
            f"install it there with `{python} -m pip install tachograph`"
        )
    found = Path(origin).parent / "launch" / ours.name
    if not found.is_file():
        raise UsageError(
            f"{python} has a tachograph that cannot do this yet: `{python} -m pip install --upgrade tachograph`"
        )
    return str(found)
