"""The run's id in baggage: what leaves with a call, what is taken from one, and one run across two processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from analytics.services import decode_all, home_at, receiving
from opentelemetry import baggage, context
from opentelemetry.propagate import extract, inject

import tachograph
from tachograph.testing import Recorded, recording
from tachograph_analytics.store.query import query

if TYPE_CHECKING:
    from collections.abc import Generator

TRACEPARENT = "00-0000000000000000000000000000000b-000000000000000d-01"


@contextlib.contextmanager
def joining(*arguments: Any, **settings: Any) -> Generator[Recorded]:
    """As `recording`, in a process that joins the runs of its callers."""
    with recording(*arguments, **settings) as recorded:
        recorded.recorder.baggage = "on"
        yield recorded


def sent() -> str | None:
    """The baggage header of a call that is made now."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("baggage")


class Received:
    """The context that a call arrives in, as the host's instrumentation makes it."""

    def __init__(self, header: str | None) -> None:
        self._headers = {"traceparent": TRACEPARENT} | ({"baggage": header} if header is not None else {})

    def __enter__(self) -> None:
        self._token = context.attach(extract(self._headers))

    def __exit__(self, *_: object) -> None:
        context.detach(self._token)


# -- what leaves
def test_a_call_made_inside_of_a_run_carries_its_id_and_nothing_else_of_it():
    with joining(), tachograph.run(tenant="acme", user="eve", session="s-11") as run:
        with tachograph.tool("lookup"):
            assert sent() == f"tachograph.run.id={run.id}"
    assert sent() is None


def test_the_hosts_own_baggage_is_kept_and_is_as_before_after_the_run():
    token = context.attach(baggage.set_baggage("colour", "red"))
    try:
        with joining():
            with tachograph.run() as run:
                assert sent() == f"colour=red,tachograph.run.id={run.id}"
            assert dict(baggage.get_all()) == {"colour": "red"}
    finally:
        context.detach(token)


@pytest.mark.parametrize(
    ("mode", "leaves", "joins"), [("on", True, True), ("send", True, False), ("off", False, False)]
)
def test_sending_and_joining_can_be_turned_off(mode, leaves, joins):
    with joining() as recorded, Received("tachograph.run.id=run-17"):
        recorded.recorder.baggage = mode
        with tachograph.run() as run:
            assert (run.id == "run-17") == joins
            assert (sent() == f"tachograph.run.id={run.id}") == leaves
    assert recorded.metric("tachograph.runs") == (0 if joins else 1)


def test_an_id_of_the_hosts_that_others_would_not_take_is_not_sent():
    with joining(), tachograph.run(id="order 13/ü"):
        assert sent() is None


def test_generators_tasks_and_cancellation_leave_nothing_behind():
    @tachograph.run()
    def numbers():
        yield sent()
        yield sent()

    @tachograph.run()
    async def waits() -> None:
        await asyncio.sleep(60)

    async def cancelled() -> str | None:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sent()

    with joining():
        generator = numbers()
        first = next(generator)
        assert sent() is None
        assert next(generator) == first != None  # noqa: E711 - the same id both times, and one at all
        generator.close()
        assert sent() is None
        assert asyncio.run(cancelled()) is None
    assert dict(baggage.get_all()) == {}


# -- what arrives
def test_a_run_that_a_call_from_a_run_begins_is_a_part_of_that_run():
    with joining("billing") as recorded, Received("tachograph.run.id=run-17,colour=red"):
        with tachograph.run(workflow="invoice", tenant="acme") as part, tachograph.llm_call("gpt-4o") as call:
            call.usage(input_tokens=11, output_tokens=13, cost=0.17)
            tachograph.budget("turns", limit=13, used=1)
            part.outcome("failed", "error")
        assert (part.id, sent()) == ("run-17", "tachograph.run.id=run-17,colour=red")
    assert [(span["name"], span["kind"]) for span in recorded.spans()] == [
        ("chat gpt-4o", "llm"),
        ("step billing", "step"),
    ]
    for span in recorded.sdk_spans():
        assert dict(span.attributes or {})["tachograph.run.id"] == "run-17"
        assert (span.attributes or {})["tachograph.workflow"] == "invoice"
        assert span.context.trace_id == 11
    assert [span.parent.span_id for span in recorded.sdk_spans()][-1] == 13
    assert recorded.values("step", "tachograph.run.outcome") == [None]
    of_runs = ("runs", "run.duration", "run.stops", "run.cost", "run.turns")
    assert [recorded.metric(f"tachograph.{name}") for name in of_runs] == [0] * 5
    assert recorded.metric("tachograph.cost") == 0.17


def test_a_part_that_fails_is_a_failed_step_and_the_exception_is_the_hosts():
    with joining() as recorded, Received("tachograph.run.id=run-17"):
        with pytest.raises(LookupError), tachograph.run():
            raise LookupError
    assert [(span["kind"], span["status"]) for span in recorded.spans()] == [("step", "ERROR")]
    assert recorded.metric("tachograph.runs") == 0


@pytest.mark.parametrize(
    "value",
    ["", "x" * 129, "run%2011", "run%0A11", "-run", "run%22%3B--", "%3Cscript%3E", "ru%C3%BCn"],
)
def test_what_does_not_look_like_an_id_is_nobodys(value):
    with joining() as recorded, Received(f"tachograph.run.id={value}"), tachograph.run() as run:
        assert run.id == "run_0000000000000001"
    assert recorded.metric("tachograph.runs") == 1


