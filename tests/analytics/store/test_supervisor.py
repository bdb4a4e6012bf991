"""Children that are kept running, and that end with whoever started them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from analytics.otlp import ASpan, traces
from analytics.services import DEADLINE_S, get, is_ready, lives, send, status, wait_for

from tachograph.errors import UsageError
from tachograph_analytics.listen import free_port
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.supervisor import embedded
from tachograph_analytics.store.views import connect


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def pid_of(home: Home, service: str) -> int:
    return int((home.run / f"{service}.pid").read_text("ascii") or 0)


def a_body(span: int) -> bytes:
    return traces([ASpan(11, span)]).SerializeToString()


def test_embedded_receives_and_decodes_while_the_block_runs(home):
    with embedded(home) as url:
        assert send(f"{url}/v1/traces", a_body(13)).status == 200
        wait_for(lambda: status(url)["backlog_bytes"] == 0)
        assert connect(home).execute("SELECT count(*) FROM spans").fetchall() == [(1,)]
        children = [pid_of(home, name) for name in ("receiver", "decoder")]
    assert [lives(pid) for pid in children] == [False, False]
    assert list(home.run.glob("*.pid")) == []
    assert not is_ready(url)


def test_a_child_that_was_killed_is_started_again_with_a_line_that_says_so(home, capfd):
    with embedded(home) as url:
        before = {name: pid_of(home, name) for name in ("receiver", "decoder")}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: all(pid_of(home, name) != pid for name, pid in before.items()))
        wait_for(lambda: is_ready(url))
        assert send(f"{url}/v1/traces", a_body(13)).status == 200
        wait_for(lambda: status(url)["backlog_bytes"] == 0)
    said = capfd.readouterr().err
    assert sorted(line.removeprefix("tachograph: ").partition(";")[0] for line in said.splitlines()) == [
        "the decoder ended with -9",
        "the receiver ended with -9",
    ]


def test_what_the_user_can_mend_is_said_and_not_tried_again(home, capfd):
    with embedded(home), pytest.raises(UsageError, match="did not start"), embedded(home):
        pass
    said = re.findall("another (receiver|decoder) already works on", capfd.readouterr().err)
    assert said  # by whichever of the two looked first
    assert len(said) == len(set(said))


def test_an_address_that_others_reach_demands_a_token(home):
    with pytest.raises(UsageError, match="set a token"), embedded(home, host="0.0.0.0"):  # noqa: S104 - refused
        pass


def test_children_get_the_token_and_do_not_show_it(home):
    with embedded(home, token="s11") as url:  # noqa: S106 - of this test
        assert [
            get(f"{url}/status").status,
            get(f"{url}/status", Authorization="Bearer s11").status,
        ] == [401, 200]
        assert b"s11" not in Path(f"/proc/{pid_of(home, 'receiver')}/cmdline").read_bytes()


def start_up(home: Home, port: int) -> subprocess.Popen[str]:
    """`tachograph up --no-app`, once it receives."""
    command = [sys.executable, "-m", "tachograph", "up", "--no-app", "--home", str(home.path), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: is_ready(f"http://127.0.0.1:{port}") or process.poll() is not None)
    return process


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_up_takes_its_children_with_it_however_it_ends(home, how, code):
    process = start_up(home, free_port())
    children = [pid_of(home, name) for name in ("receiver", "decoder")]
    assert [lives(pid) for pid in children] == [True, True]
    process.send_signal(how)
    process.communicate(timeout=DEADLINE_S)
    assert code == process.returncode
    wait_for(lambda: not any(lives(pid) for pid in children))


def test_up_on_a_taken_port_is_a_sentence_and_exit_2(home, tmp_path):
    with embedded(Home(tmp_path / "other")) as url:
        port = int(url.rpartition(":")[2])
        command = [sys.executable, "-m", "tachograph", "up", "--no-app", "--home", str(home.path), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr
