"""`tachograph dashboards build|check`: writes and compares the generated boards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.cli import Command

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("build", help="write the boards")
    actions.add_parser("check", help="exit with 1 and name the boards that are not what the registry says")


def run(arguments: argparse.Namespace) -> int:
    """Does one action; 0 when all is well, 1 when `check` finds a stale file."""
    return {"build": build, "check": check}[arguments.action]()


def build() -> int:
    """Writes the stale files."""
    from tachograph.registry import load
    from tachograph_dashboards.render import render, stale

    files = render(load())
    for path in stale(files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], "utf-8")
        print(f"wrote {_shown(path)}")
    return 0


def check() -> int:
    """Names the stale files on stderr."""
    from tachograph.registry import load
    from tachograph_dashboards.render import render, stale

    found = stale(render(load()))
    for path in found:
        print(f"{_shown(path)} is stale: run `tachograph dashboards build`.", file=sys.stderr)
    return 1 if found else 0


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


COMMAND = Command(help="build and check the Grafana dashboards", configure=configure, run=run, extra="dashboards")
