"""`tachograph lint`: recorded telemetry against the registry."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from tachograph.registry.lint import LintFinding
    from tachograph.registry.recorded import Recorded

SOURCES = "tachograph.sources"
"""Entry-point group: a source is a function from a folder to `Recorded`; the store's is named `store`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `tachograph lint`."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="OTLP (JSON, protobuf) or a /metrics page")
    parser.add_argument("--home", type=Path, metavar="DIR", help="check what the store of this folder holds")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when clean, 1 with findings; raises UsageError for what cannot be read."""
    from tachograph.registry.files import read
    from tachograph.registry.lint import lint
    from tachograph.registry.recorded import Recorded

    files: list[Path] = arguments.files
    if not files and arguments.home is None:
        raise UsageError("Name the files to check, or the store with --home: tachograph lint FILE [FILE…].")
    recorded = Recorded()
    for path in files:
        recorded += read(path)
    if arguments.home is not None:
        recorded += stored(arguments.home)
    findings = lint(recorded)
    print(json.dumps([asdict(finding) for finding in findings]) if arguments.json else page(findings, recorded))
    return 1 if findings else 0


def stored(home: Path) -> Recorded:
    """What the store in `home` holds, by way of the package that owns stores."""
    found = entry_points(group=SOURCES, name="store")
    try:
        source = next(iter(found)).load()
        return source(home)
    except (StopIteration, ModuleNotFoundError) as error:
        raise UsageError("--home needs the store: pip install 'tachograph[analytics]'.") from error


def page(findings: list[LintFinding], recorded: Recorded) -> str:
    """One line a finding, and what was looked at."""
    lines = [
        f"{finding.subject}: {finding.name} {finding.message} [{finding.rule}]"
        f" ({finding.count} times, first at {finding.where or '-'})"
        for finding in findings
    ]
    looked = f"{len(recorded.spans)} spans, {len(recorded.events)} events, {len(recorded.series)} series"
    return "\n".join([*lines, f"{looked}: {len(findings)} findings" if findings else f"{looked}: clean"])


COMMAND = Command("check recorded telemetry against the registry", configure, run)
