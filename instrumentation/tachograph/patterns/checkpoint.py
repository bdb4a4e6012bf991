"""P01, guardrail checkpoints: where they stand, what they decide, and whether code enforces them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from typing_extensions import override

from tachograph.hook import Hook
from tachograph.patterns.values import double, identity, reason_text
from tachograph.recording import Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph.telemetry.recorder import Recorder

Stage = Literal["pre_request", "pre_model", "pre_tool", "post_tool", "post_output"]
Enforcement = Literal["code", "model", "external", "prompt"]


class Checkpoint(Recording):
    """One guardrail at work; it allows unless told otherwise."""

    kind = "checkpoint"

    def __init__(
        self,
        name: str,
        *,
        stage: Stage,
        enforcement: Enforcement = "code",
        tool: str | None = None,
        call_id: str | None = None,
    ) -> None:
        super().__init__()
        self.hook = f"checkpoint.{stage}"
        self._name, self._tool, self._call_id = name, tool, identity(call_id)
        self.attributes |= {
            n.CHECKPOINT_STAGE: stage,
            n.CHECKPOINT_NAME: name,
            n.CHECKPOINT_ENFORCEMENT: enforcement,
            n.GEN_AI_TOOL_NAME: tool,
        }

    @override
    def name(self) -> str:
        return f"checkpoint {self.attributes[n.CHECKPOINT_STAGE]} {self.attributes[n.CHECKPOINT_NAME]}"

    @override
    def opened(self, recorder: Recorder) -> None:
        run, call_id = current(), self._call_id
        if self._tool is not None and run is not None and self.hook == "checkpoint.pre_tool":
            call_id = run.call_in_question(self._tool, recorder.new_id("call"), call_id, self._name)
        self.attributes[n.GEN_AI_TOOL_CALL_ID] = call_id

    @guarded("checkpoint", None)
    def decide(
        self,
        decision: str,
        *,
        rule: str | None = None,
        reason: str | None = None,
        score: float | None = None,
        policy: str | None = None,
        policy_version: str | None = None,
    ) -> None:
        """Says what it decided: allow, deny, modify, redact, warn, escalate or error; by which rule and why.

        `score` is what it decided on, in its own unit; `policy` the set of rules that `rule` belongs to.
        """
        self.attributes |= {
            n.CHECKPOINT_DECISION: decision,
            n.CHECKPOINT_RULE: rule,
            n.CHECKPOINT_POLICY: policy,
            n.CHECKPOINT_POLICY_VERSION: policy_version,
            n.CHECKPOINT_SCORE: double(score),
            n.CHECKPOINT_REASON: reason_text(reason),
        }

    @guarded("checkpoint", None)
    def redacted(self, count: int, categories: Iterable[str] = ()) -> None:
        """Says how many findings it removed, and of which kinds: card, email, iban."""
        self.attributes |= {n.REDACTION_COUNT: count, n.REDACTION_CATEGORIES: sorted(set(categories)) or None}
        self.attributes.setdefault(n.CHECKPOINT_DECISION, "redact")

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        attributes, run = self.attributes, current()
        if error is not None:
            attributes.setdefault(n.CHECKPOINT_DECISION, "deny")
            attributes.setdefault(n.CHECKPOINT_RULE, type(error).__qualname__)
        decision = attributes.setdefault(n.CHECKPOINT_DECISION, "allow")
        stage, call_id = str(attributes[n.CHECKPOINT_STAGE]), attributes.get(n.GEN_AI_TOOL_CALL_ID)
        labels = {**recorder.common(), **attributes}
        recorder.metrics.record_all(
            labels, (instruments.CHECKPOINT_DECISIONS, 1), (instruments.CHECKPOINT_DURATION, seconds)
        )
        count = attributes.get(n.REDACTION_COUNT)
        if isinstance(count, int) and count:
            recorder.metrics.record(instruments.CHECKPOINT_REDACTIONS, count, labels)
        if run is None:
            return
        if stage == "pre_tool" and call_id is not None:
            run.check_call(str(call_id), str(attributes[n.CHECKPOINT_NAME]), str(decision))
            if decision == "deny" and self._tool is not None:
                run.drop_call(self._tool, str(call_id))
        place = (stage, str(call_id or "") if stage == "pre_tool" else "")
        # Whether another kind stands there too is known when the run ends.
        run.note_place(place, prompt=attributes[n.CHECKPOINT_ENFORCEMENT] == "prompt")


def checkpoint(
    name: str, *, stage: Stage, enforcement: Enforcement = "code", tool: str | None = None, call_id: str | None = None
) -> Hook[Checkpoint]:
    """A guardrail: say what it will `decide`, by which rule and why.

    One that raises has denied. `enforcement` says what enforces it: code, a model, an external service, or only a
    prompt. For `pre_tool` name the `tool` (and `call_id` where calls of one tool overlap).
    """
    return Hook(lambda: Checkpoint(name, stage=stage, enforcement=enforcement, tool=tool, call_id=call_id))
