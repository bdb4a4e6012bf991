"""Programs as subprocesses, alone and under `tachograph run`."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.launch.plan import Plan
from tachograph.launch.program import main_file, program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEADLINE_S = 120.0  # on a machine that is busy with other tests


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and all it wrote."""

    code: int
    out: str
    errors: str


def environment(**more: str) -> dict[str, str]:
    """A plain one: nothing of OpenTelemetry's or ours but what is asked for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TACHOGRAPH_"))}
    return {**kept, **more}


def start(words: Sequence[str], folder: Path, **more: str) -> subprocess.Popen[str]:
    """Without a terminal, so that a signal that the test sends is taken to be meant for the program."""
    pipe, env = subprocess.PIPE, environment(**more)
    return subprocess.Popen(
        words, cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def end(process: subprocess.Popen[str], stdin: str = "") -> Ended:
    out, errors = process.communicate(stdin, timeout=DEADLINE_S)
    return Ended(process.returncode, out, errors)


def child(words: Sequence[str], folder: Path, endpoint: str) -> list[str]:
    """The words with which `tachograph run` starts a program; without the command itself, which takes its time too."""
    asked = program(words)
    journal = folder.with_name(f"{folder.name}.journal")
    journal.touch()
    plan = Plan(asked.kind, asked.what, asked.command, asked.arguments, "desk", endpoint, journal=str(journal))
    told = folder.with_name(f"{folder.name}.plan")
    told.write_text(plan.written(), "ascii")
    return [asked.python, *asked.options, main_file(asked), str(told)]


def recorded(words: Sequence[str], *options: str) -> list[str]:
    """The words that run a program under `tachograph run`."""
    return [str(Path(sys.executable).with_name("tachograph")), "run", *options, "--", *words]


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
