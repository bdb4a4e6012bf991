"""Results that carry evidence: what each claim rests on is on record once, and nothing is made of anything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from inline_snapshot import snapshot

import tachograph
from tachograph.registry import names as n
from tachograph.telemetry.fingerprint import fingerprint

NOON = datetime(2026, 1, 13, 12, 17, tzinfo=UTC)


@dataclass
class Item:
    claim: object
    source: object
    ref: object = None
    producer: object = "search"
    time: object = NOON


@dataclass
class Answer:
    evidence: object = field(default_factory=list[Item])
    confidence: object = None
    assumptions: object = None
    claims: object = None


class Agent:
    """Answers with what it was given, after a search whose call it named itself."""

    def handle(self, answer: object) -> object:
        self.call_tool("search_policy", {"text": "refund"}, call_id="call-17")
        return answer

    def call_tool(self, tool: str, args: dict[str, object], *, call_id: str) -> dict[str, object]:
        return {"documents": ["policy-7", {"id": "policy-11"}, {"title": "no id"}, "Terms of use, part 3"]}


def cited(recorded: Any) -> list[dict[str, Any]]:
    return [
        {name.removeprefix("tachograph.evidence."): value for name, value in event["attributes"].items()}
        for event in recorded.events(n.EVENT_EVIDENCE_CITED)
    ]


def test_each_claim_is_on_record_with_what_it_rests_on(hook, recorded):
    hook(Agent)
    items = [
        Item("refundable", "tool_call", "call-17"),
        {"claim": "until_noon", "source": "document", "ref": "policy-7", "producer": "index", "time": "2026-01-13"},
        Item("asked", "user", producer="Ann Smith of 13 Main Street", time=NOON.timestamp()),
    ]
    Agent().handle(Answer(items))
    assert cited(recorded) == snapshot(
        [
            {
                "claim": "refundable",
                "source.type": "tool_call",
                "source.ref": "call-17",
                "producer": "search",
                "time": "2026-01-13T12:17:00+00:00",
                "resolution": "resolved",
            },
            {
                "claim": "until_noon",
                "source.type": "document",
                "source.ref": "policy-7",
                "producer": "index",
                "time": "2026-01-13T00:00:00",
                "resolution": "resolved",
            },
            {
                "claim": "asked",
                "source.type": "user",
                "producer": "unnamed",
                "time": "2026-01-13T12:17:00+00:00",
                "resolution": "resolved",
            },
        ]
    )
    assert recorded.detections() == {}
    assert "evidence" in recorded.recorder.hooks("desk")


@pytest.mark.parametrize(
    "item",
    [
        Item("c", "tool_call", "call-13"),
        Item("c", "document", "policy-13"),
        Item("c", "document", "call-17"),
        Item("c", "none", "policy-7"),
        Item("c", "document", "policy-7", producer=None),
        Item("c", "document", "policy-7", time=None),
        Item("c", "document", "policy-7", time="the day before"),
        Item("c", "document", "policy-7", time=1e300),
    ],
)
def test_evidence_that_is_not_there_is_a_finding(item, hook, recorded):
    hook(Agent)
    Agent().handle(Answer([item]))
    assert [each["resolution"] for each in cited(recorded)] == ["unresolved"]
    assert recorded.detections()["evidence_unresolved"] == 1


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        [],
        "policy-7",
        17,
        ["policy-7", None, 17],
        [{"title": "Terms", "url": "https://example.org"}],
        [Item("c", "search_policy", "call-17")],
        [Item(None, "user")],
        {"claim": "c", "source": "user"},
        iter([Item("c", "user")]),
    ],
)
def test_an_agent_whose_results_have_no_such_evidence_is_not_instrumented(evidence, hook, recorded):
    hook(Agent)
    Agent().handle(Answer(evidence))
    assert cited(recorded) == []
    assert "evidence" not in recorded.recorder.hooks("desk")


def test_evidence_that_is_passed_on_counts_once_in_a_run_and_again_in_the_next(hook, recorded):
    class Team:
        def handle(self, request: str) -> Answer:
            parts = self.combine([self.answer(request), self.answer(request)])
            return Answer([*parts.evidence, Item("c", "user"), Item("late", "user")])

        def answer(self, request: str) -> Answer:
            return Answer([Item("c", "user")])

        def combine(self, results: list[Any]) -> Any:
            return Answer([Item("merged", "memory"), *(item for each in results for item in each.evidence)])

    hook(Team)
    for _ in range(2):
        Team().handle("content")
    assert [each["claim"] for each in cited(recorded)] == ["c", "merged", "late"] * 2


def test_what_is_combined_in_a_run_by_hand_is_cited_too(hook, recorded):
    class Team:
        def combine(self, results: list[Item]) -> dict[str, object]:
            return {"citations": results}

    hook(Team)
    with tachograph.run():
        Team().combine([Item("c", "user")])
    assert [each["claim"] for each in cited(recorded)] == ["c"]


def test_words_are_hashed_and_still_resolve(hook, recorded):
    hook(Agent)
    Agent().handle(Answer([Item("Ann gets 13 dollars " * 20, "document", "Terms of use, part 3")]))
    (found,) = cited(recorded)
    assert (found["claim"], found["source.ref"], found["resolution"]) == (
        fingerprint("Ann gets 13 dollars " * 20), fingerprint("Terms of use, part 3"), "resolved",
    )  # fmt: skip
    assert "Ann" not in str(recorded.events())
    assert recorded.values("tool", n.TOOL_DOCUMENTS) == [("policy-7", "policy-11", fingerprint("Terms of use, part 3"))]


def test_a_result_of_thousands_is_looked_at_in_part(hook, recorded):
    hook(Agent)
    Agent().handle(Answer([Item(f"c-{number}", "user") for number in range(1_013)]))
    assert len(cited(recorded)) == 200


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(claims=13, assumptions=["rate of today", "no fee"], confidence=0.87), [13, 2, 0.87]),
        (Answer(claims=[], confidence=1), [0, None, 1.0]),
        (Answer(confidence=1.7), [None, None, None]),
        (Answer(confidence="high", claims="many", assumptions=-3), [None, None, None]),
        (Answer(claims=True), [None, None, None]),
    ],
)
def test_the_answer_says_how_sure_it_is(answer, expected, hook, recorded):
    hook(Agent)
    Agent().handle(answer)
    told = (n.ANSWER_CLAIMS, n.ANSWER_ASSUMPTIONS, n.ANSWER_CONFIDENCE)
    assert [recorded.values("run", name)[0] for name in told] == expected


def test_neither_property_nor_method_of_a_result_is_called(hook, recorded):
    class Lazy:
        @property
        def evidence(self) -> object:
            raise AssertionError("the host's code")

        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

    class Claim(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise AssertionError("the host's code")

    hook(Agent)
    Agent().handle(Lazy())
    Agent().handle(Answer([Item(Claim("c"), "user")]))
    assert [each["claim"] for each in cited(recorded)] == ["c"]
