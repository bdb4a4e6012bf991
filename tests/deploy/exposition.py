"""An agent's /metrics in miniature: the counter of what must never happen, at 0 for every detection, behind a token."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, generate_latest

from tachograph.registry import load

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def exposition(port: int, token: str, agent: str) -> Iterator[Counter]:
    """Serves the counter of `agent`; label values are the agent and the detection's name."""
    facts = load()
    metric = facts.metrics["tachograph.detections"]
    registry = CollectorRegistry()
    labels = [facts.attributes[name].column for name in metric.labels]
    counter = Counter(metric.prometheus.removesuffix("_total"), metric.brief, labels, registry=registry)
    for rule in facts.detections:
        counter.labels(agent, rule)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == f"Bearer {token}"
            body = generate_latest(registry) if known else b""
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield counter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
