"""Several processes of one service behind one /metrics: real servers, real forks, and the counts are the truth."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from tachograph.errors import UsageError
from tachograph.metrics.endpoint import PrometheusReader
from tachograph.metrics.workers import Address, Workers
from tachograph.telemetry import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and locks that end with their process")

# A service, as a WSGI and an ASGI application. Before anything is forked it has called its tool three times.
DESK = """
import os
import tachograph

tachograph.instrument(service_name="desk")

@tachograph.tool("find")
def find():
    return str(os.getpid()).encode()

@tachograph.tool("warm")
def warm():
    pass

for _ in range(3):
    warm()

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    with tachograph.run(workflow="web"):
        return [find()]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        with tachograph.run(workflow="web"):
            body = find()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Desk:
    """Programs of one service on one machine."""

    directory: Path
    web: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *command: str) -> subprocess.Popen[str]:
        environ = {
            **os.environ,
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.metrics),
            "TACHOGRAPH_METRICS_DIR": str(self.directory / "run"),
            "TACHOGRAPH_PATIENCE": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.web}",  # whatever it answers: spans do not matter
            "OTEL_TRACES_EXPORTER": "none",
        }
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=self.directory,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.started.append(process)
        return process

    def program(self, text: str) -> subprocess.Popen[str]:
        """A program that goes on when it is sent a line and says a line when it waits for one."""
        return self.start("-c", f"{DESK}\nimport sys\n{text}")

    def ask(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/", timeout=10) as answer:
            assert answer.read()

    def page(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def series(self, name: str, label: str) -> float:
        """The sum of the series of a metric whose labels contain `label`; scraped as soon as somebody answers."""
        deadline = time.monotonic() + 20
        while True:
            try:
                found = re.findall(rf"^{name}{{(.*)}} (.*)$", self.page(), re.MULTILINE)
            except OSError:
                assert time.monotonic() < deadline, "nobody answers at /metrics"
                time.sleep(0.02)
            else:
                return sum(float(value) for labels, value in found if label in labels)

    def calls(self, tool: str = "find") -> float:
        return self.series("tachograph_tool_executions_total", f'gen_ai_tool_name="{tool}"')

    def workers(self, state: str) -> float:
        return self.series("tachograph_workers", f'"{state}"')


@pytest.fixture
def desk(tmp_path) -> Iterator[Desk]:
    (tmp_path / "desk.py").write_text(DESK)
    one = Desk(tmp_path)
    yield one
    for process in one.started:
        process.terminate()
    for process in one.started:
        process.communicate(timeout=20)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def served(desk: Desk, until: Callable[..., None], count: int) -> None:
    """Waits until the service answers and `count` of its processes tell their numbers."""

    def up() -> bool:
        try:
            return desk.workers("answered") == count
        except urllib.error.HTTPError:
            return False

    until(up, 30)


GUNICORN = ("-m", "gunicorn", "--workers", "3", "--log-level", "critical", "--bind=127.0.0.1:{}", "desk:wsgi")
UVICORN = ("-m", "uvicorn", "--workers", "3", "--log-level", "critical", "--port={}", "desk:asgi")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "processes", "warm"),
    [
        ((*GUNICORN, "--preload"), 4, 3),
        ((*GUNICORN, "--max-requests", "50"), 3, None),
        ((*UVICORN, "--limit-max-requests", "90"), 3, None),
    ],
    ids=["gunicorn-preload", "gunicorn-max-requests", "uvicorn-max-requests"],
)
def test_200_requests_to_three_workers_are_200_in_every_scrape(desk, until, command, processes, warm):
    desk.start(*(part.format(desk.web) for part in command))
    served(desk, until, processes)
    asked = 0
    while asked < 200:
        try:
            desk.ask()
        except OSError:
            continue  # uvicorn hangs up on who waits for a worker that goes; such a request was not served
        asked += 1
        if asked % 20 == 0:
            assert desk.calls() == asked
    assert [desk.calls() for _ in range(30)] == [200.0] * 30
    if warm is not None:
        assert desk.calls("warm") == warm  # before the fork, so they are the parent's alone
    assert desk.series("tachograph_run_duration_seconds_count", "web") == 200
    assert desk.workers("silent") == 0


def test_counts_around_a_fork_by_hand_are_each_counted_once(desk):
    """OpenTelemetry hands its sums down: parent and two children would tell 6 + 6 + 5, and 7 is the truth."""
    program = desk.program("""
find(); find(); find(); find(); find()
import urllib.request  # a scrape puts the five into the SDK, which the children inherit
urllib.request.urlopen(f"http://127.0.0.1:{os.environ['OTEL_EXPORTER_PROMETHEUS_PORT']}/metrics").read()
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        find()
        sys.exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print("forked", flush=True)
sys.stdin.readline()
""")
    assert said(program) == "forked"
    assert (desk.calls(), desk.calls("warm"), desk.workers("ended")) == (7, 3, 2)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_are_counted(desk, method):
    (desk.directory / "pool.py").write_text("""
import multiprocessing, sys
import desk

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    desk.find()
    processes = [context.Process(target=desk.find) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("joined", flush=True)
    sys.stdin.readline()
""")
    program = desk.start("pool.py", method)
    assert said(program) == "joined"
    warm = 3 if method == "fork" else 9  # spawned and served ones import the module, which warms up, anew
    assert (desk.calls(), desk.calls("warm")) == (3, warm)


