"""instrument(), in processes of their own: providers are global, and exits are part of what is tested."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import pytest

import tachograph
from tachograph.errors import UsageError
from tachograph.telemetry.recorder import active

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
    assert done.stderr.count("\n") == 1, done.stderr
    assert "tachograph: " in done.stderr


SIGNALLED = """
import os, signal, threading, time
from opentelemetry.metrics import Observation, get_meter

tachograph.instrument(service_name="desk", metrics_port=0)
handled = []

def handler(*_):
    began = time.monotonic()
    tachograph.flush(0.2)
    tachograph.uninstrument()
    handled.append(time.monotonic() - began < 10)

signal.signal(signal.SIGTERM, handler)
"""


def test_a_signal_handler_that_interrupts_flush_ends_in_time():
    done = printed(f"""{SIGNALLED}
def slow(_):
    if threading.current_thread() is not threading.main_thread() and not handled:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
    return [Observation(1)]

get_meter("host").create_observable_gauge("slow", [slow])
began = time.monotonic()
delivered = tachograph.flush(1)
print(json.dumps([delivered, handled, time.monotonic() - began < 15]))
sys.stdout.flush()
""")
    assert done == [False, [True], True]


def test_a_signal_handler_that_interrupts_instrument_leaves_it_as_it_is():
    done = printed(f"""{SIGNALLED}
tachograph.uninstrument()

import tachograph.telemetry.pipeline as pipeline
from tachograph.telemetry.recorder import active
real = pipeline.connect

def connect(config):
    os.kill(os.getpid(), signal.SIGTERM)
    nested = tachograph.instrument(service_name="other")
    handled.append(nested.notes)
    return real(config)

pipeline.connect = connect
report = tachograph.instrument(service_name="desk", metrics="none")
print(json.dumps([handled[0], handled[1], report.agent, active() is not None]))
""")
    assert done == [
        True,
        ["another call of instrument() is under way: this one changes nothing."],
        "desk",
        True,
    ]


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


@pytest.mark.parametrize("metrics", ["prometheus", "otlp"])
def test_what_an_instrument_call_that_fails_had_begun_ends(metrics):
    code = """
    import socket, threading
    import tachograph.telemetry.pipeline as pipeline

    def broken(*_):
        raise RuntimeError("broken on purpose")

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    real, pipeline.places = pipeline.places, broken
    before = set(threading.enumerate())
    given = {"service_name": "desk", "endpoint": sys.argv[1], "metrics": sys.argv[2], "metrics_port": port}
    failed = tachograph.instrument(sample_rate=0.5, **given)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    left = sorted(thread.name for thread in set(threading.enumerate()) - before)
    socket.create_server(("127.0.0.1", port)).close()
    pipeline.places = real
    again = tachograph.instrument(**given)
    print(json.dumps([failed.notes, left, again.already, ask("a")]))
    """
    nothing = "nothing is recorded: RuntimeError: broken on purpose"
    assert printed(code, refused(), metrics) == [[nothing], [], False, ["A"]]


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


ENDS = {
    "exit": "sys.exit(11)",
    "uninstrument": "tachograph.uninstrument(); sys.exit(11)",
    "uninstrument, and no exit handlers": "tachograph.uninstrument(); os._exit(11)",
}


@pytest.mark.parametrize("metrics", ["prometheus", "otlp"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_forked_child_ends_in_time(end, metrics):
    code = f"""
    import os, time
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics={metrics!r}, metrics_port=0)
    ask("a")
    child = os.fork()
    if child == 0:
        ask("b")
        {end}
    deadline = time.monotonic() + 20
    ended, status = 0, -1
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if not ended:
        os.kill(child, 9)
        os.waitpid(child, 0)
    print(json.dumps([bool(ended), os.waitstatus_to_exitcode(status) if ended else None, ask("c")]))
    """
    # Python 3.12 warns of a fork beside threads, which is what is tried here
    done = subprocess.run(
        [sys.executable, "-c", AGENT + textwrap.dedent(code), refused()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [True, 11, ["C"]], done.stderr


def pushes(server: Server) -> int:
    return sum(path == "/v1/metrics" for path, _ in server.paths)


@pytest.mark.parametrize("endpoint", [200], ids=["answering"], indirect=True)
def test_pushed_metrics_end_with_uninstrument_and_are_not_doubled(endpoint):
    code = """
    import threading
    def pushing():
        return sum("PeriodicExporting" in thread.name for thread in threading.enumerate())
    seen = []
    for _ in range(2):
        tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="otlp")
        ask("a")
        seen.append(pushing())
        tachograph.uninstrument()
        seen.append(pushing())
    print(json.dumps(seen))
    """
    assert printed(code, endpoint.url) == [1, 0, 1, 0]
    assert pushes(endpoint) == 2, "each uninstrument() pushed once more, and the exit did not"


@pytest.mark.parametrize("endpoint", [None], ids=["hanging"], indirect=True)
def test_a_last_push_that_hangs_costs_no_more_than_two_seconds(endpoint):
    code = """
    import time
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="otlp")
    ask("a")
    began = time.monotonic()
    tachograph.uninstrument()
    print(json.dumps(time.monotonic() - began))
    """
    assert printed(code, endpoint.url) < 3
    assert pushes(endpoint) == 1


@pytest.mark.parametrize(
    ("environ", "note"),
    [
        ({"OTEL_METRIC_EXPORT_INTERVAL": "0"}, "metrics are not pushed: interval value 0.0 is invalid"),
        ({"OTEL_METRICS_EXPORTER": "console"}, "OTEL_METRICS_EXPORTER is 'console'"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "OTEL_TRACES_SAMPLER=jaeger_remote is passed over"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "13"}, "OTEL_TRACES_SAMPLER_ARG is '13'"),
    ],
)
def test_a_setting_of_opentelemetry_that_is_passed_over_is_in_the_report(environ, note):
    code = """
    report = tachograph.instrument(service_name="desk", endpoint=sys.argv[1])
    print(json.dumps([list(report.notes), ask("a")]))
    """
    done = python(code, refused(), env={**os.environ, "OTEL_METRICS_EXPORTER": "otlp", **environ})
    assert done.returncode == 0, done.stderr
    notes, answers = json.loads(done.stdout.splitlines()[-1])
    assert len([said for said in notes if said.startswith(note)]) == 1, notes
    assert answers == ["A"]


SAMPLED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
"""


