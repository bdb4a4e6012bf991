"""Whatever of ours fails, wherever it does: the agent returns and raises what it does without us.

The points come from the code, so a new function of ours that no scenario here reaches fails a test by its name.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from instrumentation.faults.byhand import AGENTS
from instrumentation.faults.outcome import ENDING
from instrumentation.faults.points import DOORS, ELSEWHERE, doors, modules, points
from instrumentation.faults.scenarios import scenarios
from instrumentation.faults.surroundings import endpoint
from instrumentation.faults.verdict import SILENT, TAKING_BACK, Played

from tachograph.audit import writer
from tachograph.export import batch
from tachograph.metrics import ledger
from tachograph.telemetry import event_loop, pipeline, recorder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow  # all of them together

# Points that no scenario reaches, and why that is right.
_DISK = "needs a disk that fails: audit/test_writer.py"
_IMPORT = "runs when its module is imported, and only then"
_BEFORE = "before the program begins, as launch.start"
_COMMAND = "what a command needs of a module that others share"
UNREACHED = {
    "audit.file:AuditFile._cut": _DISK,
    "audit.file:AuditFile.discard": _DISK,
    "audit.writer:Writer._say": _DISK,
    "config:Config.shown_endpoint": _COMMAND,
    "launch.importer:Importer.__init__": _BEFORE,
    "launch.journal:Writer.__init__": _BEFORE,
    "launch.journal:Writer.begun": _BEFORE,
    "launch.journal:read": _COMMAND,
    "launch.journal:_entries": _COMMAND,
    "sampling.raises:Raise.line": _COMMAND,
    "sampling.raises:write": _COMMAND,
    "plain.caches:_Writers.__init__": _IMPORT,
    "plain.caches:access": _IMPORT,
    "plain.checks:check": _IMPORT,
    "plain.tools:tool": _IMPORT,
    "plain.approvals:ObservedApproval.<lambda>": "a default that every decision replaces",
    "plain.convention:nearest": "words the UsageError of a mapping",
    "plain.install:install.<locals>.<lambda>": "undoes an installation that failed: there is nothing to undo",
    "recording:Recording.name": "each step that has a span has a name of its own",
    "sampling.policy:unsampled": "a provider of the application's is there before: instrument/test_instrument.py",
    "metrics.fork:begin_at_zero.<locals>.<lambda>": "stands for a provider that an SDK of another make has",
    "export.destination:grpc_is_installed": "as export.otlp_grpc",
    "metrics.ledger:Ledger.waiting": "asked by threads of /metrics",
    "metrics.metrics:Metrics.waiting": "asked by threads of /metrics",
    "telemetry.pipeline:Pipeline.tally_failures.<locals>.<lambda>": "called where something fails: test_process.py",
    "sampling.traces:Traces.rescue": "called where another point fails: with each of `Traces`",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder: Path = tmp_path_factory.mktemp("faults")
    gc.freeze()  # what is there already stays: looking at it again and again would take longer than the agents do
    often = gc.get_threshold()
    gc.set_threshold(50_000)
    with pytest.MonkeyPatch.context() as patch, endpoint() as url:
        for module in (batch, pipeline):
            patch.setattr(module, "SHUTDOWN_S", 0.2)
        patch.setattr(batch, "_LOOK_S", 0.002)  # so that a flush waits for little
        patch.setattr(writer, "_PATIENCE_S", 0.002)
        patch.setenv("TACHOGRAPH_SAMPLING_FILE", str(folder / "raises"))
        patch.setattr(ledger, "_NOTES", 64)
        patch.setattr(event_loop, "INTERVAL", 0.001)
        patch.setattr(recorder, "_AGENTS", AGENTS)
        yield Played(scenarios(url, folder))
    gc.set_threshold(*often)
    gc.unfreeze()


def test_with_us_and_nothing_broken_each_scenario_is_what_it_is_without_us(played: Played):
    assert {name: found.result for name, found in played.with_us.items()} == played.expected
    said = {name: (dict(found.failures), found.left, found.causes()) for name, found in played.with_us.items()}
    assert said == dict.fromkeys(played.expected, ({}, [], []))


def test_every_point_is_reached_by_a_scenario(played: Played):
    missing = [point for point in played.missing(points()) if point not in UNREACHED]
    assert not missing, "tests/instrumentation/faults/scenarios.py plays nothing that calls\n" + "\n".join(missing)


def test_nothing_is_excused_that_is_not_there_or_needs_no_excuse(played: Played):
    every = points()
    assert [point for point in UNREACHED if point not in every or played.reaches(point)] == []
    assert [point for point in SILENT if not any(each.startswith(point) for each in every)] == []
    assert [point for point in (*TAKING_BACK, *ENDING) if point not in every] == []
    assert [door for door in DOORS if not any(each.startswith(door) for each in doors())] == []
    assert not set(ELSEWHERE) & set(modules())


@pytest.mark.parametrize("point", [point for point in points() if point not in UNREACHED])
def test_the_agent_does_not_notice_when_a_point_fails(point: str, played: Played):
    plays = played.broken(point)
    assert [play for play in plays if play.findings] == []
    assert any(play.calls for play in plays), f"no scenario calls {point} each time"
