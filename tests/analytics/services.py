# ruff: noqa: S310 - the URLs are those of the processes started here
"""The receiver and the decoder as the real processes they are, for tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tachograph_analytics.listen import free_port
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
DEADLINE_S = 60.0  # on a machine that is busy with other tests


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


def wait_for(what: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """The first true value of `what`."""
    deadline = time.monotonic() + deadline_s
    while not (value := what()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s"
        time.sleep(0.02)
    return value


def send(url: str, body: bytes | None, content_type: str = PROTOBUF, **headers: str) -> Answer:
    """POSTs `body`, or GETs without one; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, {"Content-Type": content_type, **named})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return Answer(response.status, response.read(), response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), error.headers)


def get(url: str, **headers: str) -> Answer:
    return send(url, None, **headers)


def status(url: str) -> dict[str, Any]:
    return json.loads(get(f"{url}/status").body)


def is_ready(url: str) -> bool:
    try:
        return get(f"{url}/healthz").status == 200
    except (urllib.error.URLError, OSError):
        return False


def start_receiver(home: Home, port: int, *arguments: str) -> subprocess.Popen[bytes]:
    """The receiver as a process; it may not listen yet."""
    return _python("tachograph_analytics.receiver", "--home", str(home.path), "--port", str(port), *arguments)


def start_decoder(home: Home, *arguments: str) -> subprocess.Popen[bytes]:
    return _python("tachograph_analytics.store.decoder", "--home", str(home.path), *arguments)


@contextmanager
def receiving(home: Home, *arguments: str) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """A receiver that answers, ended with the block: its URL and its process."""
    port = free_port()
    process = start_receiver(home, port, *arguments)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: is_ready(url) or process.poll() is not None)
        yield url, process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


def decode_all(home: Home) -> None:
    """Decodes what the WAL holds, in a process of its own."""
    process = start_decoder(home, "--once")
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors


def run_to_end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Exit code and stderr of a process that ends by itself."""
    _, errors = process.communicate(timeout=DEADLINE_S)
    return process.returncode, errors.decode()


def _python(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=subprocess.PIPE)


def lives(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def home_at(path: Path) -> Home:
    return Home(path / "home").create()
