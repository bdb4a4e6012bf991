from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tachograph.registry import load as registry
from tachograph_alerts.catalogue import load
from tachograph_alerts.command import PROMTOOL
from tachograph_alerts.render import GENERATED

REGISTRY = registry()
CATALOGUE = load(REGISTRY)
RULES = GENERATED / "rules.yaml"
WRITE, SILENT, RATIO, COST, CANARY, ABSENT = (
    "TachographWriteUnapproved",
    "TachographFallbackSilent",
    "TachographRunFailureRatioHigh",
    "TachographCostSpike",
    "TachographCanaryCostHigh",
    "TachographTelemetryAbsent",
)
CANARY_SUCCESSES, STABLE_SUCCESSES = (
    "and sum by (gen_ai_agent_name) (increase(tachograph_runs_total"
    f'{{tachograph_release_track="{track}",tachograph_run_outcome="success"}}[1d])) >= 50'
    for track in ("canary", "stable")
)
# Each takes one safeguard out of one rule, or moves one number: the alert's unit tests must notice.
MUTANTS = {
    "a detection never fires": (WRITE, "[10m])) > 0", "[10m])) > 99"),
    "a detection's window is halved": (WRITE, "[10m]", "[5m]"),
    "the failure threshold is doubled": (RATIO, "> 0.2\n", "> 0.4\n"),
    "the failure threshold is halved": (RATIO, "> 0.2\n", "> 0.1\n"),
    "the traffic guard is gone": (RATIO, ">= 20", ">= 0"),
    "failures need not last": (RATIO, "for: 5m", "for: 0s"),
    "the spike's factor is doubled": (COST, "> 3 *", "> 6 *"),
    "the spike's factor is halved": (COST, "> 3 *", "> 1.5 *"),
    "the money guard is gone": (COST, "> 1\n", "> 0\n"),
    "a young agent is compared too": (
        COST,
        "\n      and group by (gen_ai_agent_name) (tachograph_cost_total offset 1d)",
        "",
    ),
    "a spike need not last": (COST, "for: 10m", "for: 0s"),
    "the canary's margin is doubled": (CANARY, "> 1.25\n", "> 1.5\n"),
    "the canary's margin is gone": (CANARY, "> 1.25\n", "> 1\n"),
    "the canary's successes are not counted": (CANARY, CANARY_SUCCESSES, CANARY_SUCCESSES.replace(">= 50", ">= 0")),
    "the stable track's successes are not counted": (
        CANARY,
        STABLE_SUCCESSES,
        STABLE_SUCCESSES.replace(">= 50", ">= 0"),
    ),
    "a canary is compared over half a day": (CANARY, "[1d])))", "[12h])))"),
    "failed runs of the canary count as successes": (
        CANARY,
        'tachograph_release_track="canary",tachograph_run_outcome="success"',
        'tachograph_release_track="canary"',
    ),
    "the canary is compared with all tracks but itself": (
        CANARY,
        'tachograph_release_track="stable"',
        'tachograph_release_track!="canary"',
    ),
    "a dear canary need not last": (CANARY, "for: 30m", "for: 0s"),
    "a canary that pauses is over": (CANARY, "keep_firing_for: 6h", "keep_firing_for: 1h"),
    "a canary that ended is never over": (CANARY, "keep_firing_for: 6h", "keep_firing_for: 60h"),
    "a silent fallback is forgotten": (SILENT, "keep_firing_for: 72h", "keep_firing_for: 1h"),
    "a silent fallback is never over": (SILENT, "keep_firing_for: 72h", "keep_firing_for: 99h"),
    "absence need not last": (ABSENT, "for: 10m", "for: 0s"),
    "absence is remembered for half a day": (ABSENT, "[1d]))", "[12h]))"),
    "agents are not told apart": (WRITE, "by (gen_ai_agent_name)", "by (nobody)"),
}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.debian("promtool")
def test_promtool_finds_nothing_in_the_rules():
    done = _run("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert (done.returncode, f"{len(CATALOGUE.alerts)} rules found" in done.stdout) == (0, True), done.stderr


def _cases() -> dict[str, list[dict[str, object]]]:
    return {path.stem: yaml.safe_load(path.read_text("utf-8"))["tests"] for path in PROMTOOL.glob("*.yaml")}


def test_every_alert_has_a_file_of_cases_that_fire_and_that_do_not():
    cases = _cases()
    assert sorted(cases) == sorted(CATALOGUE.alerts)
    for name, tests in cases.items():
        if CATALOGUE.alerts[name].condition != "heartbeat":
            expected = [bool(check["exp_alerts"]) for test in tests for check in test["alert_rule_test"]]
            assert len(tests) >= 4, name
            assert set(expected) == {True, False}, name


def test_the_cases_are_about_series_of_the_registry():
    known = {m.prometheus: {REGISTRY.attributes[a].column for a in m.labels} for m in REGISTRY.metrics.values()}
    series = {s["series"] for tests in _cases().values() for test in tests for s in test.get("input_series", [])}
    assert len(series) > 10
    for one in series:
        metric, labels = one.partition("{")[::2]
        assert set(re.findall(r"(\w+)=", labels)) - {"instance"} <= known[metric], one


@pytest.mark.debian("promtool")
@pytest.mark.parametrize(("alert", "before", "after"), MUTANTS.values(), ids=MUTANTS)
def test_a_weakened_rule_does_not_pass(tmp_path, alert, before, after):
    text = RULES.read_text("utf-8")
    assert before in text
    (tmp_path / "generated").mkdir()
    (tmp_path / "promtool").mkdir()
    (tmp_path / "generated" / "rules.yaml").write_text(text.replace(before, after), "utf-8")
    copy = tmp_path / "promtool" / f"{alert}.yaml"
    copy.write_text((PROMTOOL / copy.name).read_text("utf-8"), "utf-8")
    assert _run("test", "rules", str(copy)).returncode == 1
