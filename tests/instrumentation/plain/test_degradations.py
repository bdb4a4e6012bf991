"""degraded_*, fallback_* and answer_degraded are stays in a degraded mode."""

from __future__ import annotations

from typing import Any

from inline_snapshot import snapshot

from tachograph.registry import names as n


class Agent:
    def fallback_model(self, prompt: str, disclosed: bool | None = None) -> Any:
        return {"disclosed": True} if prompt == "told" else prompt

    def degraded_read_only(self, reason: str) -> str:
        return "content"

    def answer_degraded(self, error: Exception | None = None) -> str:
        return "content"

    def fallback_something(self, mode: str | None = None) -> str:
        return "content"


def test_a_stay_is_entered_and_left(hook, recorded):
    hook(Agent)
    Agent().fallback_model("content", disclosed=True)
    assert recorded.events() == snapshot(
        [
            {
                "name": "tachograph.degradation.entered",
                "attributes": {
                    "tachograph.degradation.mode": "fallback_model",
                    "tachograph.degradation.trigger": "provider_down",
                    "tachograph.degradation.id": "degradation_0000000000000001",
                },
            },
            {
                "name": "tachograph.degradation.exited",
                "attributes": {
                    "tachograph.degradation.mode": "fallback_model",
                    "tachograph.degradation.trigger": "provider_down",
                    "tachograph.degradation.id": "degradation_0000000000000001",
                    "tachograph.degradation.disclosed": True,
                    "tachograph.degradation.duration": 2.0,
                },
            },
        ]
    )


def test_whether_the_user_was_told_is_known_or_it_is_no_finding(hook, recorded):
    hook(Agent)
    recorded.recorder.cover("degraded")
    Agent().fallback_model("content")
    Agent().fallback_model("told")
    assert recorded.detections() == {}
    Agent().fallback_model("content", disclosed=False)
    assert recorded.detections() == {"fallback_silent": 1}
    left = recorded.events(n.EVENT_DEGRADATION_EXITED)
    assert [event["attributes"].get(n.DEGRADATION_DISCLOSED) for event in left] == [None, True, False]


class RateLimitError(Exception):
    pass


def test_mode_and_trigger_are_read_from_name_arguments_and_the_exception_in_flight(hook, recorded):
    hook(Agent)
    agent = Agent()
    agent.degraded_read_only("budget")
    agent.degraded_read_only("because")
    agent.answer_degraded()
    agent.answer_degraded(TimeoutError())
    agent.fallback_something("no_retrieval")
    try:
        raise RateLimitError  # noqa: TRY301 - it is to be in flight here
    except RateLimitError:
        agent.fallback_model("content")
    shown = (n.DEGRADATION_MODE, n.DEGRADATION_TRIGGER)
    entered = recorded.events(n.EVENT_DEGRADATION_ENTERED)
    assert [tuple(event["attributes"][name] for name in shown) for event in entered] == [
        ("read_only", "budget"), ("read_only", "policy"), ("partial_answer", "policy"), ("partial_answer", "timeout"),
        ("no_retrieval", "retrieval_down"), ("fallback_model", "rate_limited"),
    ]  # fmt: skip


def test_a_mode_that_is_not_said_is_not_made_up(hook, recorded):
    hook(Agent)
    assert Agent().fallback_something() == "content"
    assert recorded.events() == []


def test_a_name_without_a_mode_and_without_a_place_for_one_is_skipped(hook):
    class Other:
        def fallback_plan(self) -> str:
            return "content"

    installation = hook(Other)
    assert installation.hooked == ()
    assert [skipped.reason for skipped in installation.skipped] == [
        "neither its name nor an argument `mode` says which degraded mode: name it fallback_model, degraded_read_only …"
    ]
