"""Receiver, decoder and app as child processes that are started again when they die and end with their parent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tachograph.errors import UsageError
from tachograph_analytics.listen import LOOPBACK, TOKEN_ENVIRONMENT, free_port, require_token

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from tachograph_analytics.store.home import Home

SERVER_MODULES = ("duckdb", "pyarrow", "starlette", "streamlit", "uvicorn")
"""What the children import: looked for before they are started, since a child cannot tell the user."""

_POLL_S = 0.1
_FIRST_BACKOFF_S = 0.2
_LAST_BACKOFF_S = 5.0
_LIVED_LONG_S = 10.0
_STOP_S = 10.0
_START_S = 30.0
_USER_CAN_MEND = 2


@dataclass(frozen=True, slots=True)
class Service:
    """One child: its name, its module and the module's arguments."""

    name: str
    module: str
    arguments: tuple[str, ...]


def services(home: Home, *, host: str = LOOPBACK, port: int, app_port: int | None = None) -> tuple[Service, ...]:
    """The children of a home: the receiver, the decoder and, if it has a port, the app."""
    at = ("--home", str(home.path))
    receiver = Service("receiver", "tachograph_analytics.receiver", (*at, "--host", host, "--port", str(port)))
    decoder = Service("decoder", "tachograph_analytics.store.decoder", at)
    if app_port is None:
        return receiver, decoder
    return receiver, decoder, Service("app", "tachograph_analytics.app", (*at, "--port", str(app_port)))


@dataclass(slots=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    started: float
    backoff_s: float = _FIRST_BACKOFF_S
    due: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Keeps `services` running; a pid file of each is in the home's run folder. Not for use by several threads."""

    home: Home
    services: Sequence[Service]
    token: str | None = None
    _children: list[_Child] = field(default_factory=list[_Child])

    def start(self) -> None:
        """Starts every child."""
        self.home.create()
        for service in self.services:
            self._children.append(_Child(service, self._spawn(service), time.monotonic()))

    def watch(self, stop: threading.Event) -> None:
        """Starts again whatever dies, until `stop` is set; UsageError if a child ends over what the user can mend."""
        while not stop.wait(_POLL_S):
            for child in self._children:
                self._tend(child)

    def stop(self) -> None:
        """Ends all children, the receiver first, so that nothing is taken that nobody decodes."""
        for child in self._children:
            child.process.terminate()
        for child in self._children:
            try:
                child.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            _pid_file(self.home, child.service).unlink(missing_ok=True)

    def _tend(self, child: _Child) -> None:
        code = child.process.poll()
        if code is None:
            return
        now = time.monotonic()
        if child.due is None:
            if code == _USER_CAN_MEND:
                raise UsageError(f"the {child.service.name} cannot work, its reason stands above")
            if now - child.started > _LIVED_LONG_S:
                child.backoff_s = _FIRST_BACKOFF_S
            child.due = now + child.backoff_s
            _say(f"the {child.service.name} ended with {code}; it starts again in {child.backoff_s:g} s")
            child.backoff_s = min(2 * child.backoff_s, _LAST_BACKOFF_S)
        if now >= child.due:
            child.process, child.started, child.due = self._spawn(child.service), now, None

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", service.module, *service.arguments, "--parent", str(os.getpid())]
        # The token goes by the environment: arguments can be read by every user of the machine.
        environment = os.environ | ({TOKEN_ENVIRONMENT: self.token} if self.token else {})
        # In a session of its own a child does not get the terminal's Ctrl-C: it is told to stop once, by us.
        process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - our own modules
        _pid_file(self.home, service).write_text(f"{process.pid}\n", "ascii")
        return process


@contextmanager
def embedded(
    home: Home, *, host: str = LOOPBACK, port: int = 0, token: str | None = None, app_port: int | None = None
) -> Generator[str]:
    """Receiver and decoder (and app) of `home` for as long as the block runs; gives the receiver's URL once it answers.

    Port 0 takes a free one. Children that die meanwhile are started again. UsageError where they cannot work.
    """
    require_token(host, token)
    port = port or free_port(host)
    url = f"http://{_reachable(host)}:{port}"
    supervisor = Supervisor(home, services(home, host=host, port=port, app_port=app_port), token)
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(supervisor, stop), name="supervisor", daemon=True)
    try:
        supervisor.start()
        watcher.start()
        _wait_ready(url, watcher)
        yield url
    finally:
        stop.set()
        if watcher.ident is not None:
            watcher.join()
        supervisor.stop()


def _watch(supervisor: Supervisor, stop: threading.Event) -> None:
    try:
        supervisor.watch(stop)
    except UsageError as error:
        _say(str(error))


def _wait_ready(url: str, watcher: threading.Thread) -> None:
    deadline = time.monotonic() + _START_S
    while not _answers(f"{url}/readyz"):
        if not watcher.is_alive():
            raise UsageError("receiver and decoder did not start, the reason stands above")
        if time.monotonic() > deadline:
            raise UsageError(f"the receiver does not answer at {url} after {_START_S:g} s")
        time.sleep(_POLL_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_STOP_S):  # noqa: S310 - our own address
            return True
    except (urllib.error.URLError, OSError):
        return False


def _reachable(host: str) -> str:
    """An address of this machine that reaches a listener on `host`."""
    wildcard = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # noqa: S104 - compared, not listened on
    return wildcard.get(host, f"[{host}]" if ":" in host else host)


def _pid_file(home: Home, service: Service) -> Path:
    return home.run / f"{service.name}.pid"


def _say(sentence: str) -> None:
    sys.stderr.write(f"tachograph: {sentence}\n")
