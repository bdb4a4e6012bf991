"""Prometheus takes the exemplars of /metrics, and each leads to the trace it came from."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id

from tachograph.metrics.endpoint import PrometheusReader
from tachograph.metrics.metrics import Metrics
from tachograph.metrics.workers import Address, Workers
from tachograph.registry import instruments, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AGENT = {names.GEN_AI_AGENT_NAME: "desk"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[str]:
    """A Prometheus with storage for exemplars that scrapes one port; its base URL."""
    job = {"job_name": "agents", "scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))  # YAML takes JSON
    port = free_port()
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def ask(base: str, path: str, **parameters: object) -> Any:
    try:
        with urllib.request.urlopen(f"{base}{path}?{urllib.parse.urlencode(parameters)}", timeout=5) as answer:  # noqa: S310 - our own
            return json.load(answer)["data"]
    except OSError:  # it is not up yet
        return None


@pytest.mark.slow
@pytest.mark.debian("prometheus")
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's prometheus")
def test_prometheus_keeps_the_exemplars_of_all_workers(tmp_path, until: Callable[..., None]):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    address = Address("desk", "127.0.0.1", free_port(), directory=str(tmp_path / "run"))
    workers: list[Workers] = []
    wanted: set[tuple[str, str, str]] = set()
    for turns in (3, 13):  # two workers, whose newest values fall into two buckets
        reader = PrometheusReader()
        metrics = Metrics(MeterProvider([reader], resource=Resource({}), shutdown_on_exit=False).get_meter("test"))
        with tracer.start_as_current_span("run") as span:
            metrics.record(instruments.RUN_TURNS, turns, {**AGENT, names.RUN_OUTCOME: "success"})
        context = span.get_span_context()
        wanted.add((str(turns), format_trace_id(context.trace_id), format_span_id(context.span_id)))
        workers.append(Workers(reader, address, metrics.waiting))
    found: set[tuple[str, str, str]] = set()

    def kept(base: str) -> bool:
        query = "tachograph_run_turns_bucket"
        for series in ask(base, "/api/v1/query_exemplars", query=query, start=0, end=2**32) or ():
            for one in series["exemplars"]:
                found.add((one["value"], one["labels"]["trace_id"], one["labels"]["span_id"]))
        return len(found) >= 2

    with prometheus(tmp_path, address.port) as base:
        until(lambda: kept(base), 30)
        (sample,) = ask(base, "/api/v1/query", query="tachograph_run_turns_count")["result"]
    for one in workers:
        one.close()
    assert found == wanted
    assert sample["value"][1] == "2"
