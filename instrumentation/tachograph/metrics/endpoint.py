"""What a process shows on /metrics, with exemplars, and the server that answers a scrape."""
# prometheus_client annotates its exposition functions in part only.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hmac
import ipaddress
import os
import socket
import socketserver
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from tachograph.errors import UsageError
from tachograph.metrics.families import Families
from tachograph.privacy.redaction import DEFAULT, Redaction
from tachograph.telemetry import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric as Family

    WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

PORT: Final = 9464  # the port that OpenTelemetry gives to the Prometheus exporter
SLOW_CLIENT_S: Final = 10.0
POLL_S: Final = 0.1
SCRAPE_S: Final = 10.0  # Prometheus' own default: it has given up by then


class PrometheusReader(MetricReader):
    """Reads all metrics of a MeterProvider of this process whenever it is scraped.

    `skipped` counts what the latest scrape had to leave out: exponential histograms, delta points, series that exist
    twice. `summed` names the gauges of that scrape that add up over processes. PROMETHEUS_MULTIPROC_DIR concerns the
    application's own prometheus_client metrics and changes nothing here. `redaction` keys the hashes among the labels.
    """

    def __init__(self, redaction: Redaction = DEFAULT) -> None:
        super().__init__()
        self._redaction = redaction
        self.skipped = 0
        self.summed: frozenset[str] = frozenset()
        self._begin()
        self.registry = CollectorRegistry()
        self.registry.register(_Scrape(self.families))
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._begin)
            os.register_at_fork(after_in_child=lambda: (begin := weak()) and begin())

    def _begin(self) -> None:
        self._scrape_lock = threading.RLock()
        self._scraping = False
        self._data: MetricsData | None = None

    def families(self) -> list[Family]:
        """The families as of now; those of the scrape before when the SDK cannot collect.

        So it is for a signal handler or a callback that scrapes in the middle of a scrape. Raises TimeoutError where
        another thread's scrape takes longer than `SCRAPE_S`.
        """
        lock = self._scrape_lock
        if not lock.acquire(timeout=SCRAPE_S):
            raise TimeoutError("the scrape before is still collecting: some callback of the application's is slow")
        try:
            if not self._scraping:
                self._collected()
            families = Families(self._redaction)
            found = families.add_all(self._data) if self._data is not None else []
            self.skipped, self.summed = families.skipped, frozenset(families.summed)
            return found
        finally:
            lock.release()

    def _collected(self) -> None:
        self._scraping = True
        try:
            self.collect()
        except Exception as error:  # noqa: BLE001  a callback of the host's may have failed
            guard.failed("export", error)
        finally:
            self._scraping = False

    def exposition(self, *, openmetrics: bool = False) -> bytes:
        """The page that Prometheus reads; only the OpenMetrics format has exemplars."""
        return generate_openmetrics(self.registry) if openmetrics else generate_latest(self.registry)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:  # noqa: ARG002  the SDK's signature
        self._data = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Nothing to do: the server is closed by itself."""


class _Scrape(Collector):
    """What prometheus_client calls for each scrape."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families()


class Server:
    """A running /metrics endpoint; a forked child does not serve it and does not hold its port."""

    def __init__(self, httpd: ThreadingWSGIServer, host: str) -> None:
        self.host = host
        self.port: int = httpd.server_port
        self._httpd = httpd
        self._forked = False
        self._thread = threading.Thread(
            target=httpd.serve_forever, args=(POLL_S,), name="tachograph-metrics", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # no thread to be had, so nothing serves the port
            httpd.server_close()
            raise
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (let_go := weak()) and let_go())

    @property
    def url(self) -> str:
        """Where to scrape."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/metrics"

    def close(self) -> None:
        """Stops serving and frees the port; in a forked child, where nothing serves, there is nobody to wait for."""
        if not self._forked:
            self._httpd.shutdown()
            self._thread.join(1.0)
        self._httpd.server_close()

    def _after_fork(self) -> None:
        self._forked = True
        self._httpd.socket.close()


class _HttpServer(ThreadingWSGIServer):
    """Binds without asking the DNS for its own name, which may take seconds."""

    block_on_close = False
    slow_client_s = SLOW_CLIENT_S
    tick: Callable[[], None] | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            request, address = super().get_request()
        except OSError:
            time.sleep(POLL_S)  # no more files may be opened, and who wants in is there at once again
            raise
        request.settimeout(self.slow_client_s)
        return request, address

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def service_actions(self) -> None:
        if self.tick is not None:
            self.tick()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that went away is no news for the agent's log."""


class _Ipv6Server(_HttpServer):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A scrape is no news either."""


def page_app(families: Callable[[], Iterable[Family]]) -> WsgiApp:
    """What answers a scrape: the families in the format that the scraper asks for, or 503 with the reason."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            found = list(families())
        except Exception as error:  # noqa: BLE001  a wrong page is worse than none
            guard.failed("export", error)
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [f"/metrics has no numbers that are right: {error}\n".encode()]
        registry = CollectorRegistry()
        registry.register(_Scrape(lambda: found))
        return make_wsgi_app(registry)(environ, start_response)

    return app


def serve(
    app: WsgiApp,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    *,
    slow_client_s: float = SLOW_CLIENT_S,
    tick: Callable[[], None] | None = None,
) -> Server:
    """Serves `app` from a daemon thread; port 0 takes a free one.

    A client that is silent for `slow_client_s` is hung up on: each one holds a thread. `tick` is called by the thread
    about ten times a second, and at once when a client connects.

    Raises UsageError when the address is not this machine's own and no token is given, and when the port is taken.
    With a token, scrapes must carry `Authorization: Bearer TOKEN`.
    """
    if not token and not _loopback(host):
        raise UsageError(
            f"/metrics would be open to others on {host}: set TACHOGRAPH_TOKEN, or listen on 127.0.0.1, the default."
        )
    server = _Ipv6Server if ":" in host else _HttpServer
    try:
        httpd = make_server(host, port, _with_token(app, token) if token else app, server, handler_class=_Handler)
    except OSError as error:
        raise UsageError(
            f"/metrics cannot listen on {host}:{port} ({error.strerror or error}): "
            "set OTEL_EXPORTER_PROMETHEUS_PORT to a free port, 0 for any."
        ) from error
    httpd.slow_client_s = slow_client_s
    httpd.tick = tick
    return Server(httpd, host)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _with_token(app: WsgiApp, token: str) -> WsgiApp:
    expected = f"Bearer {token}".encode()

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = str(environ.get("HTTP_AUTHORIZATION", "")).encode("latin-1", "replace")
        if hmac.compare_digest(given, expected):
            return app(environ, start_response)
        start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
        return [b"A scrape needs the token: Authorization: Bearer TOKEN\n"]

    return guarded
