"""`tachograph import`: files of OTLP into a store."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from tachograph_analytics.imports.request import Counted
    from tachograph_analytics.imports.work import Done
    from tachograph_analytics.store.home import Home

_NAMED = 20  # broken places that are named one by one


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="OTLP as JSON or protobuf, or what the Collector's file exporter wrote; a folder; - for stdin",
    )
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--endpoint", metavar="URL", help="post to this OTLP/HTTP receiver instead of a home's own")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.imports.sink import sink
    from tachograph_analytics.imports.work import bring_in, size, sources
    from tachograph_analytics.progress import progress
    from tachograph_analytics.store.home import Home

    if arguments.endpoint is not None and not arguments.endpoint.startswith(("http://", "https://")):
        raise UsageError(f"--endpoint {arguments.endpoint!r} is no URL; give one like http://127.0.0.1:4318.")
    began = time.monotonic()
    files = sources(arguments.files)
    home = Home.at(arguments.home)
    before = _runs(home) if arguments.endpoint is None else None
    with sink(home, arguments.endpoint) as taken, progress("Importing", size(files), "bytes") as advance:
        done = bring_in(files, taken, advance)
    new = None if before is None else (_runs(home) or 0) - before
    print(_summary(done, new, time.monotonic() - began))
    for sentence in _remarks(done.counted):
        print(sentence)
    return _broken(done)


def _runs(home: Home) -> int:
    """How many runs the home holds; 0 before there is one."""
    from tachograph_analytics.runs.extent import count
    from tachograph_analytics.runs.scope import Scope
    from tachograph_analytics.store.views import connect

    if not home.wal.is_dir():
        return 0
    with connect(home) as connection:
        return count(connection, Scope())


def _summary(done: Done, runs: int | None, seconds: float) -> str:
    from tachograph_analytics.app.words import duration, many

    counted = done.counted
    new = "" if runs is None else f", {many(runs, 'new run')}"
    took = duration(seconds * 1000)
    return f"{many(done.files, 'file')}: {many(counted.spans, 'span')}, {many(counted.events, 'event')}{new} in {took}."


def _remarks(counted: Counted) -> list[str]:
    from tachograph_analytics.app.words import many

    remarks: list[str] = []
    if counted.rejected:
        what = many(counted.rejected, "span")
        remarks.append(f"{what} without a valid trace or span id: kept in the store's quarantine, not in its views.")
    if counted.metrics:
        remarks.append("Metrics were passed over: they belong to Prometheus.")
    if counted.foreign:
        what = many(counted.foreign, "span")
        remarks.append(
            f"{what} without tachograph.run.id: in the view spans, with the models, tokens and tools that their "
            "dialect names; runs, outcome, cost, tier and workflow stay empty."
        )
    return remarks


def _broken(done: Done) -> int:
    for sentence in done.broken[:_NAMED]:
        sys.stderr.write(f"tachograph import: {sentence}\n")
    if len(done.broken) > _NAMED:
        sys.stderr.write(f"tachograph import: and {len(done.broken) - _NAMED} more places like these\n")
    return 2 if done.broken else 0


COMMAND = Command(help="read files of OTLP into a store", configure=_configure, run=_run, extra="analytics")