def test_longest_id_is_taken():
    with joining(), Received("tachograph.run.id=" + "x" * 128), tachograph.run() as run:
        assert run.id == "x" * 128


def test_an_id_that_the_host_gives_is_a_run_of_its_own_unless_it_is_the_callers():
    with joining() as recorded, Received("tachograph.run.id=run-17"):
        with tachograph.run(id="run-19") as resumed:
            assert sent() == "tachograph.run.id=run-19"
        with tachograph.run(id="run-17") as part:
            pass
    assert (resumed.id, part.id) == ("run-19", "run-17")
    assert [span["kind"] for span in recorded.spans()] == ["run", "step"]
    assert recorded.metric("tachograph.runs") == 1


def test_a_part_does_not_count_what_its_caller_may_have_approved():
    with joining("billing") as recorded:
        tachograph.checkpoint("c", stage="pre_tool")  # known hooks: an approval and a checkpoint ran before
        with tachograph.run(), tachograph.approval("pay", arguments={}) as ask:
            ask.approve("maria")
        with Received("tachograph.run.id=run-17"), tachograph.run():
            with tachograph.tool("pay", effect="write", tier=1, idempotency_key="k-11"):
                pass
    assert "write_unapproved" not in recorded.detections()


def test_what_a_run_of_this_process_left_in_a_thread_begins_runs_of_its_own():
    """The host's instrumentation of threads carries OpenTelemetry's context into them, and so the baggage."""
    ids: list[str | None] = []
    ready, ended = threading.Event(), threading.Event()

    def worker(inherited: context.Context) -> None:
        context.attach(inherited)
        with tachograph.run() as inside:
            ids.append(inside.id)
        ready.set()
        ended.wait(10)
        with tachograph.run() as later:
            ids.append(later.id)

    with joining() as recorded:
        with tachograph.run() as run:
            thread = threading.Thread(target=worker, args=(context.get_current(),))
            thread.start()
            assert ready.wait(10)
        ended.set()
        thread.join(10)
    assert ids[0] == run.id != ids[1]
    assert recorded.metric("tachograph.runs") == 2


# -- two processes
BILLING = """
import http.server, json, sys, tachograph
from opentelemetry import context
from opentelemetry.propagate import extract

class Agent:
    def handle_request(self, request):
        return self._reply(request)
    def _reply(self, request):
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=11, output_tokens=13, cost=0.17)
        return request.upper()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        token = context.attach(extract({name.lower(): value for name, value in self.headers.items()}))
        try:
            answer = Agent().handle_request("k13").encode()
        finally:
            context.detach(token)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_):
        pass

tachograph.instrument(Agent, service_name="billing", endpoint=sys.argv[1], metrics_port=0)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.handle_request()
server.server_close()
assert tachograph.flush(30)
from tachograph.instrument import exposition
print(json.dumps(exposition().decode()), flush=True)
"""

DESK = """
import json, sys, tachograph, urllib.request
from opentelemetry.propagate import inject

tachograph.instrument(service_name="desk", endpoint=sys.argv[1], metrics_port=0)
with tachograph.run("desk", tenant="acme", id="run-17"):
    with tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=101, output_tokens=103, cost=0.19)
    headers = {}
    inject(headers)
    with urllib.request.urlopen(urllib.request.Request(sys.argv[2], headers=headers), timeout=30) as response:
        assert response.read() == b"K13"
assert tachograph.flush(30)
from tachograph.instrument import exposition
print(json.dumps(exposition().decode()), flush=True)
"""


def total(metric: str, *pages: str) -> float:
    series = re.compile(rf"^{metric}(?:{{.*}})? (\S+)$", re.MULTILINE)
    return sum(float(value) for page in pages for value in series.findall(page))


@pytest.mark.slow
def test_one_run_across_two_processes_is_one_row_one_trace_and_one_count(tmp_path):
    home = home_at(tmp_path)
    with receiving(home) as (url, _):
        start = [sys.executable, "-W", "error", "-c"]
        joins = os.environ | {"TACHOGRAPH_BAGGAGE": "on"}
        billing = subprocess.Popen([*start, BILLING, url], stdout=subprocess.PIPE, text=True, env=joins)
        assert billing.stdout is not None
        port = billing.stdout.readline().strip()
        desk = subprocess.run(
            [*start, DESK, url, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=60, check=False
        )
        left, _ = billing.communicate(timeout=60)
    assert (desk.returncode, billing.returncode) == (0, 0), desk.stderr
    decode_all(home)
    pages = [json.loads(text) for text in (desk.stdout, left)]
    runs = query(home, "SELECT run_id, agent, tenant, outcome, llm_calls, input_tokens, round(cost, 2) FROM runs").rows
    assert runs == (("run-17", "desk", "acme", "success", 2, 112, 0.36),)
    spans = query(home, "SELECT tachograph_span_kind AS kind, agent, run_id FROM spans ORDER BY ALL").rows
    assert spans == (
        ("llm", "billing", "run-17"),
        ("llm", "desk", "run-17"),
        ("run", "desk", "run-17"),
        ("step", "billing", "run-17"),
    )
    assert query(home, "SELECT count(DISTINCT trace_id) AS traces FROM spans").rows == ((1,),)
    assert total("tachograph_runs_total", *pages) == 1
    assert round(total("tachograph_cost_total", *pages), 2) == 0.36
