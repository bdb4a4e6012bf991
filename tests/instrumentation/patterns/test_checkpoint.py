"""P01: what a checkpoint decides, by which rule, enforced by what."""

from __future__ import annotations

import pytest

import tachograph
from tachograph.testing import recording


def test_a_checkpoint_that_says_nothing_allows_one_that_raises_denies():
    with recording() as recorded:
        with tachograph.checkpoint("length", stage="pre_request"):
            pass
        with pytest.raises(ValueError, match="too long"), tachograph.checkpoint("length", stage="pre_request"):
            raise ValueError("too long")
    assert recorded.values("checkpoint", "tachograph.checkpoint.decision") == ["allow", "deny"]
    assert recorded.values("checkpoint", "tachograph.checkpoint.rule") == [None, "ValueError"]
    assert recorded.metric("tachograph.checkpoint.decisions", tachograph_checkpoint_decision="deny") == 1


def test_a_decision_is_recorded_with_rule_and_redacted_reason():
    step = tachograph.checkpoint("pii", stage="post_output", enforcement="model")
    with recording(capture="redacted") as recorded, step as check:
        check.decide("deny", rule="mail", reason="found eve@example.com " + "x" * 300)
        check.redacted(3, ["email", "card", "email"])
    (span,) = recorded.spans()
    reason = span["attributes"].pop("tachograph.checkpoint.reason")
    assert (reason[:13], len(reason)) == ("found [email]", 200)
    assert span["attributes"] == {
        "tachograph.checkpoint.decision": "deny",
        "tachograph.checkpoint.enforcement": "model",
        "tachograph.checkpoint.name": "pii",
        "tachograph.checkpoint.rule": "mail",
        "tachograph.checkpoint.stage": "post_output",
        "tachograph.redaction.categories": ["card", "email"],
        "tachograph.redaction.count": 3,
    }
    assert recorded.metric("tachograph.checkpoint.redactions") == 3


def test_a_prompt_alone_is_a_finding_and_beside_code_is_none():
    with recording() as recorded:
        with tachograph.run(), tachograph.checkpoint("tone", stage="post_output", enforcement="prompt"):
            pass
        assert recorded.detections() == {"checkpoint_prompt_only": 1}
        with tachograph.run():
            with tachograph.checkpoint("tone", stage="post_output"):
                pass
            with tachograph.checkpoint("tone", stage="post_output", enforcement="prompt"):
                pass
    assert recorded.detections() == {"checkpoint_prompt_only": 1}


def test_a_decision_says_on_which_score_and_by_which_policy():
    with recording() as recorded:
        with tachograph.checkpoint("toxicity", stage="post_output", enforcement="model") as check:
            check.decide("deny", rule="toxic", score=1, policy="conduct", policy_version="2026-11")
        with tachograph.checkpoint("length", stage="pre_request"):
            pass
    toxicity, length = (span["attributes"] for span in recorded.spans("checkpoint"))
    assert [toxicity[f"tachograph.checkpoint.{name}"] for name in ("score", "policy", "policy.version")] == [
        1.0,
        "conduct",
        "2026-11",
    ]
    assert isinstance(toxicity["tachograph.checkpoint.score"], float)
    assert "tachograph.checkpoint.score" not in length
