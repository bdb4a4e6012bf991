"""The agents in their surroundings: each scenario is played without us, with us, and with one function broken."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from instrumentation.faults import byhand, decorated, plain, traffic
from instrumentation.faults.exceptions import seen
from instrumentation.faults.outcome import Scenario
from instrumentation.faults.surroundings import (
    FLUSH_S,
    Analyzer,
    forking,
    fresh,
    in_child,
    instrumented,
    launched,
    recorded,
    replaces_providers,
    with_variables,
)
from instrumentation.faults.traffic import Target

import tachograph
from tachograph.launch.importer import Importer, Own
from tachograph.launch.journal import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from instrumentation.faults.outcome import Inside, Play

# What a process may find in its environment.
NONSENSE = {
    "OTEL_TRACES_EXPORTER": "otlp,console",
    "OTEL_LOGS_EXPORTER": "otlp,console",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "many",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "many",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many",
}
NO_EXPORT = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
DRAWN = {
    "OTEL_RESOURCE_ATTRIBUTES": "service.name=desk",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_TRACES_SAMPLER": "traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.999999",
}

PROGRAM = '''
import threading

def call_tool(tool: str) -> str:
    return tool

async def handle_message(text):
    return text

if True:
    def handle(text):
        """An entry."""
        return call_tool(text)

try:
    BROKEN = 1 / 0
except ZeroDivisionError as error:
    BROKEN = str(error)

DOOR = threading.Semaphore(3)
alias: object = call_tool

class Other:
    def call_tool(self, tool):
        return tool
'''


def _program(folder: Path) -> object:
    """A module of the program's own, imported anew."""
    sys.path.insert(0, str(folder))
    sys.modules.pop("faulty_program", None)
    try:
        import faulty_program  # pyright: ignore[reportMissingImports] - written by the test

        return faulty_program.handle("hello"), faulty_program.Other().call_tool("x"), faulty_program.BROKEN
    finally:
        sys.modules.pop("faulty_program", None)
        sys.path.remove(str(folder))


def _some() -> object:
    return [byhand.models(), byhand.checks(), seen(plain.run_turn, 3)]


def _others() -> object:
    return [byhand.framework(), byhand.run()]


def _most() -> object:
    return [_others(), seen(plain.handle, plain.Request("r-13")), seen(plain.run_turn, 3)]


def _twice() -> object:
    got = decorated.functions()
    tachograph.flush(FLUSH_S)
    return got, decorated.functions()


def _child() -> object:
    return decorated.function(), byhand.many()


def scenarios(url: str, folder: Path) -> list[Scenario]:
    """All of them, from the quickest to the slowest as far as that is known; `folder` is empty."""
    (folder / "faulty_program.py").write_text(PROGRAM)
    (folder / "raises").write_text('{"agent": "desk", "rate": 0.5, "until": "2999-01-31T12:00:00Z"}\n')
    (folder / "journal").touch()
    writer, importer = Writer(str(folder / "journal")), Importer(Own((str(folder),)))
    writer.begun()
    hooked = partial(recorded, target=plain)
    there = partial(instrumented, endpoint=url)
    quiet = partial(there, metrics="none")
    sampled: dict[str, Any] = {"sample_rate": 0.999_999, "capture": "redacted", "analyzer": Analyzer()}
    inside: dict[str, tuple[Play, Inside]] = {
        "without export": (decorated.function, with_variables(NO_EXPORT, partial(quiet, target=None))),
        "without a target": (decorated.function, partial(quiet, target=None)),
        "launched": (partial(_program, folder), partial(launched, writer=writer, importer=importer, base=quiet)),
        "instance": (lambda: Target().call_tool("x"), partial(quiet, target=[Target(), plain])),
        "mapped": (decorated.function, partial(quiet, mapping={"helper": "call_tool"})),
        "sampled": (decorated.function, partial(quiet, target=None, **sampled)),
        "sampled among others": (_others, partial(quiet, target=None, **sampled)),
        "pushed": (decorated.function, partial(there, metrics="otlp")),
        "scraped": (decorated.function, partial(there, metrics="prometheus", metrics_port=0)),
        "drawn": (decorated.function, with_variables(DRAWN, partial(there, service_name=None))),
        "refused": (_some, partial(instrumented, endpoint=f"{url}/refuses", metrics="none", capture="full")),
        "replaced": (_most, partial(quiet, then=replaces_providers)),
        "noted": (_most, with_variables(NONSENSE, quiet)),
        "on disk": (_twice, partial(quiet, audit_dir=folder / "audit")),
        "unwell": (_some, partial(instrumented, endpoint=f"{url}/fails", metrics="none", flush_s=0.1)),
        "full": (_most, with_variables({"OTEL_BSP_MAX_QUEUE_SIZE": "1"}, quiet)),
    }  # fmt: skip
    forked = partial(in_child, base=partial(there, metrics="otlp", sample_rate=0.999_999))
    return [
        *(Scenario(f"decorated {part.__name__}", part, recorded) for part in decorated.PARTS),
        *(Scenario(f"by hand {part.__name__}", part, recorded) for part in byhand.PARTS),
        *(Scenario(f"plain {part.__name__}", part, hooked) for part in traffic.PARTS),
        *(Scenario(f"process {name}", play, fresh, within) for name, (play, within) in inside.items()),
        Scenario("process forked", lambda: repr(_child()), forking, lambda _: forked(_child)),
    ]
