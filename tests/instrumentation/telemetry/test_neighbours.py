"""Beside other products, as they are on the index, in a virtual environment of their own: theirs arrive, and ours."""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PACKAGES = (
    "opentelemetry-distro",
    "opentelemetry-instrumentation-httpx",
    "opentelemetry-instrumentation-urllib3",
    "opentelemetry-instrumentation-genai-openai",  # openai-v2, before it, does not import beside its util-genai
    "opentelemetry-instrumentation-openai",  # OpenLLMetry's; traceloop-sdk only sets it up, with 100 packages more
    "openinference-instrumentation-openai",
    "logfire",
    "openai",
)


@pytest.fixture(scope="session")
def interpreter(pytestconfig):
    """Python with the neighbours and our own dependencies; made once, and kept in pytest's cache."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*PACKAGES, *project["project"]["dependencies"]]
    until = project["tool"]["uv"]["exclude-newer"]
    name = hashlib.sha256("\n".join([sys.version, until, *wanted]).encode()).hexdigest()[:16]
    folder = Path(pytestconfig.cache.mkdir("neighbours")) / name
    python = folder / "bin" / "python"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # xdist's workers each have a session
        if not (folder / "complete").exists():
            for old in filter(Path.is_dir, folder.parent.iterdir()):  # of other packages, or half made
                shutil.rmtree(old, ignore_errors=True)
            _make(folder, python, wanted, until)
            (folder / "complete").touch()
    return python


def _make(folder, python, wanted, until):
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, folder],
        [uv, "pip", "install", "--quiet", "--python", python, "--exclude-newer", until, *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sentence = f"the neighbours cannot be installed: {done.stderr.strip()}"
            if os.environ.get("TACHOGRAPH_REQUIRE_DEBIAN") == "1":  # where everything must run
                pytest.fail(sentence, pytrace=False)
            pytest.skip(sentence)


class _Model(http.server.BaseHTTPRequestHandler):
    """One answer of a model, in OpenAI's words."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "confirmed"}
        body = json.dumps(
            {
                "id": "c1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-4o",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 13, "total_tokens": 24},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def model():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


THEIR_PROVIDER = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
"""

# How each product is set up by its own manual, and the scope of the span that it makes of a chat.
PRODUCTS = {
    "OpenTelemetry": (
        """
        from opentelemetry.instrumentation.auto_instrumentation import initialize
        initialize()  # which is what opentelemetry-instrument does
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
        OpenAIInstrumentor().instrument()
        """,
        "opentelemetry.instrumentation.genai.openai",
    ),
    "Logfire": (
        """
        import logfire
        logfire.configure(send_to_logfire=False, console=False)
        logfire.instrument_openai()
        """,
        "logfire.openai",
    ),
    "OpenInference": (
        THEIR_PROVIDER
        + """
from openinference.instrumentation.openai import OpenAIInstrumentor
OpenAIInstrumentor().instrument(tracer_provider=provider)
        """,
        "openinference.instrumentation.openai",
    ),
    "OpenLLMetry": (
        THEIR_PROVIDER
        + """
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
        """,
        "opentelemetry.instrumentation.openai.v1",
    ),
}

AGENT = """
from openai import OpenAI
client = OpenAI(base_url=sys.argv[2], api_key="none")
with tachograph.run(tenant="acme"):
    with tachograph.tool("lookup"):
        pass
    with tachograph.llm_call("gpt-4o", provider="openai") as call:
        answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "when?"}])
        call.usage(input_tokens=answer.usage.prompt_tokens, output_tokens=answer.usage.completion_tokens)
assert answer.choices[0].message.content == "confirmed"
assert tachograph.flush()
from tachograph.instrument import exposition
counted = r"^gen_ai_client_inference_usage_(?:in|out)put_tokens_total\\{.* ([0-9.]+)$"
tokens = re.findall(counted, exposition().decode(), re.M)
print(json.dumps(sum(map(float, tokens))))
"""
OURS = {"invoke_agent desk": 1, "execute_tool lookup": 1, "chat gpt-4o": 1}


def spans_at(endpoint):
    """(scope, span) of everything that came."""
    return [
        (scope.scope.name, span)
        for path, body in zip(endpoint.paths, endpoint.bodies, strict=True)
        if path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def run(interpreter, endpoints, model, setup, order):
    theirs, ours = endpoints
    instrument = (
        'tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics="prometheus", metrics_port=0)\n'
    )
    setup, command = textwrap.dedent(setup), [interpreter]
    if "initialize()" in setup and order == "theirs first":
        command = [interpreter.with_name("opentelemetry-instrument"), interpreter]
        setup = setup[setup.index("from opentelemetry.instrumentation.genai") :]
    steps = setup + instrument if order == "theirs first" else instrument + setup
    done = subprocess.run(
        [*command, "-c", f"import json, re, sys, tachograph\n{steps}{AGENT}", ours.url, model],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "instrumentation"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": theirs.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            # three of the packages call themselves "openai"; the test turns on the one that it means
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai",
            "OTEL_METRICS_EXPORTER": "none",
            "LOGFIRE_SEND_TO_LOGFIRE": "false",
        },
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "tachograph" not in done.stderr, "nothing of ours failed"
    assert "Overriding" not in done.stderr, "nobody stood in anybody's way"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("order", ["theirs first", "ours first"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_their_spans_arrive_and_ours_and_none_twice(interpreter, serve, model, product, order):
    setup, scope = PRODUCTS[product]
    theirs, ours = serve(200), serve(200)
    assert run(interpreter, (theirs, ours), model, setup, order) == 11 + 13, "tokens are counted once"
    at_theirs, at_ours = spans_at(theirs), spans_at(ours)
    chats = [span for name, span in at_theirs if name == scope]
    assert len(chats) == 1, Counter(name for name, _ in at_theirs)
    assert Counter(span.name for name, span in at_ours if name == "tachograph") == OURS
    for arrived in (at_theirs, at_ours):
        assert set(Counter((span.trace_id, span.span_id) for _, span in arrived).values()) == {1}
        assert not [name for name, _ in arrived if "urllib3" in name], "our export is not traced"
    (run_span,) = [span for _, span in at_ours if span.name == "invoke_agent desk"]
    assert chats[0].trace_id == run_span.trace_id
    assert "tachograph.run.id" in {each.key for each in chats[0].attributes}
