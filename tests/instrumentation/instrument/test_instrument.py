"""instrument(), in processes of their own: providers are global, and exits are part of what is tested."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT = """
import json, sys, tachograph

def agent(question):
    with tachograph.run(tenant="acme"), tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=11, output_tokens=13)
        with tachograph.tool("lookup"):
            if question == "boom":
                raise LookupError(question)
    return question.upper()

def ask(*questions):
    answers = []
    for question in questions:
        try:
            answers.append(agent(question))
        except LookupError as error:
            answers.append(repr(error))
    return answers
"""


def python(
    code: str, *arguments: str, timeout: float = 60, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    script = AGENT + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=env,
    )


def printed(code: str, *arguments: str) -> object:
    done = python(code, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class Endpoint(http.server.BaseHTTPRequestHandler):
    """An OTLP receiver that answers with the status its server was given, or never."""

    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append((self.path, len(body)))
        if self.server.status is None:
            self.server.closing.wait(30)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, status: int | None) -> None:
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.status = status
        self.paths: list[tuple[str, int]] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture(params=[200, 500, None], ids=["answering", "failing", "hanging"])
def endpoint(request) -> Iterator[Server]:
    server = Server(request.param)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


RUN_ON = """
tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
print(json.dumps(ask("a", "boom", "b")))
"""


def test_the_agent_goes_on_and_ends_quickly_whatever_the_endpoint_does(endpoint):
    began = time.monotonic()
    assert printed(RUN_ON, endpoint.url) == ["A", "LookupError('boom')", "B"]
    assert time.monotonic() - began < 15, "the process did not wait for the endpoint"
    assert {path for path, _ in endpoint.paths} <= {"/v1/traces", "/v1/logs"}
    assert endpoint.paths, "something was sent"


def test_the_agent_goes_on_when_nothing_listens_and_says_so_once():
    done = python(RUN_ON, refused())
    assert json.loads(done.stdout) == ["A", "LookupError('boom')", "B"]
    assert done.returncode == 0
    assert done.stderr.count("\n") <= 1, done.stderr


def test_flush_is_honest(endpoint):
    code = """
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
    ask("a")
    print(json.dumps(tachograph.flush(0.7)))
    """
    assert printed(code, endpoint.url) is (endpoint.status == 200)


def test_every_counter_of_what_must_never_happen_is_at_zero_from_the_start():
    code = """
    import urllib.request
    report = tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
    url = next(note for note in report.notes if note.startswith("/metrics on ")).removeprefix("/metrics on ")
    lines = urllib.request.urlopen(url).read().decode().splitlines()
    print(json.dumps([line for line in lines if line.startswith("tachograph_detections_total")]))
    """
    from tachograph.registry import load

    expected = {
        f'tachograph_detections_total{{gen_ai_agent_name="desk",tachograph_detection_rule="{rule}"}} 0.0'
        for rule in load().detections
    }
    assert set(printed(code, refused())) == expected


def test_a_second_call_changes_nothing_and_uninstrument_ends_recording():
    code = """
    first = tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
    second = tachograph.instrument(service_name="other", endpoint=sys.argv[1], metrics_port=0)
    from tachograph.telemetry.recorder import active
    during = active() is not None
    tachograph.uninstrument()
    tachograph.uninstrument()
    after = active() is None and ask("a") == ["A"]
    third = tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
    print(json.dumps([first.already, second.already, second.agent, during, after, third.already, active() is not None]))
    """
    assert printed(code, refused()) == [False, True, "desk", True, True, False, True]


def test_providers_that_the_application_set_are_used_and_stay():
    code = """
    from opentelemetry import trace, metrics, _logs
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    mine = TracerProvider()
    mine.add_span_processor(SimpleSpanProcessor(spans))
    loggers, meters = LoggerProvider(), MeterProvider([reader])
    trace.set_tracer_provider(mine)
    _logs.set_logger_provider(loggers)
    metrics.set_meter_provider(meters)
    tachograph.instrument(service_name="desk", metrics_port=0)
    with tachograph.run() as run, trace.get_tracer("framework").start_as_current_span("theirs"):
        pass
    names = {span.name: span.attributes.get("tachograph.run.id") == run.id for span in spans.get_finished_spans()}
    same = trace.get_tracer_provider() is mine and _logs.get_logger_provider() is loggers
    tachograph.uninstrument()
    ask("a")
    trace.get_tracer("framework").start_span("later").end()
    later = [span.name for span in spans.get_finished_spans()][2:]
    counted = [m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    print(json.dumps([names, same, later, "tachograph.runs" in counted]))
    """
    assert printed(code) == [{"theirs": True, "invoke_agent desk": True}, True, ["later"], True]


def test_a_forked_child_goes_on_by_itself():
    code = """
    import os
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
    ask("a")
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(ask("b", "boom")).encode())
        os._exit(0)
    os.wait()
    print(json.dumps([json.loads(os.read(read, 1000)), ask("c")]))
    """
    # Python 3.12 warns of a fork beside threads, which is what is tried here
    done = subprocess.run(
        [sys.executable, "-c", AGENT + textwrap.dedent(code), refused()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [["B", "LookupError('boom')"], ["C"]]


wrong = [
    ({"OTEL_METRICS_EXPORTER": "carrier-pigeon"}, "prometheus, otlp and none"),
    ({"OTEL_EXPORTER_PROMETHEUS_PORT": "99999"}, "0 to 65535"),
    ({"TACHOGRAPH_PATIENCE": "long"}, "not a number"),
]


@pytest.mark.parametrize(("environ", "sentence"), wrong)
def test_a_setting_that_cannot_be_meant_is_a_sentence(environ, sentence):
    from tachograph.config import read
    from tachograph.errors import UsageError

    with pytest.raises(UsageError, match=sentence):
        read(environ=environ)


def test_arguments_come_before_the_environment_and_that_before_defaults():
    from tachograph.config import read

    environ = {"OTEL_SERVICE_NAME": "from-environment", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}
    settings = [
        read(environ={}),
        read(environ=environ),
        read(service_name="given", endpoint="http://here:13", environ=environ),
    ]
    assert [(c.service_name, c.endpoint, c.endpoint_given) for c in settings] == [
        ("agent", "http://127.0.0.1:4318", False),
        ("from-environment", "http://collector:4318", False),
        ("given", "http://here:13", True),
    ]
