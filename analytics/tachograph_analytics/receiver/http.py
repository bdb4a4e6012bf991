"""The receiver's HTTP side: OTLP/HTTP, Alertmanager's webhook, and what it says of itself."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tachograph_analytics.listen import LOOPBACK
from tachograph_analytics.receiver import admission, alerts, answers
from tachograph_analytics.receiver.admission import RefusedError
from tachograph_analytics.receiver.wal import Wal, WalFullError, WalWriteError
from tachograph_analytics.store.decode import unpack
from tachograph_analytics.store.manifest import STORE_VERSION, Position, open_manifest
from tachograph_analytics.store.segment import ContentType, Record, Signal, backlog

if TYPE_CHECKING:
    from tachograph_analytics.receiver.measures import Measures
    from tachograph_analytics.store.home import Home

# Bodies that are being read or written, all together; above it, clients are asked to come back.
MAX_IN_FLIGHT_BYTES = 96 * 2**20
MAX_DISCARDED_BYTES = 8 * admission.MAX_BODY_BYTES
RETRY_AFTER_S = 1
_OWN_NAMES: Final = ("localhost", LOOPBACK, "::1")

# 404 and not 501: clients send again after a 5xx.
_METRICS_REFUSAL = (
    "metrics are not stored here: let Prometheus scrape the agent's /metrics, "
    "or send them to an OpenTelemetry Collector"
)


@dataclass(slots=True)
class Receiver:
    """What the endpoints share; `in_flight` counts bytes of bodies that are not answered yet.

    `host` is the address that is listened on; without a token only requests to it or to loopback's names are served.
    """

    home: Home
    wal: Wal
    measures: Measures
    token: str | None = None
    host: str = LOOPBACK
    in_flight: int = 0

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/traces", self.traces, methods=["POST"]),
                Route("/v1/logs", self.logs, methods=["POST"]),
                Route("/v1/metrics", self.metrics_refusal, methods=["POST"]),
                Route("/alerts", self.alerts, methods=["POST"]),
                Route("/healthz", self.health),
                Route("/readyz", self.readiness),
                Route("/status", self.status),
                Route("/metrics", self.metrics),
            ]
        )

    async def traces(self, request: Request) -> Response:
        """POST /v1/traces."""
        return await self._answer(request, Signal.TRACES.label, Signal.TRACES)

    async def logs(self, request: Request) -> Response:
        """POST /v1/logs."""
        return await self._answer(request, Signal.LOGS.label, Signal.LOGS)

    async def alerts(self, request: Request) -> Response:
        """POST /alerts: a notification is small, so it is read as a whole before the ack."""
        return await self._answer(request, Signal.ALERTS.label, Signal.ALERTS)

    async def metrics_refusal(self, request: Request) -> Response:
        """POST /v1/metrics: says where metrics belong."""
        return await self._answer(request, "metrics", None)

    async def health(self, _: Request) -> Response:
        """GET /healthz: the process answers."""
        return PlainTextResponse("ok\n")

    async def readiness(self, _: Request) -> Response:
        """GET /readyz: the disk takes what is sent."""
        if self.wal.failure is not None:
            return PlainTextResponse(f"the disk does not take it: {self.wal.failure}\n", 503)
        return PlainTextResponse("ok\n")

    async def status(self, request: Request) -> Response:
        """GET /status: how far everything is; all that was acked is queryable when backlog_bytes is 0."""
        try:
            self._authorize(request)
        except RefusedError as error:
            return answers.refused(error, "")
        end = self.wal.end
        decoded, behind, quarantined = await asyncio.to_thread(self._progress)
        return JSONResponse(
            {
                "wal": {"segment": end.segment, "offset": end.offset},
                "decoded": {"segment": decoded.segment, "offset": decoded.offset},
                "backlog_bytes": behind,
                "quarantined": quarantined,
                "store_version": STORE_VERSION,
            }
        )

    async def metrics(self, request: Request) -> Response:
        """GET /metrics: Prometheus text."""
        try:
            self._authorize(request)
        except RefusedError as error:
            return answers.refused(error, "")
        _, behind, quarantined = await asyncio.to_thread(self._progress)
        text = self.measures.exposition(backlog=behind, quarantined=quarantined)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def _progress(self) -> tuple[Position, int, int]:
        with open_manifest(self.home) as manifest:
            decoded = manifest.position()
            return decoded, backlog(self.home.wal, decoded), manifest.quarantined_count()

    async def _answer(self, request: Request, label: str, signal: Signal | None) -> Response:
        requested = request.headers.get("content-type", "")
        try:
            self._authorize(request)
            written = await self._take(request, signal, requested)
        except RefusedError as error:
            await _discard(request)
            response = answers.refused(error, requested)
        else:
            response = answers.accepted(written)
        self.measures.answered(label, response.status_code)
        return response

    def _authorize(self, request: Request) -> None:
        if self.token is None:
            self._check_host(request.headers.get("host", ""))
            return
        expected = f"Bearer {self.token}".encode()
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(expected, given):
            raise RefusedError(401, "this receiver wants its token: Authorization: Bearer TOKEN")

    def _check_host(self, header: str) -> None:
        """A page of another site reaches this machine by a name that it made resolve here (DNS rebinding)."""
        try:
            named = urlsplit(f"//{header}").hostname
        except ValueError:
            named = None
        if named not in (*_OWN_NAMES, self.host.lower()):
            raise RefusedError(403, f"without a token only {', '.join(_OWN_NAMES)} are served: set TACHOGRAPH_TOKEN")

    async def _take(self, request: Request, signal: Signal | None, requested: str) -> ContentType:
        """Makes one body durable; RefusedError if it is not taken, as metrics never are."""
        if signal is None:
            raise RefusedError(404, _METRICS_REFUSAL)
        written = admission.content_type(requested)
        packing = admission.encoding(request.headers.get("content-encoding", ""))
        admission.check_size(_declared_size(request))
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                self.in_flight += len(chunk)
                admission.check_size(len(body))
                if self.in_flight > MAX_IN_FLIGHT_BYTES:
                    raise _busy("too many requests are under way")
            record = Record(signal, packing, written, time.time_ns(), bytes(body))
            _check(record)
            await self._write(record)
        except ClientDisconnect as error:
            raise RefusedError(400, "the client left before the body ended") from error
        finally:
            self.in_flight -= len(body)
        return written

    async def _write(self, record: Record) -> None:
        try:
            await asyncio.wrap_future(self.wal.append(record))
        except (WalFullError, WalWriteError) as error:
            raise _busy(str(error)) from error
        self.measures.acked(record.signal, len(record.body))


async def _discard(request: Request) -> None:
    """Reads what a refused client still sends: one that is cut off while sending sees no answer and sends again."""
    discarded = 0
    try:
        async for chunk in request.stream():
            discarded += len(chunk)
            if discarded > MAX_DISCARDED_BYTES:
                return
    except (ClientDisconnect, RuntimeError):  # gone, or read to the end already
        return


def _check(record: Record) -> None:
    """Refuses what could never be decoded, as far as a cheap look tells; a notification is small and read whole."""
    if record.signal is not Signal.ALERTS:
        admission.check_body(record.body, record.encoding, record.content_type)
        return
    try:
        alerts.parse(unpack(record))
    except ValueError as error:
        raise RefusedError(400, str(error)) from error


def _busy(why: str) -> RefusedError:
    return RefusedError(503, f"{why}: try again", retry_after_s=RETRY_AFTER_S)


def _declared_size(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else 0
