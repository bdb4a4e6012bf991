"""Approvals that a plain agent asks for, and the entries of its own audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from typing_extensions import override

from tachograph.patterns.approval import Approval, Mode
from tachograph.plain.checks import UNNAMED, call_id, forget_under_way, in_question, said_tool
from tachograph.plain.reading import flag, items, label, name, one_of, parts, read, text
from tachograph.plain.tools import arguments, contract
from tachograph.recording import Recording
from tachograph.registry import names as n
from tachograph.telemetry.audit import audit

if TYPE_CHECKING:
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

Status = Literal["pending", "approved", "rejected", "modified", "expired", "cancelled", "auto_approved"]
Action = Literal["approval", "write", "override", "gate"]

_STATUSES, _MODES, _ACTIONS = get_args(Status), get_args(Mode), get_args(Action)
_SHOWN = ("diff", "preview")
_BY = ("approver", "approved_by", "by")
_SOMEBODY = "unnamed"  # the approver of an approval that does not say who
_PERSON = ("id", "user_id", "name", "email")


class ObservedApproval(Approval):
    """An approval that a call of a function asks for, of the tool it names or of the next that runs."""

    @override
    def opened(self, recorder: Recorder) -> None:
        super().opened(recorder)
        forget_under_way(self._tool, self._call_id)
        if self._tool == UNNAMED:
            self.attributes[n.GEN_AI_TOOL_NAME] = "unknown"

    @override
    def name(self) -> str:
        return f"approval {self.attributes[n.GEN_AI_TOOL_NAME]}"


def approval(call: Call) -> Approval:
    """A request for approval; what would change was shown where a diff or preview is an argument."""
    tool, named = in_question(call)
    _, tier = contract(call, said_tool(call) or tool)
    step = ObservedApproval(
        tool,
        tier=1 if tier is None else tier,
        arguments=arguments(call),
        call_id=named,
        mode=one_of(call.argument("mode"), _MODES),
    )
    if not any(shown in call.place.parameters for shown in _SHOWN):
        step.attributes[n.APPROVAL_DIFF_PRESENTED] = None  # the approver may have been shown it elsewhere
    return step


def answered(step: Approval, call: Call, value: object) -> None:
    """Reads what became of the request, and who decided."""
    shown = call.argument(*_SHOWN)
    if shown is not None:
        step.shown(shown)
    status = _status(value)
    role = text(read(value, "role", "approver_role"))
    if status in {"approved", "modified"}:
        for person in _people(call, value) or [_SOMEBODY]:
            step.approve(person, role=role)
    elif status == "rejected":
        step.reject(next(iter(_people(call, value)), _SOMEBODY), role=role)
    elif status is not None:
        step.decide(status)


def _status(value: object) -> str | None:
    value = next(iter(parts(value)), value)
    said = one_of(read(value, "status"), _STATUSES)
    granted = flag(value)
    granted = granted if granted is not None else flag(read(value, "approved"))
    return said or (None if granted is None else "approved" if granted else "rejected")


def _people(call: Call, value: object) -> list[str]:
    given = items(read(value, "approvers")) or (read(value, *_BY),)
    given = parts(value)[1:] or given
    found = [person for each in given if (person := name(each, *_PERSON)) is not None]
    asked = name(call.argument("approver", "approved_by", "user"), *_PERSON)
    return found or ([asked] if asked is not None else [])


class AuditEntry(Recording):
    """An entry of the agent's own audit log, on record with us too once the agent has written it."""

    hook = "audit"

    def __init__(self, action: Action, tool: str | None, call: str | None) -> None:
        super().__init__()
        self._action = action
        self.attributes |= {n.GEN_AI_TOOL_NAME: tool, n.GEN_AI_TOOL_CALL_ID: call}

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        if error is None:
            audit(recorder, self._action, {key: value for key, value in self.attributes.items() if value is not None})


def audit_entry(call: Call) -> AuditEntry:
    """An audit entry: of an approval, an override or a gate where it says so, else of a write."""
    action = one_of(call.argument("action", "kind", "event"), _ACTIONS) or "write"
    tool = label(name(call.argument("tool", "tool_name", "call"), "tool", "name", "tool_name"))
    return AuditEntry(action, tool, call_id(call))
