"""Evaluations of a plain agent's answers, and the gates that decide on a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from typing_extensions import override

from tachograph.patterns.release import Decision, Verdict, evaluation, gate
from tachograph.plain.reading import flag, is_a, items, label, name, number, read, text, whole
from tachograph.plain.reading import one_of as one
from tachograph.recording import Recording

if TYPE_CHECKING:
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

_VERDICTS, _DECISIONS = get_args(Verdict), get_args(Decision)
_CASES: Final = ("case", "expected", "golden", "reference")  # what only an evaluation is given beside the answer
_MOST: Final = 1_000  # bound of time: results of one golden set that are recorded


class Judgement(Recording):
    """A call that judges; `result` is what it returned, read when it is over."""

    def __init__(self, hook: str, call: Call) -> None:
        super().__init__()
        self.hook = hook
        self._call = call
        self.result: object = None

    def said(self, source: object, *names: str) -> Any:
        """The first of `names` that the result, the arguments, or a case or gate among them has."""
        given = self._call.arguments
        places = (source, given, *(given.get(each) for each in ("case", "gate", "suite")), self._call.instance)
        return next((found for place in places if (found := read(place, *names)) is not None), None)

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        if error is not None:
            return
        if self.hook == "gate":
            self._gate()
            return
        for each in _results(self.result):
            self._evaluation(each)

    def _evaluation(self, result: object) -> None:
        passed = flag(read(result, "passed", "ok", "correct"))
        score = number(read(result, "score", "value"))
        if score is None and any(each in self._call.place.parameters for each in _CASES):
            score, passed = number(result), passed if passed is not None else flag(result)
        worded = text(read(result, "label"))
        if worded is None and passed is not None:
            worded = "pass" if passed else "fail"
        if score is None and worded is None:
            return  # `evaluate` may be anything: what says neither score nor verdict is left alone
        judged = name(self.said(result, "metric", "criterion", "evaluator"), "name") or text(read(result, "name"))
        evaluation(
            label(judged) or self._call.place.name,
            score=score,
            label=worded,
            suite=label(name(self.said(result, "suite", "golden_set", "dataset"), "name")),
            case_id=text(self.said(result, "case_id")) or text(read(self._call.argument("case"), "id")),
            error=label(text(read(result, "error_type"))),
        )

    def _gate(self) -> None:
        result = self.result
        verdict, decision = one(read(result, "verdict"), _VERDICTS), one(read(result, "decision"), _DECISIONS)
        if verdict is None or decision is None:
            return
        gate(
            label(name(self.said(result, "gate", "gate_name", "name"), "name")) or self._call.place.name,
            verdict=verdict,
            decision=decision,
            samples=whole(read(result, "samples")),
            observed=number(read(result, "observed")),
            baseline=number(read(result, "baseline")),
            threshold=number(read(result, "threshold", "margin")),
            data_age=number(read(result, "data_age", "data_age_s")),
        )


def _results(value: object) -> tuple[object, ...]:
    listed: object = read(value, "results")
    listed = value if listed is None else listed
    found = None if is_a(listed, dict, set, frozenset) else items(listed)
    return (value,) if found is None else found[:_MOST]


def evaluate(call: Call) -> Judgement:
    """An evaluation, or all those of a golden set."""
    return Judgement("evaluation", call)


def decide_release(call: Call) -> Judgement:
    """The decision of a release gate."""
    return Judgement("gate", call)


def judged(step: Judgement, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Keeps what was returned until the call is over."""
    step.result = value
