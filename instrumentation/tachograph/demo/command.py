"""`tachograph demo`: the reference agents run, made observable by one call; returns when all of it is queryable."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tachograph.cli import Command, port
from tachograph.demo.world import AGENTS, RUNS, SEED, World, last_full_hour
from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

APP_URL: Final = "http://127.0.0.1:8501"
"""Where the app is when it is not this command that serves it: `tachograph up` and the compose stack have it there."""

_MARK: Final = "demo.txt"  # in the home: which history is in it


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--headless", action="store_true", help="no app: return when everything is queryable")
    parser.add_argument("--only", choices=AGENTS, help="one of the reference agents")
    parser.add_argument("--seed", type=int, default=SEED, help=f"same seed, same history (default: {SEED})")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="the history's end (default: the last full hour)")
    parser.add_argument("--runs", type=_count, default=RUNS, help=f"of all agents in five weeks (default: {RUNS})")
    parser.add_argument("--trajectories", type=Path, metavar="FILE", help="no history, but recorded airline runs")
    parser.add_argument("--endpoint", metavar="URL", help="an OTLP/HTTP receiver that runs already")
    parser.add_argument("--metrics-out", type=Path, metavar="FILE", help="write the last /metrics of the agents here")
    parser.add_argument("--openmetrics-out", type=Path, metavar="FILE", help="write 8 days of metrics here")
    parser.add_argument("--pace", type=_seconds, metavar="SECONDS", help="go on for ever: a run every so many seconds")
    parser.add_argument("--home", metavar="DIR", help="the store's folder (default: a new temporary one)")
    parser.add_argument("--port", type=port, default=4318, help="OTLP over HTTP (default: 4318, else a free one)")
    parser.add_argument("--app-port", type=port, default=8501, help="the app (default: 8501, else a free one)")


def _moment(text: str) -> float:
    """The type of an argument that is a time: seconds since 1970, UTC where it names no zone."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; 2026-11-24T13:00Z would be one") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; 0 and more are")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; 5 and 0.5 are")
    return seconds


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    until = last_full_hour() if arguments.until is None else arguments.until
    world = World(arguments.seed, until, arguments.runs)
    if arguments.endpoint:
        _play(arguments, world, arguments.endpoint, APP_URL)
        return 0
    home = arguments.home or tempfile.mkdtemp(prefix="tachograph-demo-")
    if arguments.trajectories is None and world.runs:
        _claim(Path(home), world)
    app_port = None if arguments.headless else arguments.app_port
    (found,) = entry_points(group="tachograph.services", name="demo_services")
    with found.load()(home, arguments.port, app_port) as (endpoint, app):
        if app is not None:
            print(f"app:   {app}", flush=True)
        _play(arguments, world, endpoint, app or APP_URL, home)
        if app is not None:
            print(f"app:   {app}\nCtrl-C ends it.", flush=True)
            _wait_for_ever()
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """A sentence now for what would only fail after minutes."""
    from tachograph.demo.airline.replay import read

    for option, path in (("--metrics-out", arguments.metrics_out), ("--openmetrics-out", arguments.openmetrics_out)):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"{option}: {path.absolute().parent} is no folder; make it first.")
    if arguments.trajectories is None:
        return
    if arguments.only not in {None, "airline"}:
        raise UsageError(f"--trajectories replays the airline agent; leave --only {arguments.only} out.")
    if arguments.openmetrics_out is not None:
        raise UsageError("--openmetrics-out writes a history and --trajectories plays none; leave one of them out.")
    read(arguments.trajectories)


def _claim(home: Path, world: World) -> None:
    """Marks the home as having this history; another one in it would count every run twice."""
    mark = home / _MARK
    if mark.exists():
        raise UsageError(
            f"{home} has a history already ({mark.read_text('utf-8').strip()}): look at it with "
            f"`tachograph up --home {home}`, or give the new one another --home."
        )
    home.mkdir(parents=True, exist_ok=True)
    mark.write_text(f"{world}\n", "utf-8")


def _play(arguments: argparse.Namespace, world: World, endpoint: str, app: str, home: str | None = None) -> None:
    """Plays what was asked for, waits until the store can answer for it, and says where it is."""
    from tachograph.demo import receiver, show

    ours = receiver.check(endpoint)
    agents = AGENTS if arguments.only is None else (arguments.only,)
    if arguments.trajectories is not None:
        show.play_recordings(arguments.trajectories, endpoint, metrics=arguments.metrics_out, pace=arguments.pace)
    elif world.runs:
        show.play_history(world, agents, endpoint, metrics=arguments.metrics_out, tape=arguments.openmetrics_out)
    if ours:
        receiver.wait_until_queryable(endpoint)
    else:
        print(f"{endpoint} is not tachograph's receiver: when it can be queried is for it to say.", flush=True)
    if arguments.trajectories is None and world.runs:
        if ours:
            _post_alerts(world, agents, endpoint, app)
        print(f"world: {world}", flush=True)
    if home is not None:
        print(f"store: {home}\n  tachograph detect --home {home}", flush=True)
    if arguments.trajectories is None and arguments.pace is not None:
        show.play_live(world, agents, endpoint, arguments.pace)


def _post_alerts(world: World, agents: Sequence[str], endpoint: str, app: str) -> None:
    from tachograph.demo import incidents, receiver

    for notification in incidents.notifications(world, agents, app):
        receiver.post_alerts(endpoint, notification)
    receiver.wait_until_queryable(endpoint)


def _wait_for_ever() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _interrupt(_number: int, _frame: object) -> None:
    """SIGTERM ends the demo as Ctrl-C does: whatever it started is stopped on the way out."""
    raise KeyboardInterrupt


COMMAND = Command(help="run the reference agents and look at them", configure=_configure, run=_run, extra="analytics")
