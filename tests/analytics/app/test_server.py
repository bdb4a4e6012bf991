from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import closing

import pytest
from analytics.app.served import START_S, answers, served
from analytics.services import get, wait_for

from tachograph.errors import UsageError
from tachograph_analytics.app.server import serve, url
from tachograph_analytics.listen import bind, free_port
from tachograph_analytics.store.home import Home


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tachograph", "app", *arguments], capture_output=True, text=True, check=False
    )


def test_a_taken_port_is_one_sentence_and_exit_code_2(tmp_path):
    with closing(bind("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("--home", str(tmp_path), "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"tachograph app: port {port} of 127.0.0.1 is taken: stop what listens there, or choose another port\n"
    )


def test_other_machines_are_kept_out_unless_a_proxy_stands_in_front(tmp_path):
    with pytest.raises(UsageError, match=r"0\.0\.0\.0 can be reached from other machines.*--behind-proxy"):
        serve(Home(tmp_path), host="0.0.0.0", port=free_port())  # noqa: S104 - it must refuse


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("127.0.0.1", "http://127.0.0.1:8501"),
        ("0.0.0.0", "http://127.0.0.1:8501"),  # noqa: S104 - a name
        ("::1", "http://[::1]:8501"),
        ("::", "http://localhost:8501"),
    ],
)
def test_the_address_is_one_that_a_browser_can_open(host, where):
    assert url(host, 8501) == where


@pytest.mark.slow
def test_the_app_answers_and_stops_when_it_is_told(tmp_path):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tachograph", "app", "--home", str(tmp_path), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: answers(f"http://127.0.0.1:{port}"), START_S)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=START_S)
    assert process.returncode == 0
    assert out.startswith(f"app: http://127.0.0.1:{port}, store: {tmp_path}\n")
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_app_ends_with_its_parent(tmp_path):
    port = free_port()
    child = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-m", "tachograph_analytics.app", "--home", {str(tmp_path)!r},
                  "--port", "{port}", "--parent", str(os.getpid())])
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_for(lambda: answers(f"http://127.0.0.1:{port}"), START_S)
    parent.kill()
    parent.wait()
    assert parent.stdin is not None
    parent.stdin.close()
    wait_for(lambda: not answers(f"http://127.0.0.1:{port}"), START_S)


@pytest.mark.slow
def test_shipped_settings_hold_and_no_other_name_reaches_the_app(tmp_path):
    with served(Home(tmp_path)) as where:
        host, port = where.removeprefix("http://").split(":")
        assert get(f"{where}/_stcore/health").status == 200
        assert upgrade(host, int(port), f"127.0.0.1:{port}") == 101
        assert upgrade(host, int(port), "evil.example") == 403


def upgrade(host, port, name):
    """The status of an attempt to open the app's WebSocket under a host name."""
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {name}\r\nOrigin: http://{name}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection((host, port), 10) as connection:
        connection.sendall(request.encode())
        return int(connection.recv(64).split()[1])
