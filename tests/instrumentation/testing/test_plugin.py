"""The pytest plugin in projects of users: each in a process of its own, with nothing of this repository around."""

# ruff: noqa: E501 - sentences are compared whole
from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from inline_snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

AGENT = """
    import asyncio, threading
    import tachograph

    @tachograph.tool("refund", effect="write", tier=0, idempotency_key="k13", authz="allow")
    def refund(amount):
        return f"{amount} USD"

    @tachograph.run(workflow="refund", tier=0)
    def handle(amount):
        with tachograph.checkpoint("amount", stage="pre_tool", tool="refund") as check:
            check.decide("allow" if amount < 100 else "deny", rule="below_100_usd")
        return refund(amount) if amount < 100 else "a person will look at it"

    async def handle_async(amount):
        await asyncio.sleep(0)
        return handle(amount)

    def handle_in_thread(amount):
        thread = threading.Thread(target=handle, args=(amount,))
        thread.start()
        thread.join()
"""

GUARDRAILS = """
    import asyncio
    import agent

    def test_a_large_refund_is_stopped(tachograph_recording):
        agent.handle(1300)
        tachograph_recording.assert_checkpoint(stage="pre_tool", decision="deny", rule="below_100_usd", times=1)
        tachograph_recording.assert_not_called("refund")

    def test_a_small_one_is_paid_once(tachograph_recording, tachograph_clock):
        before = tachograph_clock.now
        agent.handle(17)
        assert tachograph_clock.now > before
        tachograph_recording.assert_tool("refund", effect="write", idempotency="executed", times=1)
        assert tachograph_recording.metric("tachograph.tool.executions") == 1

    def test_tasks_are_recorded(tachograph_recording):
        async def both():
            await asyncio.gather(agent.handle_async(17), agent.handle_async(1300))
        asyncio.run(both())
        tachograph_recording.assert_run(outcome="success", times=2)
        assert len({run["tachograph.run.id"] for run in tachograph_recording.assert_run()}) == 2

    def test_threads_are_recorded(tachograph_recording):
        agent.handle_in_thread(17)
        tachograph_recording.assert_tool("refund", times=1)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """A clean project of a user, with an agent in it."""
    for variable in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")  # as in many a CI
    pytester.makepyfile(agent=AGENT)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error", *arguments, timeout=60)


def test_guardrails_are_tested_in_functions_tasks_and_threads(project: pytest.Pytester):
    project.makepyfile(test_guardrails=GUARDRAILS)
    run(project).assert_outcomes(passed=4)


def test_a_failure_shows_the_line_of_the_test_and_a_sentence(project: pytest.Pytester):
    project.makepyfile(
        """
        import agent

        def test_a_refund_is_stopped(tachograph_recording):
            agent.handle(17)
            tachograph_recording.assert_checkpoint(stage="pre_tool", decision="deny")

        def test_a_typo(tachograph_recording):
            agent.handle(17)
            tachograph_recording.assert_checkpoint(stage="pre_tol")
        """
    )
    result = run(project, "--no-header")
    result.assert_outcomes(failed=2)
    shown = [line for line in result.outlines if re.match(r"E |>|test_\w+\.py:\d+:|.*testing/", line)]
    assert shown == snapshot(
        [
            '>       tachograph_recording.assert_checkpoint(stage="pre_tool", decision="deny")',
            "E       AssertionError: assert_checkpoint(stage='pre_tool', decision='deny'): no such checkpoint was recorded.",
            "E       Recorded instead, the nearest first:",
            "E         checkpoint pre_tool amount: decision is 'allow', not 'deny'",
            "E           stage='pre_tool', name='amount', rule='below_100_usd', tool='refund', enforcement='code'",
            "E       If the agent did right, mend the words of the assertion.",
            "test_a_failure_shows_the_line_of_the_test_and_a_sentence.py:5: AssertionError",
            '>       tachograph_recording.assert_checkpoint(stage="pre_tol")',
            "E       tachograph.errors.UsageError: stage='pre_tol' can never match: tachograph.checkpoint.stage has no 'pre_tol'; did you mean 'pre_tool' or 'pre_model' or 'post_tool'?",
            "test_a_failure_shows_the_line_of_the_test_and_a_sentence.py:9: UsageError",
        ]
    )


def test_nothing_passes_from_one_test_to_the_next(project: pytest.Pytester):
    project.makepyfile(
        """
        import agent, tachograph

        def test_one_leaves_a_run_open(tachograph_recording):
            agent.handle(17)
            tachograph.run(workflow="left open").__enter__()
            tachograph.tool("left open").__enter__()

        def test_the_next_begins_anew(tachograph_recording, tachograph_ids):
            assert tachograph_recording.spans() == [] and tachograph_recording.events() == []
            assert tachograph_recording.detections() == {} and tachograph_recording.hooks() == frozenset()
            assert tachograph_ids() == "0000000000000001"
            agent.handle(17)
            (run,) = tachograph_recording.assert_run(times=1)
            assert run["tachograph.workflow"] == "refund"

        def test_without_the_fixture_nothing_is_recorded():
            from tachograph.telemetry.recorder import active
            assert active() is None
            with tachograph.run() as run:
                assert run.id is None
        """
    )
    run(project).assert_outcomes(passed=3)


def test_providers_of_the_user_stay_as_they_are_and_get_nothing_of_ours(project: pytest.Pytester):
    project.makepyfile(
        """
        import agent
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        def test_both(tachograph_recording, monkeypatch):
            monkeypatch.delenv("OTEL_SDK_DISABLED")
            theirs, exporter = TracerProvider(), InMemorySpanExporter()
            theirs.add_span_processor(SimpleSpanProcessor(exporter))
            trace.set_tracer_provider(theirs)
            with trace.get_tracer("theirs").start_as_current_span("request"):
                agent.handle(17)
            assert trace.get_tracer_provider() is theirs
            assert [span.name for span in exporter.get_finished_spans()] == ["request"]
            assert len(tachograph_recording.spans()) == 3
        """
    )
    run(project).assert_outcomes(passed=1)


def test_a_plain_agent_is_hooked_for_one_test(project: pytest.Pytester):
    project.makepyfile(
        desk="""
        def handle(text):
            return call_tool("search", {"text": text}) if vet({"tool": "search"}) else "no"

        def vet(call):
            return True

        def call_tool(tool, arguments):
            return "found"
        """,
        test_desk="""
        import desk

        original = desk.handle

        def test_hooked(tachograph_recording):
            report = tachograph_recording.instrument(desk, mapping={"vet": "validate_tool_call"})
            assert len(report.hooked) == 3
            desk.handle("cats")
            tachograph_recording.assert_checkpoint(stage="pre_tool", decision="allow", tool="search")
            tachograph_recording.assert_no_detections("tool_unchecked")

        def test_restored(tachograph_recording):
            assert desk.handle is original
            desk.handle("cats")
            assert tachograph_recording.spans() == []
        """,
    )
    run(project).assert_outcomes(passed=2)


@pytest.mark.slow
def test_workers_of_xdist_record_their_own_tests(project: pytest.Pytester):
    project.makepyfile(test_guardrails=GUARDRAILS)
    run(project, "-n", "2").assert_outcomes(passed=4)


def test_the_plugin_can_be_turned_off(project: pytest.Pytester):
    project.makepyfile("def test_one(tachograph_recording): pass")
    result = run(project, "-p", "no:tachograph")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'tachograph_recording' not found"])


def test_detections_fail_tests_where_the_settings_ask_for_it(project: pytest.Pytester):
    project.makefile(".ini", pytest="[pytest]\ntachograph_fail_on_detections = true\n")
    project.makepyfile(
        """
        import unittest
        import tachograph

        def fall_back(disclosed):
            with tachograph.run(), tachograph.degraded("no_retrieval", trigger="timeout", disclosed=disclosed):
                pass

        def test_told():
            fall_back(True)

        def test_silent():
            fall_back(False)

        def test_meant(tachograph_recording):
            fall_back(False)
            tachograph_recording.assert_detections(fallback_silent=1)

        def test_fails_for_its_own_reason():
            fall_back(False)
            assert 11 == 13

        class TestCase(unittest.TestCase):
            def test_silent(self):
                fall_back(False)
        """
    )
    result = run(project, "-rf")
    result.assert_outcomes(passed=2, failed=3)
    assert [
        line for line in result.outlines if line.startswith(("FAILED", "E ", "  fallback", "If a test"))
    ] == snapshot(
        [
            "  fallback_silent: 1. The agent answered in a degraded mode and did not tell the user.",
            "If a test means one to happen, it says so: tachograph_recording.assert_detections(…).",
            "E       assert 11 == 13",
            "  fallback_silent: 1. The agent answered in a degraded mode and did not tell the user.",
            "If a test means one to happen, it says so: tachograph_recording.assert_detections(…).",
            "FAILED test_detections_fail_tests_where_the_settings_ask_for_it.py::test_silent",
            "FAILED test_detections_fail_tests_where_the_settings_ask_for_it.py::test_fails_for_its_own_reason",
            "FAILED test_detections_fail_tests_where_the_settings_ask_for_it.py::TestCase::test_silent",
        ]
    )


def test_a_run_that_uses_no_fixture_does_not_pay_for_them(project: pytest.Pytester):
    project.makepyfile(
        """
        import sys

        def test_nothing_heavy_is_imported():
            ours = [name for name in sys.modules if "tachograph" in name]
            assert ours == ["pytest_tachograph"]
            assert not [name for name in sys.modules if name.startswith("opentelemetry")]
        """
    )
    run(project).assert_outcomes(passed=1)


def test_the_fixtures_explain_themselves(project: pytest.Pytester):
    result = run(project, "--fixtures")
    shown = "\n".join(result.outlines)
    for fixture in ("tachograph_recording", "tachograph_clock", "tachograph_ids"):
        assert re.search(rf"^{fixture} -- ", shown, re.MULTILINE)
    assert sys.modules["pytest_tachograph"].__doc__ is not None
