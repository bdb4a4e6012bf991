"""What fails around the hooks: interrupts, recursion, the application's own parts, our data, the disk."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
from instrumentation.faults import byhand, decorated, plain
from instrumentation.faults.exceptions import seen
from instrumentation.faults.outcome import FAILED, Outcome
from instrumentation.faults.surroundings import endpoint, fresh
from instrumentation.faults.watch import Fault
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler

import tachograph
from tachograph.instrument import exposition
from tachograph.launch.journal import Writer
from tachograph.prices import lookup
from tachograph.run import current, current_tool
from tachograph.telemetry import guard
from tachograph.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CARD = "4111 1111 1111 1111"


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError(f"broken on purpose: {CARD}")


@pytest.fixture(autouse=True)
def each_cause_is_new() -> Iterator[None]:
    guard.failures.clear()
    guard.forget_causes()
    yield
    guard.forget_causes()


@pytest.fixture
def instrumented() -> Iterator[Callable[..., None]]:
    """instrument() in a process without providers, undone after the test."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(fresh(Outcome()))
        url = stack.enter_context(endpoint())
        stack.callback(tachograph.uninstrument)

        def instrument(**settings: Any) -> None:
            given = {"metrics": "prometheus", "metrics_port": 0, "endpoint": url, "service_name": "desk"}
            tachograph.instrument(plain, **{**given, **settings})

        yield instrument


def causes(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [logging.Formatter().format(record) for record in caplog.records if record.name == "tachograph"]
    assert not any(CARD in line for line in lines)
    return [line for line in lines if FAILED in line]


def nothing_is_current() -> bool:
    return (trace.get_current_span(), current(), current_tool()) == (trace.INVALID_SPAN, None, None)


def test_a_failure_is_on_the_page_of_metrics_and_in_one_line_of_the_log(instrumented, caplog):
    instrumented()
    for _ in range(3):
        with Fault("patterns.tool:ToolCall.opened", broken):
            seen(decorated.lookup, "a")
    page = exposition().decode()
    assert 'tachograph_internal_errors_total{tachograph_hook="tool"} 3.0' in page
    assert len(causes(caplog)) == 1


# -- what is no failure of ours
INTERRUPTED = [
    "patterns.tool:ToolCall.opened",
    "patterns.tool:ToolCall.closed",
    "recording:Recording.begin",
    "recording:Recording.finish",
    "telemetry.event_loop:watch",
    "telemetry.recorder:Recorder.span",
]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("point", INTERRUPTED)
def test_an_interrupt_passes_and_nothing_stays_current(point: str, kind: type[BaseException]):
    def enter() -> None:
        with tachograph.tool("lookup"):
            pass

    passed: list[bool] = []
    with recording():
        for play in (enter, lambda: decorated.lookup("a")):
            with Fault(point, kind) as fault:
                try:
                    play()
                except kind:
                    passed.append(fault.calls == 1)
                else:
                    assert fault.calls == 0, "swallowed"
            assert nothing_is_current()
    assert passed
    assert all(passed)
    assert guard.failures == {}


@pytest.mark.parametrize("kind", [RecursionError, MemoryError, StopIteration, StopAsyncIteration])
@pytest.mark.parametrize("point", INTERRUPTED)
def test_any_other_exception_of_ours_is_a_failure(point: str, kind: type[BaseException]):
    expected = decorated.functions(), decorated.generators(), decorated.coroutines()
    with recording():
        for part, result in zip(
            (decorated.functions, decorated.generators, decorated.coroutines), expected, strict=True
        ):
            with Fault(point, kind, again=True):
                assert part() == result
            assert nothing_is_current()


def test_an_agent_that_recurses_too_deep_gets_its_own_error():
    @tachograph.tool("deeper")
    def decorated(depth: int) -> int:
        return decorated(depth + 1)

    def entered(depth: int) -> int:
        with tachograph.turn():
            return entered(depth + 1)

    with recording() as recorded:
        for function in (decorated, entered):
            with pytest.raises(RecursionError):
                function(0)
            assert nothing_is_current()
        with tachograph.turn("next"):
            pass
        assert (recorded.spans()[-1]["name"], recorded.spans()[-1]["parent"]) == ("turn next", None)


# -- the application's own parts
class Raising(SpanProcessor, IdGenerator, Sampler):
    """Is any of them, and raises."""

    on_start = on_end = broken
    generate_span_id = generate_trace_id = should_sample = get_description = broken


def _with(**parts: Any) -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False, **parts)


