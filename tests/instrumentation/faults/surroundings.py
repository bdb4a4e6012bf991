"""Where an agent is played: recorded in memory, or in a process of its own making that is instrumented."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import threading
from collections import Counter
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from unittest import mock

from instrumentation.faults import plain
from instrumentation.faults.outcome import Lines
from instrumentation.faults.watch import Watch
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry._logs import _internal as logs_api
from opentelemetry.metrics import CallbackOptions
from opentelemetry.metrics import _internal as metrics_api
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.util._once import Once

import tachograph
from tachograph.instrument import exposition, report, watch
from tachograph.metrics.metrics import _collected
from tachograph.plain.install import install
from tachograph.registry import instruments
from tachograph.telemetry import guard, providers
from tachograph.telemetry.correlation import correlate
from tachograph.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.faults.outcome import Inside, Outcome, Play

    from tachograph.launch.importer import Importer
    from tachograph.launch.journal import Writer
    from tachograph.testing import Recorded


FLUSH_S = 0.3  # many times what it takes, so that only a fault makes it wait so long


class Log(list[object]):
    """A host's own audit log."""


@contextlib.contextmanager
def recorded(outcome: Outcome, target: object = None) -> Iterator[Recorded]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(never_forked())
        if target is not None:
            stack.callback(install(target).undo)
        recorded = stack.enter_context(recording("desk", capture="redacted", hash_key=b"17", audit_log=Log()))
        recorded.recorder.baggage = "on"
        stack.callback(correlate())
        record = recorded.recorder.metrics.record
        stack.callback(guard.listen(lambda hook: record(instruments.INTERNAL_ERRORS, 1, {"tachograph.hook": hook})))
        yield recorded
        if not outcome.counts:
            return
        series = recorded.series(instruments.INTERNAL_ERRORS.name).items()
        outcome.counted = Counter({dict(labels)["tachograph_hook"]: int(value) for labels, value in series if value})


# -- a process of its own making
def never_forked() -> contextlib.AbstractContextManager[object]:
    """No handlers of forks: nothing takes them back, and a thousand plays later a fork would call them all."""
    return mock.patch.object(os, "register_at_fork", return_value=None)


@contextlib.contextmanager
def fresh(outcome: Outcome) -> Iterator[None]:
    """A process in which nobody has set a provider yet, and which does not fork; as it was afterwards."""
    with never_forked(), forking(outcome):
        yield


@contextlib.contextmanager
def forking(_: Outcome) -> Iterator[None]:
    """As `fresh`, and it may fork."""
    places: list[tuple[Any, str, Any]] = [
        (trace, "_TRACER_PROVIDER", None),
        (trace, "_TRACER_PROVIDER_SET_ONCE", Once()),
        (logs_api, "_LOGGER_PROVIDER", None),
        (logs_api, "_LOGGER_PROVIDER_SET_ONCE", Once()),
        (metrics_api, "_METER_PROVIDER", None),
        (metrics_api, "_METER_PROVIDER_SET_ONCE", Once()),
        (providers, "_ours", []),
        (providers, "_heirs", {}),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    for owner, name, value in places:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answers = {"/refuses": 400, "/fails": 500}
        self.send_response(answers.get(self.path.removesuffix("/v1/traces").removesuffix("/v1/logs"), 200))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def endpoint() -> Iterator[str]:
    """An OTLP endpoint that takes everything, and nothing below /refuses and /fails."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def instrumented(
    play: Play, target: object = plain, then: Play = lambda: None, flush_s: float = FLUSH_S, **settings: Any
) -> object:
    """Played in a process that is instrumented before and is not after; `then` happens in between."""
    settings = {"service_name": "desk", **settings}
    try:
        made = tachograph.instrument(target, **settings)
        tachograph.instrument(target, **settings)
        then()
        got = play()
        str(made)
        tachograph.flush(flush_s)
        exposition()
    finally:
        tachograph.uninstrument()
    return got


def with_variables(variables: dict[str, str], inside: Inside) -> Inside:
    """Played with some of OpenTelemetry's variables set."""

    def play_with(play: Play) -> object:
        with mock.patch.dict(os.environ, variables), contextlib.redirect_stdout(io.StringIO()):
            return inside(play)

    return play_with


class Analyzer:
    """Finds nothing."""

    def analyze(self, text: str, language: str) -> list[Any]:
        return []


def replaces_providers() -> None:
    """The application sets its own, a little late."""
    tracer, logger = trace.get_tracer("early"), logs_api.get_logger("early")
    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    logs_api.set_logger_provider(LoggerProvider(shutdown_on_exit=False))
    tracer.start_span("early").end()
    logger.emit(LogRecord(body="early"))


def launched(play: Play, writer: Writer, importer: Importer, base: Callable[..., object]) -> object:
    """Played in the process of a program that `tachograph run` started."""

    def then() -> None:
        watch(writer)
        sys.meta_path.insert(0, importer)
        writer.ended(report(), {"handle": "run"})

    return base(play, target=None, then=then)


def in_child(play: Play, base: Inside) -> object:
    """Played in a forked child of an instrumented process, which tells what it saw."""
    return base(partial(_forked, play))


def _lines() -> list[str]:
    """What was logged so far."""
    handlers = logging.getLogger("tachograph").handlers
    return next((handler.lines for handler in handlers if isinstance(handler, Lines)), [])


def _written(pipe: int, said: bytes) -> None:
    while said:
        said = said[os.write(pipe, said) :]


def _forked(play: Play) -> object:
    reading, writing = os.pipe()
    known = len(_lines())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            got = repr(play())
            _collected(CallbackOptions())  # as the readers ask
            told = [got, Watch.told(), dict(guard.failures), _lines()[known:]]
            _written(writing, json.dumps(told).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    got, watched, failures, lines = json.loads(told)
    Watch.hear(watched)
    guard.failures.update({hook: count - guard.failures[hook] for hook, count in failures.items()})
    for line in lines:
        logging.getLogger("tachograph").warning(line)
    return got
