"""P10, canaries and release gates: which release answers, how it is judged, and what the gate decided on which data."""

from __future__ import annotations

from typing import Literal

from tachograph.audit.record import audit
from tachograph.patterns.values import double, identity, word
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.attributes import plain
from tachograph.telemetry.guard import guarded
from tachograph.telemetry.recorder import covering

Track = Literal["stable", "canary", "shadow", "baseline"]
Verdict = Literal["pass", "fail", "inconclusive", "no_data"]
Decision = Literal["promote", "hold", "rollback"]


@guarded("release", None)
def release(id: str, *, track: Track = "stable") -> None:
    """Says which release and track serve the current run; outside of a run, those of the process from now on."""
    recorder = covering("release")
    if recorder is None:
        return
    run, known = current(), str(identity(id))
    if run is not None:
        run.common |= plain({n.RELEASE_ID: known, n.RELEASE_TRACK: track})
    else:
        recorder.release, recorder.track = known, track
    recorder.event(n.EVENT_RELEASE_ASSIGNED, {n.RELEASE_ID: known, n.RELEASE_TRACK: track})


@guarded("evaluation", None)
def evaluation(
    name: str,
    *,
    score: float | None = None,
    label: str | None = None,
    suite: str | None = None,
    case_id: str | None = None,
    error: str | None = None,
) -> None:
    """Says how something was judged: a score, a label such as pass or fail, for which case of which suite."""
    recorder = covering("evaluation")
    if recorder is None:
        return
    entry = {
        n.GEN_AI_EVALUATION_NAME: name,
        n.GEN_AI_EVALUATION_SCORE_VALUE: double(score),
        n.GEN_AI_EVALUATION_SCORE_LABEL: word(label, "other"),
        n.EVALUATION_SUITE: suite,
        n.EVALUATION_CASE_ID: case_id,
        n.ERROR_TYPE: word(error, "error"),
    }
    recorder.event(n.EVENT_GEN_AI_EVALUATION_RESULT, entry)
    recorder.metrics.record(instruments.EVALUATION_RESULTS, 1, {**recorder.common(), **entry})


@guarded("gate", None)
def gate(
    name: str,
    *,
    verdict: Verdict,
    decision: Decision,
    samples: int | None = None,
    observed: float | None = None,
    baseline: float | None = None,
    threshold: float | None = None,
    data_age: float | None = None,
) -> None:
    """Says what a release gate saw and decided; `data_age` is seconds since the newest of its `samples`."""
    recorder = covering("gate")
    if recorder is None:
        return
    entry = {
        n.GATE_NAME: name,
        n.GATE_VERDICT: verdict,
        n.GATE_DECISION: decision,
        n.GATE_SAMPLES: samples,
        n.GATE_OBSERVED: double(observed),
        n.GATE_BASELINE: double(baseline),
        n.GATE_THRESHOLD: double(threshold),
        n.GATE_DATA_AGE: double(data_age),
    }
    recorder.event(n.EVENT_GATE_DECIDED, entry)
    audit(recorder, "gate", entry)
    recorder.metrics.record(instruments.GATE_DECISIONS, 1, {**recorder.common(), **entry})
    if verdict == "pass" or decision == "promote":
        if not samples or observed is None:
            recorder.detect("gate_no_data")
        elif data_age is not None and data_age > n.THRESHOLDS["gate_stale"]:
            recorder.detect("gate_stale")
