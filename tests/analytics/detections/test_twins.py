"""Each detection names what its faulty agent did, and nothing of what anybody else did."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from analytics.detections.stores import stored
from analytics.detections.twins import TWINS, ForgetfulAuditLog, Twin, unapproved
from inline_snapshot import snapshot

from tachograph.registry import load
from tachograph.registry.lint import lint
from tachograph.registry.recorded import Recorded as Facts
from tachograph.registry.recorded import from_sdk, from_sdk_log
from tachograph.testing import Recorded, recording
from tachograph_analytics.detections import Coverage, Finding, coverage, detect
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Everybody:
    """All twins as agents of one process and one store."""

    recorded: Recorded
    expected: dict[str, list[str]]
    counted: dict[str, dict[str, float]]
    findings: dict[str, list[Finding]]
    coverage: dict[tuple[str, str], Coverage]

    def named(self, agent: str) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = defaultdict(list)
        for finding in self.findings.get(agent, []):
            found[finding.rule].append(finding.span_id)
        return dict(found)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everybody]:
    expected: dict[str, list[str]] = {}
    with recording(audit_log=ForgetfulAuditLog()) as recorded:
        for twin in TWINS:
            for kind in ("faulty", "clean", "blind"):
                if (act := getattr(twin, kind)) is not None:
                    expected[f"{twin.rule} {kind}"] = act(f"{twin.rule} {kind}")
        with connect(stored(recorded, tmp_path_factory.mktemp("home"))) as connection:
            found = detect(connection)
            known = {(one.agent, one.rule): one for one in coverage(connection, found)}
        by_agent: dict[str, list[Finding]] = defaultdict(list)
        for finding in found:
            by_agent[str(finding.agent)].append(finding)
        yield Everybody(recorded, expected, _counted(recorded), by_agent, known)


def _counted(recorded: Recorded) -> dict[str, dict[str, float]]:
    """What the agents' own process counted, by agent and rule."""
    counted: dict[str, dict[str, float]] = defaultdict(dict)
    for series, value in recorded.series("tachograph.detections").items():
        labels = dict(series)
        if value:
            counted[labels["gen_ai_agent_name"]][labels["tachograph_detection_rule"]] = value
    return counted


each_twin = pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.rule)


def test_every_detection_has_its_twins():
    assert [twin.rule for twin in TWINS] == list(load().detections)


@each_twin
def test_the_faulty_twin_is_flagged_by_its_detection_alone_at_the_right_spans(twin: Twin, everybody: Everybody):
    agent = f"{twin.rule} faulty"
    assert everybody.expected[agent]
    assert everybody.named(agent) == {twin.rule: everybody.expected[agent]}
    assert everybody.coverage[agent, twin.rule].state == "violated"


@each_twin
def test_the_clean_twin_is_flagged_by_nothing_and_known_to_be_clean(twin: Twin, everybody: Everybody):
    agent = f"{twin.rule} clean"
    assert everybody.named(agent) == {}
    assert everybody.coverage[agent, twin.rule].state == "clean"


@each_twin
def test_the_twin_without_the_hook_is_neither_clean_nor_violated(twin: Twin, everybody: Everybody):
    agent = f"{twin.rule} blind"
    if twin.blind is None:
        assert load().detections[twin.rule].needs == ()
        return
    assert everybody.named(agent) == {}
    known = everybody.coverage[agent, twin.rule]
    assert known.state == "not instrumented"
    assert set(known.missing) <= set(load().detections[twin.rule].needs)
    assert known.missing


@each_twin
def test_the_agents_own_count_agrees(twin: Twin, everybody: Everybody):
    counted = {twin.rule: len(everybody.expected[f"{twin.rule} faulty"])} if twin.counted else {}
    assert everybody.counted.get(f"{twin.rule} faulty", {}) == counted
    assert everybody.counted.get(f"{twin.rule} clean", {}) == {}
    assert everybody.counted.get(f"{twin.rule} blind", {}) == {}


