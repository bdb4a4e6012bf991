"""The end of a process: within 2 s whatever the endpoint does, every loss counted, one line in the log at most."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

EXIT_S = 2.0
SLACK_S = 1.5  # the interpreter's own end on a busy machine

AGENT = """
import atexit, json, os, sys, threading, time, tachograph

def ask(times=1):
    for _ in range(times):
        with tachograph.run(), tachograph.tool("lookup"):
            tachograph.budget("tokens", limit=13, used=11)
"""

# What is lost is read when all else is over, from a reader of the application's.
COUNTED = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tachograph.registry.names import SIGNAL

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))

def show():
    found = [m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    points = [p for m in found if m.name == "tachograph.telemetry.dropped" for p in m.data.data_points]
    lost = {}
    for point in filter(lambda point: point.value, points):
        signal = point.attributes[SIGNAL]
        lost[signal] = lost.get(signal, 0) + point.value
    print(json.dumps([ended, lost]))

atexit.register(show)
"""


def start(code, *arguments, **environ):
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", AGENT + textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OTEL_METRICS_EXPORTER": "none", **environ},
    )


def ended(process, seconds=30):
    out, err = process.communicate(timeout=seconds)
    return time.monotonic(), out, err


@pytest.fixture
def dead():
    """Addresses where nothing is to be had, by kind."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = closed.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:  # takes connections and never answers
        yield {
            "refuses": f"http://127.0.0.1:{refusing}",
            "is silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "has no address": "http://collector.invalid:4317",
        }


FULL = """
tachograph.instrument(service_name="desk", endpoint=sys.argv[1], protocol=sys.argv[2])
ask(101)
time.sleep(0.3)  # the workers are in the middle of an attempt
ask(101)
ended = time.monotonic()
"""


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("kind", ["refuses", "is silent", "has no address"])
def test_a_process_with_full_queues_ends_in_time_and_counts_what_it_lost(dead, kind, protocol):
    process = start(COUNTED + FULL, dead[kind], protocol, OTEL_BSP_MAX_QUEUE_SIZE="170", OTEL_BLRP_MAX_QUEUE_SIZE="130")
    over, out, err = ended(process)
    began, lost = json.loads(out)
    assert over - began < EXIT_S + SLACK_S
    assert lost == {"traces": 404, "logs": 202}, "two spans and one event of each of 202 runs"
    assert [line.startswith("tachograph: ") for line in err.splitlines()] == [True], err
    assert process.returncode == 0


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_pushed_metrics_cost_no_more_time_and_say_no_more(dead, protocol):
    code = """
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], protocol=sys.argv[2], metrics="otlp")
    ask(11)
    time.sleep(0.3)
    print(time.monotonic())
    """
    process = start(code, dead["refuses"], protocol, OTEL_METRIC_EXPORT_INTERVAL="100")
    over, out, err = ended(process)
    assert over - float(out) < EXIT_S + SLACK_S
    assert [line.startswith("tachograph: ") for line in err.splitlines()] == [True], err


def test_nothing_is_lost_and_nothing_is_said_where_the_endpoint_answers(serve):
    endpoint = serve(200)
    process = start(COUNTED + FULL, endpoint.url, "http/protobuf")
    _, out, err = ended(process)
    assert json.loads(out)[1] == {}
    assert err == ""


def test_a_process_that_is_told_to_go_goes(dead):
    code = """
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1])
    ask(11)
    print("ready", flush=True)
    time.sleep(30)
    """
    process = start(code, dead["is silent"])
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    over, _, err = ended(process)
    assert over - began < SLACK_S
    assert (process.returncode, err) == (-signal.SIGTERM, "")


ENDS = {
    "os._exit": ("os._exit(17)", 17),
    "sys.exit in a thread": ("thread = threading.Thread(target=sys.exit); thread.start(); thread.join()", 0),
    "an exception": ("sys.excepthook = lambda *_: None\nraise LookupError", 1),
}


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
def test_an_exit_code_stays_as_it_is(dead, end, code):
    lines = 'tachograph.instrument(service_name="desk", endpoint=sys.argv[1])\nask(11)\n'
    lines += f"print(time.monotonic(), flush=True)\n{end}\n"
    process = start(lines, dead["refuses"])
    over, out, err = ended(process)
    assert process.returncode == code
    assert [line for line in err.splitlines() if not line.startswith("tachograph: ")] == []
    assert over - float(out) < EXIT_S + SLACK_S


def test_threads_that_work_on_while_the_interpreter_ends_break_nothing(dead):
    code = """
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1])
    def work():
        while True:
            ask()
    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    """
    process = start(code, dead["refuses"])
    _, _, err = ended(process)
    assert process.returncode == 0
    assert [line for line in err.splitlines() if not line.startswith("tachograph: ")] == []


def test_what_an_event_loop_leaves_behind_is_sent(serve):
    endpoint = serve(200)
    code = """
    import asyncio
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1])

    async def forever():
        async with tachograph.run():
            await asyncio.sleep(60)

    async def main():
        tasks = [asyncio.create_task(forever()) for _ in range(3)]
        await asyncio.sleep(0.05)
        async with tachograph.run():
            pass

    asyncio.run(main())  # cancels the tasks
    """
    process = start(code, endpoint.url)
    _, _, err = ended(process)
    assert (process.returncode, err) == (0, "")
    assert b"".join(endpoint.bodies).count(b"invoke_agent desk") == 4
