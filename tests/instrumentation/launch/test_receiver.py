"""To whom the token is shown, and which port is left to the program."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

import pytest
from instrumentation.launch.programs import child, end, start, write

from tachograph.config import read
from tachograph.launch.receiver import Receiver, receiver
from tachograph_analytics.listen import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Server(ThreadingHTTPServer):
    """Notes the path and the token of each request; `/healthz` leads to `elsewhere`, if that is said."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.elsewhere: str | None = None


class _Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride] - it serves no other

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers["Authorization"]))
        if self.server.elsewhere is None:
            self.send_response(404)
        else:
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at `seen`."""


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    pair = Server(), Server()
    for each in pair:
        threading.Thread(target=each.serve_forever, args=(0.01,)).start()
    yield pair
    for each in pair:
        each.shutdown()
        each.server_close()


# An address of this machine that is none of loopback's, though it leads there on Linux.
ANY: Final = "0.0.0.0"  # noqa: S104 - nothing listens there


@pytest.mark.parametrize(
    ("host", "named", "token"),
    [(ANY, False, None), (ANY, True, "Bearer s13"), ("127.0.0.1", False, "Bearer s13")],
)
def test_token_is_shown_to_this_machine_and_to_whom_the_user_names(
    host: str, *, named: bool, token: str | None, servers: tuple[Server, Server], tmp_path: Path, monkeypatch
):
    url = f"http://{host}:{servers[0].server_port}"
    monkeypatch.setenv("TACHOGRAPH_TOKEN", "s13")
    config = read(endpoint=url) if named else read(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    with receiver(config, str(tmp_path)) as found:
        assert found.settle() is False
    assert servers[0].seen == [("/healthz", token), ("/status", token)]


def test_token_does_not_follow_a_redirection(servers: tuple[Server, Server], tmp_path: Path, monkeypatch):
    first, second = servers
    first.elsewhere = f"http://127.0.0.1:{second.server_port}/healthz"
    monkeypatch.setenv("TACHOGRAPH_TOKEN", "s13")
    with receiver(read(endpoint=f"http://127.0.0.1:{first.server_port}"), str(tmp_path)):
        pass
    assert (first.seen, second.seen) == ([("/healthz", "Bearer s13")], [])


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("http://localhost:4318", True),
        ("http://[::1]:4318", True),
        ("http://127.0.0.1@collector.example:4318", False),
        ("http://127.0.0.1.example", False),
        ("http://[", False),
    ],
)
def test_an_address_of_the_environment_is_trusted_on_this_machine(url: str, *, trusted: bool):
    assert Receiver(url, by_environment=True).trusted is trusted


BINDING = """
import os, socket
def handle(x): return x
handle(11)
try:
    socket.create_server(("127.0.0.1", int(os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"]))).close()
except OSError as error:
    print(type(error).__name__)
else:
    print("free")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "said"), [({}, "free\n"), ({"OTEL_METRICS_EXPORTER": "prometheus"}, "OSError\n")])
def test_port_of_metrics_is_the_programs_unless_metrics_are_asked_for(
    asked: dict[str, str], said: str, endpoint: str, tmp_path: Path
):
    folder = tmp_path / "program"
    write(folder, {"agent.py": BINDING})
    words = child([sys.executable, "agent.py"], folder, endpoint)
    done = end(start(words, folder, OTEL_EXPORTER_PROMETHEUS_PORT=str(free_port()), **asked))
    assert (done.code, done.out, done.errors) == (0, said, "")
