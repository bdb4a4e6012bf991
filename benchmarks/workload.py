"""What an agent sends: OTLP requests of 512 spans each, as the hooks write them and the SDK's exporter packs them."""

from __future__ import annotations

import gzip
import random
import time
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tachograph

SPANS = 512  # of one request: the SDK's batch size
TENANTS = ("acme", "borg", "cyan", "dune", "echo")
MODELS = (("gpt-4o", "openai"), ("gpt-4o-mini", "openai"), ("claude-sonnet-4-5", "anthropic"))
TOOLS = ("lookup_booking", "search_flights", "quote_fare", "read_policy")


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests, each gzipped; `unpacked` is how many bytes they all are as protobuf."""

    bodies: tuple[bytes, ...]
    unpacked: int

    @property
    def spans(self) -> int:
        """Spans of all requests together."""
        return SPANS * len(self.bodies)

    @property
    def packed(self) -> int:
        """Bytes of all requests together, as sent."""
        return sum(map(len, self.bodies))


@dataclass(slots=True)
class _Clock:
    """Passes 1 to 700 ms each time it is asked: times as different from each other as those of a working agent."""

    random: random.Random
    now: int = field(default_factory=time.time_ns)

    def __call__(self) -> int:
        self.now += self.random.randrange(1_000_000, 700_000_000)
        return self.now


def workload(requests: int) -> Workload:
    """So many requests, the same figures in them each time; ids are random, as they are in production."""
    chance = random.Random(13)  # noqa: S311 - figures of an example
    provider, exporter = TracerProvider(resource=Resource.create({"service.name": "desk"})), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    tachograph.instrument(service_name="desk", metrics="none", clock=_Clock(chance))
    while len(exporter.get_finished_spans()) < requests * SPANS:
        _conversation(chance)
    tachograph.uninstrument()
    spans = exporter.get_finished_spans()
    plain = [
        encode_spans(spans[start : start + SPANS]).SerializeToString() for start in range(0, requests * SPANS, SPANS)
    ]
    return Workload(tuple(gzip.compress(body, 6, mtime=0) for body in plain), sum(map(len, plain)))


def _conversation(chance: random.Random) -> None:
    tenant = chance.choice(TENANTS)
    about = {"workflow": "refund", "tenant": tenant, "session": f"session-{chance.randrange(10**6)}", "tier": 1}
    with tachograph.run(**about, user=f"user-{chance.randrange(10**5)}"):  # pyright: ignore[reportArgumentType] - a mixed dict
        with tachograph.checkpoint("validate_request", stage="pre_request"):
            pass
        with tachograph.route("desk", candidates=("refund", "booking", "person")) as route:
            route.choose("refund", reason="the user asks for money")
        for _ in range(chance.randrange(1, 5)):
            _turn(chance, tenant)
        with tachograph.checkpoint("validate_output", stage="post_output"):
            pass


def _turn(chance: random.Random, tenant: str) -> None:
    model, provider = chance.choice(MODELS)
    name, booking = chance.choice(TOOLS), f"booking-{chance.randrange(10**6)}"
    with tachograph.turn():
        with tachograph.cache("answers", key=(tenant, booking), parts=("tenant", "question")) as cache:
            cache.result("miss")
        with tachograph.llm_call(model, provider=provider) as call:
            call.usage(input_tokens=chance.randrange(200, 9000), output_tokens=chance.randrange(10, 900))
        with tachograph.checkpoint("validate_tool_call", stage="pre_tool", tool=name):
            pass
        with tachograph.tool(name, arguments={"booking": booking}, role="clerk", authz="allow") as tool:
            tool.output_valid(True)
            tool.result(bytes=chance.randrange(50, 5000))
