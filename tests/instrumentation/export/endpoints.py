"""OTLP endpoints on loopback that answer from a script, what was counted, and patience."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tachograph.registry.instruments import Instrument


@dataclass
class Endpoint:
    """A loopback OTLP endpoint that answers from a script: a status, "hang" or "die"; the last one stays."""

    script: list[int | str] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    bodies: list[bytes] = field(default_factory=list[bytes])
    paths: list[str] = field(default_factory=list[str])
    seen: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def next_answer(self) -> int | str:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint: Endpoint

    def do_POST(self) -> None:
        answer = self.endpoint.next_answer()
        length = int(self.headers["Content-Length"])
        if answer == "die":
            self.rfile.read(length // 2)
            self.connection.close()
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if answer == "hang":
            self.endpoint.released.wait(20)
            self.close_connection = True
            return
        self.endpoint.paths.append(self.path)
        self.endpoint.seen.append({name.lower(): value for name, value in self.headers.items()})
        if answer == 200:
            self.endpoint.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(int(answer))
        for name, value in self.endpoint.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Clients that go away are part of these tests."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Endpoint]]:
    servers: list[tuple[ThreadingHTTPServer, Endpoint]] = []

    def start(*script: int | str, headers: Mapping[str, str] | None = None) -> Endpoint:
        endpoint = Endpoint(list(script) or [200], dict(headers or {}))
        handler = type("Handler", (_Handler,), {"endpoint": endpoint})
        server = _Server(("127.0.0.1", 0), handler)
        endpoint.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append((server, endpoint))
        return endpoint

    yield start
    for server, endpoint in servers:
        endpoint.released.set()
        server.shutdown()
        server.server_close()


class Counts:
    """A tally that adds up."""

    def __init__(self) -> None:
        self.of: Counter[tuple[str, ...]] = Counter()

    def __call__(self, metric: Instrument, value: int, labels: Mapping[str, str]) -> None:
        self.of[(metric.name.removeprefix("tachograph."), *labels.values())] += value


@pytest.fixture
def counts() -> Counts:
    return Counts()


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for `condition`; fails the test when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    return until
