"""Guardrail checkpoints and authorization: what the agent's own code lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from typing_extensions import override

from tachograph.patterns.checkpoint import Checkpoint, Enforcement
from tachograph.patterns.values import identity
from tachograph.plain.reading import is_a, items, label, name, one_of, read, size, text, whole
from tachograph.plain.runs import progress
from tachograph.plain.verdict import verdict
from tachograph.recording import Recording
from tachograph.registry import names as n
from tachograph.run import current, current_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.patterns.checkpoint import Stage
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

UNNAMED = ""  # the tool of a check that does not say which: the next call of the run, whatever it is

TOOL = ("tool", "tool_name", "name", "function", "call", "tool_call", "action")
_TOOL_FIELDS = ("tool", "name", "tool_name")
CALL_ID = ("call_id", "tool_call_id")

_ENFORCEMENTS = get_args(Enforcement)


def tool_name(call: Call) -> str | None:
    """The tool that a call is about, from `tool`, `name`, `tool_name` …, or such a field of the call it is given."""
    return label(said_tool(call))


def said_tool(call: Call) -> str | None:
    """The tool as the call says it, under which the agent's own table has it; it may be free text."""
    given, first = call.argument(*TOOL), call.first()
    found = name(given, *_TOOL_FIELDS) or name(read(given, "function"), "name")
    if found is not None:
        return found
    # a dict of arguments may have a "name" too: a call is what has arguments beside it
    is_call = read(first, "args", "arguments", "input") is not None
    return text(read(first, *(_TOOL_FIELDS if is_call else ("tool", "tool_name")))) or name(
        read(first, "function"), "name"
    )


def call_id(call: Call) -> str | None:
    """The call's own id where the agent gives one, else None."""
    subject = call.argument("call", "tool_call")
    said = text(call.argument(*CALL_ID)) or text(read(subject if subject is not None else call.first(), *CALL_ID, "id"))
    return identity(said)


def in_question(call: Call) -> tuple[str, str | None]:
    """The tool and id of the call that a check or request is about: the one under way where it is of that tool."""
    tool, inside = tool_name(call), current_tool()
    if inside is not None and tool in {None, inside.attributes[n.GEN_AI_TOOL_NAME]}:
        return str(inside.attributes[n.GEN_AI_TOOL_NAME]), inside.call_id
    return tool or UNNAMED, call_id(call)


def forget_under_way(tool: str | None, named: str | None) -> None:
    """Says that no further call of that id is expected when it is the one under way."""
    run, inside = current(), current_tool()
    if run is not None and inside is not None and tool is not None and named is not None and named == inside.call_id:
        run.drop_call(tool, named)


class Check(Checkpoint):
    """A checkpoint that a call of a validating function is."""

    @override
    def opened(self, recorder: Recorder) -> None:
        super().opened(recorder)
        forget_under_way(self._tool, self._call_id)
        if self._tool == UNNAMED:
            self.attributes[n.GEN_AI_TOOL_NAME] = None

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        super().closed(recorder, error, seconds)
        known = progress()
        if known is not None and error is not None and self.attributes[n.CHECKPOINT_DECISION] == "deny":
            known.refused(error)


class ResultCheck(Check):
    """A checkpoint on a tool's result: it says whether that call's output was valid."""

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        super().closed(recorder, error, seconds)
        valid = self.attributes[n.CHECKPOINT_DECISION] != "deny"
        inside, known = current_tool(), progress()
        if inside is not None and self._about(inside.attributes):
            self.attributes[n.GEN_AI_TOOL_CALL_ID] = inside.call_id
            inside.output_valid(valid)
            return
        ended = (
            next((call for call in reversed(known.waiting) if self._about(call.attributes)), None) if known else None
        )
        if known is not None and ended is not None:
            self.attributes[n.GEN_AI_TOOL_CALL_ID] = ended.call_id
            known.waiting.remove(ended)
            ended.output_valid(valid)
            ended.settle()

    def _about(self, call: dict[str, object]) -> bool:
        if self._call_id is not None:
            return call.get(n.GEN_AI_TOOL_CALL_ID) == self._call_id
        return self._tool in {None, call.get(n.GEN_AI_TOOL_NAME)}


def check(stage: Stage) -> Callable[[Call], Checkpoint]:
    """Makes the checkpoints of one stage."""
    return lambda call: Check(call.place.name, stage=stage)


def tool_check(call: Call) -> Checkpoint:
    """A checkpoint before a tool: of the tool it is given, or of the next that runs."""
    tool, named = in_question(call)
    return Check(call.place.name, stage="pre_tool", tool=tool, call_id=named)


def result_check(call: Call) -> Checkpoint:
    """A checkpoint on a tool's result: of the tool it is given, or of the latest that ran."""
    tool = name(call.argument("tool", "tool_name", "name"), *_TOOL_FIELDS)
    subject = call.argument("call", "tool_call")
    tool = label(tool or text(read(subject, *_TOOL_FIELDS)))
    given = text(call.argument(*CALL_ID)) or text(read(subject, *CALL_ID, "id"))
    return ResultCheck(call.place.name, stage="post_tool", tool=tool, call_id=given)


def decided(checkpoint: Checkpoint, call: Call, value: object) -> None:
    """Reads off what the check returned: the decision, what it removed, and what enforces it where it says so."""
    found = verdict(call, value)
    checkpoint.decide(
        found.decision,
        rule=found.rule,
        reason=found.reason,
        score=found.score,
        policy=found.policy,
        policy_version=found.policy_version,
    )
    removed = read(value, "redactions")
    count = whole(removed) if is_a(removed, int) else size(removed)
    if count is not None:
        kinds = [label(text(kind)) for kind in items(read(value, "categories")) or ()]
        checkpoint.redacted(count, [kind for kind in kinds if kind is not None])
    enforcement = one_of(read(value, "enforcement"), _ENFORCEMENTS)
    if enforcement is not None:
        checkpoint.attributes[n.CHECKPOINT_ENFORCEMENT] = enforcement


class Authorization(Recording):
    """One authorization by code, of the call it happens in or of the next call of its tool."""

    hook = "tool.authz"

    def __init__(self, tool: str, *, certain: bool) -> None:
        super().__init__()
        self._tool, self._certain = tool, certain
        self.allowed: bool | None = None

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        allowed = False if isinstance(error, PermissionError) else self.allowed
        if allowed is None:
            return
        inside, run = current_tool(), current()
        if inside is not None and self._tool in {UNNAMED, inside.attributes[n.GEN_AI_TOOL_NAME]}:
            inside.authorized(allowed)
        elif run is not None:
            for tool in {self._tool} if self._certain else {self._tool, UNNAMED}:
                run.authorized[tool] = "allow" if allowed else "deny"


def authorization(call: Call) -> Authorization:
    """The authorization of the tool it is given, or else of the next that runs; an action may be called otherwise."""
    named = call.argument(*TOOL, "permission")
    certain = named is not None and named is call.argument("tool", "tool_name", "call", "tool_call")
    return Authorization(label(name(named, *_TOOL_FIELDS)) or UNNAMED, certain=certain)


def authorized(authorization: Authorization, call: Call, value: object) -> None:
    """Reads whether it allows: unless it says no, it does."""
    authorization.allowed = verdict(call, value).decision != "deny"