def test_every_trace_is_kept_whatever_the_environment_says_of_sampling():
    code = """
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="none")
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
    ask(*"abcdefghijk")
    kept = [s for s in spans.get_finished_spans() if s.name.startswith("invoke_agent")]
    print(json.dumps([len(kept), sorted({s.attributes["tachograph.sample.rate"] for s in kept})]))
    """
    environ = {**os.environ, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    done = python(SAMPLED + textwrap.dedent(code), refused(), env=environ)
    assert json.loads(done.stdout.splitlines()[-1]) == [11, [1.0]], done.stderr


def test_the_report_says_nothing_of_a_password_in_the_endpoint():
    code = """
    report = tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="otlp")
    print(json.dumps(list(report.notes)))
    """
    url = refused()
    notes = printed(code, url.replace("//", "//bob:s3cret@"))
    assert notes == [f"metrics are pushed to {url}/v1/metrics", f"traces and events go to {url}"]


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"TACHOGRAPH_PATIENCE": "long"}, "not a number of seconds"),
        ({"TACHOGRAPH_PATIENCE": "nan"}, "not a number of seconds"),
        ({"TACHOGRAPH_PATIENCE": "inf"}, "not a number of seconds"),
        ({"TACHOGRAPH_PATIENCE": "-1"}, "not a number of seconds"),
        ({"TACHOGRAPH_TENANT": "hash"}, "plain or hashed"),
        ({"TACHOGRAPH_TENANT": "hashed"}, "set TACHOGRAPH_HASH_KEY"),
    ],
)
def test_a_setting_of_ours_that_cannot_be_meant_is_a_sentence(environ, sentence):
    from tachograph.config import read
    from tachograph.errors import UsageError

    with pytest.raises(UsageError, match=sentence):
        read(environ=environ)


