"""Five weeks of all agents: the store has every run once, and says what the agents' own metrics say."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from analytics.services import get, is_ready, lives, status, wait_for
from demo.played import (
    UNTIL,
    assert_metrics_equal_store,
    command,
    findings,
    query,
    requests_answered,
)
from prometheus_client.parser import text_string_to_metric_families

from tachograph_analytics.listen import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

DEMO = [sys.executable, "-m", "tachograph", "demo", "--headless"]


def test_each_agent_has_its_share_of_the_runs_and_each_run_its_own_id(played):
    rows = query(played.home, "SELECT agent, count(*) AS runs FROM runs GROUP BY agent ORDER BY agent")
    assert rows == [
        {"agent": "airline", "runs": 45},
        {"agent": "invoice", "runs": 45},
        {"agent": "support", "runs": 180},
    ]
    (ids,) = query(played.home, "SELECT count(DISTINCT run_id) AS runs, count(DISTINCT service) AS services FROM spans")
    assert ids == {"runs": 270, "services": 4}  # the three agents, and the old service that nobody instrumented


def test_runs_lie_in_the_five_weeks_before_the_end(played):
    (times,) = query(played.home, "SELECT min(ts) AS first, max(ts) AS last FROM runs")
    assert "2026-10-20T09" <= times["first"] < times["last"] <= "2026-11-24T09:00:00"


def test_metrics_out_equals_the_store(played):
    assert_metrics_equal_store(played.metrics, played.home)


def test_metrics_out_is_one_page_with_an_instance_an_agent(played):
    text = played.metrics.read_text("utf-8")
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    instances = {sample.labels.get("instance") for family in families for sample in family.samples}
    assert instances == {"airline", "invoice", "support"}


def test_the_platforms_releases_are_judged_every_night(played):
    (nights,) = query(played.home, "SELECT count(DISTINCT ts::DATE) AS nights, any_value(agent) AS agent FROM gates")
    assert nights == {"nights": 35, "agent": "support"}


def test_the_old_service_is_the_one_that_shows_what_was_said(played):
    (found,) = [finding for finding in findings(played.home) if finding["rule"] == "content_raw"]
    spans = query(
        played.home,
        "SELECT run_id, span_id, service, name FROM spans WHERE trace_id IN"
        " (SELECT trace_id FROM spans WHERE service = 'faq')",
    )
    (asked,) = [span for span in spans if span["span_id"] == found["span_id"]]
    assert (asked["service"], asked["name"]) == ("faq", "faq.answer")
    assert {span["service"] for span in spans} == {"faq", "support"}
    assert {span["run_id"] for span in spans} == {found["run_id"]}


def test_its_alerts_are_in_the_store(played):
    rows = query(played.home, "SELECT name, agent, status FROM incidents ORDER BY starts_at")
    assert rows == [
        {"name": "TachographWriteUnapproved", "agent": "airline", "status": "resolved"},
        {"name": "TachographCanaryCostHigh", "agent": "support", "status": "firing"},
        {"name": "TachographFallbackSilent", "agent": "support", "status": "firing"},
    ]


def test_the_output_says_which_world_it_was_and_where(played):
    assert "world: seed 11, until 2026-11-24T09:00Z, 270 runs\n" in played.output
    assert f"store: {played.home}\n" in played.output


def test_a_home_that_has_a_history_takes_no_second_one(played):
    done = subprocess.run([*DEMO, "--home", str(played.home)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has a history already (seed 11, until 2026-11-24T09:00Z, 270 runs)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_same_seed_gives_the_same_figures_and_another_one_others(tmp_path):
    def figures(name: str, seed: str) -> list[dict[str, Any]]:
        home = tmp_path / name
        command(
            "demo", "--headless", "--only", "support", "--runs", "60", "--seed", seed, "--until", UNTIL,
            "--port", "0", "--home", str(home),
        )  # fmt: skip
        return query(
            home,
            "SELECT run_id, ts, outcome, stop_reason, release, track, turns, input_tokens, output_tokens,"
            " round(cost, 9) AS cost, duration_ms, tool_calls, attempts FROM runs ORDER BY run_id",
        )

    first = figures("first", "7")
    assert len(first) == 40
    assert figures("again", "7") == first
    assert {run["run_id"] for run in figures("other", "8")}.isdisjoint(run["run_id"] for run in first)


def test_nothing_is_lost_or_doubled_when_receiver_and_decoder_are_killed_meanwhile(tmp_path):
    home, metrics, port = tmp_path / "home", tmp_path / "metrics.txt", free_port()
    url = f"http://127.0.0.1:{port}"
    up = [sys.executable, "-m", "tachograph", "up", "--no-app", "--home", str(home), "--port", str(port)]
    demo = [*DEMO, "--runs", "360", "--until", UNTIL, "--endpoint", url, "--metrics-out", str(metrics)]
    with subprocess.Popen(up, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: is_ready(url))
            with subprocess.Popen(demo, stdout=subprocess.DEVNULL) as client:
                for victim in ("receiver", "decoder", "receiver"):
                    before = requests_answered(url)
                    wait_for(lambda before=before: requests_answered(url) > before)
                    os.kill(int((home / "run" / f"{victim}.pid").read_text()), signal.SIGKILL)
                    assert client.poll() is None, "killed in the middle"
                assert client.wait(240) == 0
            wait_for(lambda: status(url)["backlog_bytes"] == 0)
        finally:
            server.terminate()
    (runs,) = query(home, "SELECT count(*) AS n FROM runs")
    assert runs == {"n": 360}
    assert_metrics_equal_store(metrics, home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_players_end_with_the_demo_however_it_ends(tmp_path, number):
    demo = [*DEMO, "--only", "invoice", "--home", str(tmp_path / "home"), "--port", "0"]
    with subprocess.Popen(demo, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"tachograph: invoice:")
        children = list(_children(parent.pid))
        assert len(children) == 3  # receiver, decoder and player
        parent.send_signal(number)
        assert parent.wait(30) == (-number if number == signal.SIGKILL else 130)
    wait_for(lambda: not any(lives(child) for child in children))


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nothing listens on at this moment."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for port in range(first, first + count):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def test_after_the_history_all_agents_go_on_in_real_time(tmp_path):
    home, first = tmp_path / "home", free_ports(3)
    environment = os.environ | {"OTEL_EXPORTER_PROMETHEUS_PORT": str(first)}
    demo = [*DEMO, "--runs", "12", "--pace", "0.1", "--home", str(home), "--port", "0"]
    with subprocess.Popen(demo, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as parent:
        try:
            for port, agent in enumerate(("airline", "invoice", "support"), first):
                wait_for(
                    lambda port=port, agent=agent: f'tachograph_runs_total{{gen_ai_agent_name="{agent}"' in _page(port)
                )
        finally:
            parent.terminate()
        assert parent.wait(30) == 130
    later = "SELECT DISTINCT agent FROM runs WHERE ts > now()::TIMESTAMP - INTERVAL 10 MINUTES ORDER BY agent"
    assert [row["agent"] for row in query(home, later)] == ["airline", "invoice", "support"]


def test_a_player_that_fails_ends_the_demo_with_its_reason():
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(400)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = subprocess.run(
            [*DEMO, "--runs", "12", "--endpoint", f"http://127.0.0.1:{server.server_port}"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 2
    assert "agent stopped: telemetry was lost or not accepted" in done.stderr
    assert "Traceback" not in done.stderr


def _page(port: int) -> str:
    try:
        return get(f"http://127.0.0.1:{port}/metrics").body.decode()
    except OSError:
        return ""


def _children(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text("ascii").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == pid:
            yield int(path.parent.name)


wrong = [
    (("--until", "yesterday"), "is no time"),
    (("--runs", "-1"), "is no number of runs"),
    (("--pace", "nan"), "is no number of seconds"),
]


@pytest.mark.parametrize(("arguments", "sentence"), wrong)
def test_an_argument_that_cannot_be_meant_is_refused(arguments, sentence):
    done = subprocess.run([*DEMO, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
