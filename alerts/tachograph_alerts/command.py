"""`tachograph alerts build|check|test`: writes, compares and unit-tests the generated alert files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse

PROMTOOL = Path(__file__).parent / "promtool"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("build", help="write the rules, Alertmanager's configuration and the runbooks")
    actions.add_parser(
        "check", help="exit with 1 and name the files that are not what alerts.toml and the registry say"
    )
    actions.add_parser("test", help="run the rules' unit tests with promtool")


def run(arguments: argparse.Namespace) -> int:
    """Does one action; 0 when all is well, 1 when a file is stale or a test fails."""
    return {"build": build, "check": check, "test": test}[arguments.action]()


def build() -> int:
    """Writes the stale files."""
    from tachograph.registry import load as registry
    from tachograph_alerts.catalogue import load
    from tachograph_alerts.render import render, stale

    files = render(registry(), load(registry()))
    for path in stale(files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], "utf-8")
        print(f"wrote {_shown(path)}")
    return 0


def check() -> int:
    """Names the stale files on stderr."""
    from tachograph.registry import load as registry
    from tachograph_alerts.catalogue import load
    from tachograph_alerts.render import render, stale

    found = stale(render(registry(), load(registry())))
    for path in found:
        print(f"{_shown(path)} is stale: run `tachograph alerts build`.", file=sys.stderr)
    return 1 if found else 0


def test() -> int:
    """Runs promtool over every file of promtool/."""
    promtool = shutil.which("promtool")
    if promtool is None:
        raise UsageError("promtool runs these tests and is not installed: apt-get install prometheus")
    cases = sorted(str(path) for path in PROMTOOL.glob("*.yaml"))
    return subprocess.run([promtool, "test", "rules", *cases], check=False).returncode  # noqa: S603 - our own files


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


COMMAND = Command(help="build, check and test the alert rules", configure=configure, run=run, extra="dashboards")