def _processed() -> TracerProvider:
    provider = _with()
    provider.add_span_processor(Raising())
    return provider


def _without_tracers() -> TracerProvider:
    provider = _with()
    provider.get_tracer = broken
    return provider


APPLICATIONS = {
    "a processor": _processed,
    "an id generator": lambda: _with(id_generator=Raising()),
    "a sampler": lambda: _with(sampler=Raising()),
    "a provider that gives no tracer": _without_tracers,
}


@pytest.mark.parametrize("what", APPLICATIONS)
def test_the_agent_goes_on_where_a_part_of_the_application_raises(what: str, instrumented, caplog):
    parts = (decorated.functions, byhand.run, byhand.tools, decorated.generators)
    expected = [part() for part in parts]
    trace.set_tracer_provider(APPLICATIONS[what]())
    instrumented()
    assert [part() for part in parts] == expected
    assert nothing_is_current()
    causes(caplog)


@pytest.mark.parametrize("setting", ["clock", "ids"])
def test_the_agent_goes_on_where_its_clock_or_ids_raise(setting: str, instrumented, caplog):
    parts = (decorated.functions, byhand.run, byhand.tools, decorated.generators)
    expected = [part() for part in parts]
    instrumented(**{setting: broken})
    assert [part() for part in parts] == expected
    assert nothing_is_current()
    assert causes(caplog)


# -- our data and the disk
def _missing(tmp_path: Path) -> Path:
    return tmp_path


def _corrupt(tmp_path: Path) -> Path:
    (tmp_path / "table.json").write_text('{"models": ')
    return tmp_path


def _another(tmp_path: Path) -> Path:
    (tmp_path / "table.json").write_text('{"models": [], "providers": 13}')
    return tmp_path


@pytest.mark.parametrize("table", [_missing, _corrupt, _another])
def test_without_a_table_of_prices_a_call_has_no_price_and_all_else(table, tmp_path, monkeypatch, caplog):
    folder = table(tmp_path)
    monkeypatch.setattr(lookup, "files", lambda _: folder)
    remembered = (lookup._table, lookup._entry)
    for each in remembered:
        each.cache_clear()
    try:
        with recording() as recorded, tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=13, output_tokens=11)
    finally:
        for each in remembered:
            each.cache_clear()
    assert recorded.values("llm", "gen_ai.usage.input_tokens") == [13]
    assert recorded.values("llm", "tachograph.cost.amount") == [None]
    assert (guard.failures, len(causes(caplog))) == ({"llm": 1}, 1)


def test_a_journal_that_cannot_be_written_is_a_failure_of_ours(tmp_path, caplog):
    writer = Writer(str(tmp_path / "gone"))
    with recording() as recorded:
        with tachograph.run():
            pass
        writer.on_end(recorded.sdk_spans()[-1])
    assert (guard.failures, len(causes(caplog))) == ({"instrument": 1}, 1)


# -- the last line of defence
def test_a_failure_that_cannot_be_told_stays_one_of_ours(monkeypatch):
    handler = logging.Handler()
    handler.emit = broken
    logger = logging.getLogger("tachograph")
    stop = guard.listen(broken)
    logger.addHandler(handler)
    try:
        with recording(), Fault("patterns.tool:ToolCall.opened", broken, again=True):
            assert seen(decorated.lookup, "a") == "a:13"
        monkeypatch.setattr(guard, "_frames", broken)
        with recording(), Fault("patterns.tool:ToolCall.opened", broken, again=True):
            assert seen(decorated.lookup, "a") == "a:13"
    finally:
        stop()
        logger.removeHandler(handler)
    assert guard.failures["tool"] == 2