def test_another_worker_takes_the_port_over_and_nothing_is_lost(desk):
    first = desk.program("find(); find()\nprint('up', flush=True)\nsys.stdin.readline()")
    assert said(first) == "up"
    second = desk.program("find()\nprint('up', flush=True)\nsys.stdin.readline()")
    assert said(second) == "up"
    assert (desk.calls(), desk.workers("answered")) == (3, 2)
    go_on(first)
    assert first.wait(10) == 0
    assert (desk.calls(), desk.workers("answered"), desk.workers("ended")) == (3, 1, 1)
    assert desk.series("tachograph_coverage", '"tool"') == 1  # of the one that lives


def test_what_a_killed_worker_last_showed_stays(desk):
    first = desk.program("find(); find()\nprint('up', flush=True)\nsys.stdin.readline()\n" * 2)
    assert said(first) == "up"
    second = desk.program("find()\nprint('up', flush=True)\nsys.stdin.readline()")
    assert said(second) == "up"
    assert desk.calls() == 3
    go_on(first)
    assert said(first) == "up"  # two more, which nobody has seen and no time was to write down
    first.kill()
    first.wait(10)
    assert (desk.calls(), desk.workers("ended")) == (3, 1)


def test_what_was_flushed_outlives_a_process_that_just_stops(desk):
    program = desk.program("""
child = os.fork()
if child == 0:
    find()
    tachograph.flush(5)
    find()
    tachograph.flush(5)
    os._exit(0)
os.waitpid(child, 0)
print("forked", flush=True)
sys.stdin.readline()
""")
    assert said(program) == "forked"
    assert (desk.calls(), desk.workers("ended")) == (2, 1)


def test_of_a_worker_that_does_not_answer_the_last_numbers_are_shown(desk):
    first = desk.program("print('up', flush=True)\nsys.stdin.readline()")
    assert said(first) == "up"
    second = desk.program("find()\nprint('up', flush=True)\nsys.stdin.readline()")
    assert said(second) == "up"
    assert (desk.calls(), desk.workers("silent")) == (1, 0)
    second.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        page = desk.page()
        assert time.monotonic() - begun < 3
        assert 'tachograph_workers{tachograph_worker_state="silent"} 1.0' in page
        assert re.search(r'^tachograph_tool_executions_total{.*"find".*} 1.0$', page, re.MULTILINE)
    finally:
        second.send_signal(signal.SIGCONT)


def test_a_service_that_is_started_anew_begins_at_zero(desk):
    waits = "find()\nprint('up', flush=True)\nsys.stdin.readline()"
    shell = ["import subprocess, sys; subprocess.run(sys.argv[1:])"]  # another supervisor each time
    for _ in range(2):
        process = desk.start("-c", *shell, sys.executable, "-c", f"{DESK}\nimport sys\n{waits}")
        assert said(process) == "up"
        assert (desk.calls(), desk.workers("ended")) == (1, 0)
        go_on(process)
        assert process.wait(10) == 0


# -- within one process
def reader(calls: int) -> PrometheusReader:
    made = PrometheusReader()
    provider = MeterProvider([made], resource=Resource({}), shutdown_on_exit=False)
    provider.get_meter("test").create_counter("calls").add(calls)
    return made


def scraped(workers: Workers) -> str:
    with urllib.request.urlopen(workers.url, timeout=10) as answer:  # noqa: S310 - our own server
        return answer.read().decode()


def test_agents_of_other_names_on_the_same_port_are_not_mixed(tmp_path):
    port, directory = free_port(), str(tmp_path / "run")
    one = Workers(reader(11), Address("desk", "127.0.0.1", port, directory=directory))
    with pytest.raises(UsageError, match=f"/metrics cannot listen on 127.0.0.1:{port}"):
        Workers(reader(13), Address("till", "127.0.0.1", port, directory=directory))
    assert "calls_total 11.0\n" in scraped(one)
    one.close()


def test_workers_of_one_name_show_their_sum(tmp_path):
    address = Address("desk", "127.0.0.1", free_port(), directory=str(tmp_path / "run"))
    one, other = Workers(reader(11), address), Workers(reader(13), address)
    assert one.note == f"/metrics on {one.url}"
    assert other.note == f"/metrics on {one.url}, which another process of this service serves"
    assert "calls_total 24.0\n" in scraped(one)
    other.close()
    assert "calls_total 24.0\n" in scraped(one)
    one.close()