def test_each_finding_says_in_a_sentence_what_happened(everybody: Everybody):
    said = {twin.rule: [one.summary for one in everybody.findings[f"{twin.rule} faulty"]] for twin in TWINS}
    said["key_executed_twice"] = [without_hashes(summary) for summary in said["key_executed_twice"]]
    said["approval_args_changed"] = [without_hashes(summary) for summary in said["approval_args_changed"]]
    assert said == snapshot(
        {
            "tool_unchecked": [
                "search (read) ran although no checkpoint had looked at it",
                "export (read) ran although limit had denied it",
                "report (read) ran although no checkpoint had looked at it",
            ],
            "checkpoint_prompt_only": [
                "the checkpoint tone at post_output is only a prompt, nothing enforces it",
                "the checkpoint limit at pre_tool is only a prompt, nothing enforces it",
            ],
            "content_raw": [
                "the span llm carries llm.input_messages.0.message.content that was not redacted",
                "the span chat carries gen_ai.prompt.17.content that was not redacted",
                "the span own carries content that was not redacted",
            ],
            "write_unapproved": [
                "refund (write, tier 1, timeout) ran with 0 of 1 approvers",
                "cancel (write, tier 2, success) ran with 1 of 2 approvers",
                "refund (write, tier 1, error) ran with 0 of 1 approvers",
                "refund (write, tier 1, success) ran with 0 of 1 approvers",
                "refund (write, tier 1, success) ran with 0 of 1 approvers",
            ],
            "approval_no_diff": ["refund (tier 1) was approved without a look at what would change"],
            "approval_args_changed": ["refund ran with arguments #, approved were #"],
            "approval_unaudited": ["refund_off_the_record (tier 1) was approved and the audit log has no entry of it"],
            "write_no_key": [
                "refund (write) ran without an idempotency key",
                "wipe (irreversible) ran without an idempotency key",
            ],
            "key_executed_twice": [
                "execution 2 of pay with the key #, which stands for one",
                "execution 3 of pay with the key #, which stands for one",
            ],
            "output_unvalidated": ["the result of lookup went on without validation"],
            "authz_skipped": [
                "lookup (read) ran for clerk without authorization",
                "lookup (read) ran for an unnamed role without authorization",
            ],
            "evidence_unresolved": [
                "the evidence for claim price (tool_call: call-404) names nothing that the run has",
                "the evidence for claim rule (document: fares-13) names nothing that the run has",
                "the evidence for claim seat (tool_call: call-17) has no producer or no time",
                "the evidence for claim date (user: no reference) has no producer or no time",
                "the evidence for claim mood (none: no reference) rests on nothing",
            ],
            "budget_no_degraded": [
                "the run's turns budget was hit (13.0 of 13.0) and the run ended as success",
                "the run's cost budget was hit (17.0 of 13.0) and the run ended as success",
                "the run's turns budget was hit (17.0 of 13.0) and the run ended as success",
            ],
            "loop_runaway": ["search was called 7 times in this run with the same arguments"],
            "route_no_candidates": ["the router intent chose refund and does not say what it could choose from"],
            "route_llm_unconstrained": [
                "a model chose refund for the router intent and no code limited its choice",
                "a model chose refund for the router intent and no code limited its choice",
            ],
            "limit_raised_saturated": [
                "the limit of slots of limit_raised_saturated faulty went from 2 to 3 while 2 calls were inside"
            ],
            "cache_cross_tenant": [
                "faq served an entry of tenant globex to acme",
                "faq served an entry of tenant globex to nobody known",
            ],
            "cache_key_no_tenant": [
                "the key of faq (scope tenant, lookup) has no tenant in it",
                "the key of faq (scope tenant, store) has no tenant in it",
            ],
            "write_cached": ["results served the result of a tool (write), which did not run"],
            "fallback_silent": ["the agent went into fallback_model (provider_down, gpt) and did not tell the user"],
            "gate_no_data": [
                "the gate success said pass (hold) on 0 samples",
                "the gate cost said no_data (promote) on 130 samples and no observed value",
                "the gate speed said pass (promote) on 0 samples and no observed value",
                "the gate tone said pass (promote) on 0 samples",
            ],
            "gate_stale": ["the gate success said pass (promote) on data that was 24 h old"],
        }
    )


def without_hashes(summary: str) -> str:
    return re.sub(r"\b[0-9a-f]{16}\b", "#", summary)


def test_what_the_twins_record_is_in_the_registry(everybody: Everybody):
    spans = tuple(from_sdk(span) for span in everybody.recorded.sdk_spans())
    events = tuple(from_sdk_log(record) for record in everybody.recorded._logs.get_finished_logs())
    assert lint(Facts(spans=spans, events=events)) == []


def test_an_agent_alone_in_its_store_is_told_the_same(everybody: Everybody, tmp_path: Path):
    with recording() as recorded:
        spans = unapproved("alone")
        with connect(stored(recorded, tmp_path / "home")) as connection:
            found = detect(connection)
    assert [(one.rule, one.span_id) for one in found] == [("write_unapproved", span) for span in spans]
    assert [one.summary for one in found] == [one.summary for one in everybody.findings["write_unapproved faulty"]]
