"""`tachograph demo`: the reference agents run, made observable by one call; returns when all of it is queryable."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import tempfile
import time
import urllib.error
import urllib.request
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tachograph.cli import Command, port
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from tachograph.demo.airline.replay import Recording

AGENTS = ("airline", "invoice", "support")
RELEASE = "airline-1"

_FLUSH_EVERY = 5  # runs: far fewer spans than the export queue holds
_DELIVERY_S = 90.0  # for a receiver that is being started again
_QUERYABLE_S = 120.0  # for a decoder that is being started again
_POLL_S = 0.1


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--headless", action="store_true", help="no app: return when everything is queryable")
    parser.add_argument("--only", choices=AGENTS, help="one of the reference agents")
    parser.add_argument("--trajectories", type=Path, metavar="FILE", help="recorded airline runs (JSON, also gzipped)")
    parser.add_argument("--endpoint", metavar="URL", help="an OTLP/HTTP receiver that runs already")
    parser.add_argument("--metrics-out", type=Path, metavar="FILE", help="write the last /metrics of the agents here")
    parser.add_argument("--pace", type=float, metavar="SECONDS", help="go on for ever: a run every so many seconds")
    parser.add_argument("--home", metavar="DIR", help="the store's folder (default: a new temporary one)")
    parser.add_argument("--port", type=port, default=4318, help="OTLP over HTTP (default: 4318, else a free one)")
    parser.add_argument("--app-port", type=port, default=8501, help="the app (default: 8501, else a free one)")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph.demo.airline.replay import read

    if arguments.only not in {None, "airline"}:
        raise UsageError(f"the {arguments.only} agent is not part of this version; --only airline is.")
    if arguments.metrics_out is not None and not arguments.metrics_out.absolute().parent.is_dir():
        raise UsageError(f"--metrics-out: {arguments.metrics_out.absolute().parent} is no folder; make it first.")
    recordings = read(arguments.trajectories)
    signal.signal(signal.SIGTERM, _interrupt)
    runs = recordings if arguments.pace is None else _for_ever(recordings, arguments.pace)
    if arguments.endpoint:
        _play(runs, arguments.endpoint, arguments.metrics_out)
        return 0
    home = arguments.home or tempfile.mkdtemp(prefix="tachograph-demo-")
    serve = _service("demo_services")
    app_port = None if arguments.headless else arguments.app_port
    with serve(home, arguments.port, app_port) as (endpoint, app):
        _play(runs, endpoint, arguments.metrics_out)
        print(f"store: {home}\n  tachograph detect --home {home}", flush=True)
        if app is not None:
            print(f"app:   {app}\nCtrl-C ends it.", flush=True)
            _wait_for_ever()
    return 0


def _for_ever(recordings: Sequence[Recording], pace_s: float) -> Iterator[Recording]:
    """The recordings over and over, one each `pace_s` seconds, until the process is told to stop."""
    for recording in itertools.cycle(recordings):
        yield recording
        try:
            time.sleep(pace_s)
        except KeyboardInterrupt:
            return


def _wait_for_ever() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _interrupt(_number: int, _frame: object) -> None:
    """SIGTERM ends the demo as Ctrl-C does: whatever it started is stopped on the way out."""
    raise KeyboardInterrupt


def _play(recordings: Iterable[Recording], endpoint: str, metrics_out: Path | None) -> None:
    """Runs the recordings through the instrumented agent and waits until the store can answer for all of them."""
    import tachograph
    from tachograph.demo.airline import agent, tools
    from tachograph.demo.airline.agent import AirlineAgent
    from tachograph.demo.airline.replay import Replay
    from tachograph.instrument import exposition

    _check(endpoint)
    report = tachograph.instrument([agent, tools], service_name="airline", endpoint=endpoint)
    print(report, flush=True)
    try:
        tachograph.release(RELEASE, track="stable")
        with _progress("airline", len(recordings) if isinstance(recordings, list) else None) as advance:
            for number, recording in enumerate(recordings):
                replay = Replay(recording)
                AirlineAgent(replay, replay).handle(replay.conversation())
                if number % _FLUSH_EVERY == 0:
                    _deliver(tachograph.flush)
                advance()
        _deliver(tachograph.flush)
        if metrics_out is not None:
            metrics_out.write_bytes(exposition())
    finally:
        tachograph.uninstrument()
    _until_queryable(endpoint)


def _deliver(flush: Callable[[float], bool]) -> None:
    if not flush(_DELIVERY_S):
        raise UsageError(
            f"telemetry was lost or not accepted within {_DELIVERY_S:g} s; is the receiver up? Try `tachograph up`."
        )


def _check(endpoint: str) -> None:
    """A sentence now instead of lost telemetry later: the endpoint must be a URL on which something listens."""
    if not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"--endpoint {endpoint!r} is no URL; give one like http://127.0.0.1:4318.")
    try:
        _status(endpoint)
    except urllib.error.HTTPError:
        return  # some other OTLP receiver: it has no /status
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UsageError(f"nothing answers at {endpoint} ({reason}); start `tachograph up --no-app` first.") from None


def _status(endpoint: str) -> dict[str, Any]:
    token = os.environ.get("TACHOGRAPH_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{endpoint.rstrip('/')}/status", headers=headers)  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - checked above
        return json.loads(response.read())


def _until_queryable(endpoint: str) -> None:
    deadline = time.monotonic() + _QUERYABLE_S
    while time.monotonic() < deadline:
        try:
            if _status(endpoint)["backlog_bytes"] == 0:
                return
        except (urllib.error.HTTPError, ValueError, KeyError):
            print(f"{endpoint} is not tachograph's receiver: when it can be queried is for it to say.", flush=True)
            return
        except OSError:
            pass  # being started again
        time.sleep(_POLL_S)
    raise UsageError(f"the decoder did not catch up within {_QUERYABLE_S:g} s; look at the output of `tachograph up`.")


def _service(name: str) -> Any:
    """What another package offers under `tachograph.services`; loaded only when it is called for."""
    found = entry_points(group="tachograph.services", name=name)
    return next(iter(found)).load()


@contextlib.contextmanager
def _progress(what: str, total: int | None) -> Generator[Callable[[], None]]:
    """A progress bar where rich is installed, else one line at the end."""
    try:
        bar = _service("progress")(what, total)
    except ModuleNotFoundError:
        bar = None
    if bar is None:
        yield lambda: None
        print(f"{what}: {total or 'all'} runs", flush=True)
        return
    with bar as advance:
        yield advance


COMMAND = Command(help="run the reference agents and look at them", configure=_configure, run=_run, extra="analytics")