def test_the_token_is_demanded_of_whoever_scrapes_the_one_that_took_over(tmp_path, until):
    address = Address("desk", "127.0.0.1", free_port(), "s3cret", str(tmp_path / "run"))
    one, other = Workers(reader(11), address), Workers(reader(13), address)
    one.close()

    def status() -> int:
        try:
            scraped(other)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code
        except OSError:
            return 0
        return 200

    until(lambda: status() == 401)
    other.close()


def test_where_no_roster_can_be_kept_the_process_is_alone_and_says_so(tmp_path):
    tmp_path.chmod(0o755)
    address = Address("desk", "127.0.0.1", free_port(), directory=str(tmp_path))
    one = Workers(reader(11), address)
    assert one.note == f"/metrics on {one.url}, this process alone: {tmp_path} is not a directory of this user alone"
    assert "calls_total 11.0\n" in scraped(one)
    with pytest.raises(UsageError, match="cannot listen"):
        Workers(reader(13), address)
    one.close()


def test_a_part_of_the_numbers_is_no_answer(tmp_path):
    address = Address("desk", "127.0.0.1", free_port(), directory=str(tmp_path / "run"))
    one, other = Workers(reader(11), address), Workers(reader(13), address)
    assert "calls_total 24.0\n" in scraped(one)
    (directory,) = (tmp_path / "run").iterdir()
    (directory / "ended").mkdir()  # what cannot be read
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        scraped(one)
    assert refused.value.read().startswith(b"/metrics has no numbers that are right: ")
    refused.value.close()
    other.close()
    one.close()


class Slow:
    """A callback of the application's that takes as long as it is let."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self, _):
        self.entered.set()
        assert self.released.wait(20)
        return [Observation(1)]

    def reader(self) -> PrometheusReader:
        made = PrometheusReader()
        provider = MeterProvider([made], resource=Resource({}), shutdown_on_exit=False)
        provider.get_meter("test").create_observable_gauge("slow", [self])
        return made


def test_keeping_and_leaving_wait_for_no_callback_of_the_applications(tmp_path):
    slow = Slow()
    workers = Workers(slow.reader(), Address("desk", "127.0.0.1", 0, directory=str(tmp_path / "run")))
    try:
        began = time.monotonic()
        assert workers.keep(began + 0.1) is False
        assert slow.entered.is_set()
        assert workers.keep(time.monotonic() + 0.1) is False
        workers.close(time.monotonic() + 0.1)
        assert time.monotonic() - began < 3
    finally:
        slow.released.set()


def test_keeping_says_that_it_was_done_in_time(tmp_path):
    workers = Workers(reader(11), Address("desk", "127.0.0.1", 0, directory=str(tmp_path / "run")))
    assert workers.keep(time.monotonic() + 10) is True
    assert len(list(tmp_path.glob("run/*/*.numbers"))) == 1
    workers.close()


def test_a_scrape_in_the_middle_of_a_scrape_shows_the_one_before():
    made, seen = PrometheusReader(), []
    provider = MeterProvider([made], resource=Resource({}), shutdown_on_exit=False)
    meter = provider.get_meter("test")
    meter.create_counter("calls").add(11)
    made.families()

    def again(_):
        seen.append([family.name for family in made.families()])
        return [Observation(1)]

    meter.create_observable_gauge("odd", [again])
    assert [family.name for family in made.families()] == ["calls", "odd"]
    assert seen == [["calls"]]


def test_metrics_outlive_that_no_file_may_be_opened(tmp_path, monkeypatch, until):
    address = Address("desk", "127.0.0.1", free_port(), directory=str(tmp_path / "run"))
    one, other = Workers(reader(11), address), Workers(reader(13), address)
    looked = []

    def no_file(*_, **__):
        looked.append(True)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as broken:
        broken.setattr("tachograph.metrics.peers.socket.socket", no_file)
        until(lambda: looked)
    with monkeypatch.context() as broken:
        broken.setattr("tachograph.metrics.workers.vacant", lambda *_: looked.clear() or 1 / 0)
        until(lambda: not looked)
    one.close()
    until(lambda: other._front is not None)  # its thread still looks, and takes the port over
    assert "calls_total 24.0\n" in scraped(other)
    other.close()
    guard.forget_causes()


def test_an_exemplar_stays_until_there_is_a_newer_one(tmp_path):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import format_trace_id

    made = PrometheusReader()
    provider = MeterProvider([made], resource=Resource({}), shutdown_on_exit=False)
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("tool") as span:
        provider.get_meter("test").create_counter("calls").add(7)
    workers = Workers(made, Address("desk", "127.0.0.1", 0, directory=str(tmp_path / "run")))
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    request = urllib.request.Request(workers.url, headers=accept)  # noqa: S310 - our own server
    for _ in range(2):
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
            assert format_trace_id(span.get_span_context().trace_id) in answer.read().decode()
    workers.close()
