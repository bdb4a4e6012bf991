"""Evaluations and release gates that are functions of a plain agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tachograph.registry import names as n

EVALUATION = "gen_ai.evaluation.result"


class Judge:
    suite = "golden"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def evaluate(self, text: str, case: Any = None) -> Any:
        return self.answer

    def grade(self, text: str) -> Any:
        return self.answer

    def release_gate(self, gate: str) -> Any:
        return self.answer


def said(recorded, event: str = EVALUATION) -> list[tuple[Any, ...]]:
    names = (
        n.GEN_AI_EVALUATION_NAME,
        n.GEN_AI_EVALUATION_SCORE_VALUE,
        n.GEN_AI_EVALUATION_SCORE_LABEL,
        n.EVALUATION_SUITE,
        n.EVALUATION_CASE_ID,
    )
    return [tuple(each["attributes"].get(name) for name in names) for each in recorded.events(event)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"score": 0.87}, [("evaluate", 0.87, None, "golden", "case-17")]),
        ({"metric": "helpful", "passed": False}, [("helpful", None, "fail", "golden", "case-17")]),
        (SimpleNamespace(score=1, label="pass", case_id="case-11"), [("evaluate", 1.0, "pass", "golden", "case-11")]),
        (0.13, [("evaluate", 0.13, None, "golden", "case-17")]),
        (True, [("evaluate", None, "pass", "golden", "case-17")]),
        ([{"score": 0.11}, {"score": 0.13}], [("evaluate", s, None, "golden", "case-17") for s in (0.11, 0.13)]),
        ({"results": [{"passed": True}]}, [("evaluate", None, "pass", "golden", "case-17")]),
        ({"label": "This answer is far too long to be a label."}, [("evaluate", None, "other", "golden", "case-17")]),
        ("content", []),
        (None, []),
        ({"total": 17}, []),
    ],
)
def test_an_evaluation_is_what_its_result_says(answer, expected, hook, recorded):
    hook(Judge)
    assert Judge(answer).evaluate("content", {"id": "case-17"}) is answer
    assert said(recorded) == expected
    assert recorded.metric("tachograph.evaluation.results") == len(expected)


@pytest.mark.parametrize("answer", [17, True, [1, 2]])
def test_a_function_of_that_name_that_judges_nothing_is_left_alone(answer, hook, recorded):
    hook(Judge)
    assert Judge(answer).grade("2 + 15") is answer
    assert said(recorded) == []


def test_a_failing_evaluation_judged_nothing(hook, recorded):
    class Broken(Judge):
        def evaluate(self, text: str, case: Any = None) -> Any:
            raise ValueError

    hook(Broken)
    with pytest.raises(ValueError):  # noqa: PT011 - its type is all there is
        Broken(None).evaluate("content")
    assert said(recorded) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"verdict": "no_data", "decision": "promote", "samples": 0},
            [{n.GATE_NAME: "canary", n.GATE_VERDICT: "no_data", n.GATE_DECISION: "promote", n.GATE_SAMPLES: 0}],
        ),
        ({"verdict": "fine", "decision": "promote"}, []),
        ({"verdict": "pass"}, []),
        (True, []),
    ],
)
def test_a_gate_is_on_record_where_it_says_verdict_and_decision(answer, expected, hook, recorded):
    hook(Judge)
    assert Judge(answer).release_gate("canary") is answer
    assert [event["attributes"] for event in recorded.events("tachograph.gate.decided")] == expected
    assert recorded.detections() == ({"gate_no_data": 1} if expected else {})