@pytest.mark.parametrize(
    ("environ", "metrics", "port", "noted"),
    [
        ({"OTEL_METRICS_EXPORTER": ""}, "prometheus", 9464, ()),
        ({"OTEL_METRICS_EXPORTER": "console, otlp"}, "otlp", 9464, ()),
        ({"OTEL_METRICS_EXPORTER": "console"}, "none", 9464, ("OTEL_METRICS_EXPORTER is 'console'",)),
        ({"OTEL_METRICS_EXPORTER": "pigeon"}, "none", 9464, ("OTEL_METRICS_EXPORTER is 'pigeon'",)),
        ({"OTEL_EXPORTER_PROMETHEUS_PORT": ""}, "prometheus", 9464, ()),
        ({"OTEL_EXPORTER_PROMETHEUS_PORT": "1311"}, "prometheus", 1311, ()),
        *(
            ({"OTEL_EXPORTER_PROMETHEUS_PORT": odd}, "prometheus", 9464, (f"OTEL_EXPORTER_PROMETHEUS_PORT is '{odd}'",))
            for odd in ("nan", "inf", "many", "65536", "-1", "17.5", "9" * 5000)
        ),
    ],
)
def test_a_setting_of_opentelemetry_never_stops_the_agent(environ, metrics, port, noted):
    from tachograph.config import read

    config = read(environ={"TACHOGRAPH_PATIENCE": "", **environ})
    assert (config.metrics, config.metrics_port, config.patience_s) == (metrics, port, 60.0)
    assert tuple(note.partition(";")[0] for note in config.notes) == noted


def test_an_endpoint_without_a_scheme_is_a_sentence():
    from tachograph.config import read
    from tachograph.errors import UsageError

    with pytest.raises(UsageError, match="is no URL"):
        read(endpoint="localhost:4318", environ={})


def test_an_expected_hook_that_does_not_exist_is_a_sentence_with_the_nearest():
    import tachograph
    from tachograph.errors import UsageError

    with pytest.raises(UsageError, match=r"did you mean checkpoint\.pre_tool"):
        tachograph.instrument(expects=["checkpoint.pre_tol"])


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


def test_what_was_counted_before_uninstrument_is_still_read_by_the_applications_own_reader():
    code = """
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    tachograph.instrument(service_name="desk", metrics="none")
    ask("a")
    tachograph.uninstrument()
    import gc
    gc.collect()
    scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
    found = {metric.name: metric for scope in scopes for metric in scope.metrics}
    print(json.dumps([point.value for point in found["tachograph.runs"].data.data_points]))
    """
    assert printed(code) == [1]


MEANT: dict[str, object] = {
    "metrics_port": 0,
    "endpoint": "http://127.0.0.1:9",
    "headers": {"a": "b"},
    "expects": ["llm"],
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metrics_port": 70_000}, "metrics_port=70000 is no port; it can be a number from 0 to 65535."),
        ({"metrics_port": "9464"}, "metrics_port='9464' is no port; it can be a number from 0 to 65535."),
        ({"endpoint": 4318}, "endpoint is of type int; give a URL as text, like http://127.0.0.1:4318."),
        ({"headers": "a=b"}, "headers is of type str; give a dict of names and values."),
        ({"headers": {"a": 13}}, "headers has a name or value that is no text; give a dict of text by text."),
        ({"audit_log": 13}, "audit_log is of type int, which has no append(entry)."),
        ({"clock": 13}, "clock is of type int; give a function of nanoseconds since 1970."),
        ({"ids": "x"}, "ids is of type str; give a function that gives 16 hex digits."),
        ({"analyzer": 13}, "analyzer is of type int, which has no analyze(); give one like Presidio's."),
        ({"expects": "llm"}, "expects='llm' is one text; give a list of hooks, like ['llm']."),
        ({"expects": 13}, "expects is of type int; give a list of names of hooks."),
        ({"expects": [13]}, "expects has something of type int in it; give a list of names of hooks."),
        ({"sample_rate": 1.5}, "sample_rate is 1.5; it can be a share from 0 to 1."),
        ({"sample_rate": float("nan")}, "sample_rate is nan; it can be a share from 0 to 1."),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_a_sentence(given, said):
    with pytest.raises(UsageError) as refusal:
        tachograph.instrument(**{**MEANT, "metrics": "none", **given})
    assert str(refusal.value) == said
    assert active() is None


def test_the_report_says_at_which_level_content_is_recorded_and_nothing_while_it_is_off():
    code = """
    told = []
    for level in ("off", "redacted", "full"):
        report = tachograph.instrument(metrics="none", endpoint=sys.argv[1], capture=level)
        told.append([note for note in report.notes if note.startswith("capture")])
        tachograph.uninstrument()
    print(json.dumps(told))
    """
    assert printed(code, refused()) == [
        [],
        ["capture is redacted: content of runs, LLM calls and tools is recorded"],
        ["capture is full: content of runs, LLM calls and tools is recorded"],
    ]
