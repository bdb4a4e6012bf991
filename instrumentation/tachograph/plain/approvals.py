"""Approvals that a plain agent asks for, and the entries of its own audit log."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from typing_extensions import override

from tachograph.audit.record import audit
from tachograph.patterns.approval import Approval, Mode
from tachograph.patterns.values import identity
from tachograph.plain.checks import CALL_ID, UNNAMED, call_id, forget_under_way, in_question, said_tool
from tachograph.plain.reading import flag, items, label, name, number, one_of, parts, read, text, whole
from tachograph.plain.tools import ARGUMENTS, arguments, contract
from tachograph.recording import Recording
from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

Status = Literal["pending", "approved", "rejected", "modified", "expired", "cancelled", "auto_approved"]
Action = Literal["approval", "write", "override", "gate"]

_STATUSES, _MODES, _ACTIONS = get_args(Status), get_args(Mode), get_args(Action)
_SHOWN = ("diff", "preview")
_BY = ("approver", "approved_by", "by")
_SOMEBODY = "unnamed"  # the approver of an approval that does not say who
_PERSON = ("id", "user_id", "name", "email")
_OWN_ID = ("approval_id", "id")  # of the request, as the agent has it
_KEPT = ("tool", "tool_name", "approval_id")  # one of these has what an agent keeps of a request
_MADE = ("requested_at", "created_at", "asked_at")
_PAUSE = re.compile("pending|suspend|interrupt|paus", re.IGNORECASE)


class ObservedApproval(Approval):
    """An approval that a call of a function asks for, of the tool it names or of the next that runs."""

    said: Callable[[], None] = staticmethod(lambda: None)  # says what is known of the answer already

    @override
    def opened(self, recorder: Recorder) -> None:
        super().opened(recorder)
        forget_under_way(self._tool, self._call_id)
        if self._tool == UNNAMED:
            self.attributes[n.GEN_AI_TOOL_NAME] = "unknown"

    @override
    def name(self) -> str:
        return f"approval {self.attributes[n.GEN_AI_TOOL_NAME]}"

    @override
    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        super().finish(None if is_pause(error) else error, ended)

    def known_as(self, id: str | None) -> None:
        """Takes the agent's own id of the request, under which it will speak of it again."""
        if id is not None:
            self.attributes[n.APPROVAL_ID] = id


def is_pause(error: BaseException | None) -> bool:
    """Whether an exception is how the agent says that it waits: ApprovalPending, Suspended, GraphInterrupt."""
    return isinstance(error, Exception) and _PAUSE.search(type(error).__name__) is not None and not _is_builtin(error)


def _is_builtin(error: Exception) -> bool:
    return type(error).__module__ == "builtins"


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
        id=identity(text(call.fact("approval_id"))),
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
    if status in {None, "pending"} and isinstance(step, ObservedApproval):
        step.known_as(identity(text(read(value, *_OWN_ID))))


def decision(call: Call, answer: object) -> ObservedApproval:
    """The answer to a request that an earlier part of the run made, from what the agent kept of the request."""
    kept = next((each for each in call.arguments.values() if read(each, *_KEPT) is not None), None)
    tool = label(text(read(kept, "tool", "tool_name"))) or UNNAMED
    _, tier = contract(call, tool)
    tier = tier if tier is not None else whole(read(kept, "tier", "risk_tier"))
    step = ObservedApproval(
        tool,
        tier=1 if tier is None else tier,
        arguments=read(kept, *ARGUMENTS),
        call_id=identity(text(read(kept, *CALL_ID))),
        mode=one_of(read(kept, "mode"), _MODES),
        id=identity(text(call.argument("approval_id")) or text(read(kept, *_OWN_ID))),
        requested_at=_moment(read(kept, *_MADE)),
    )
    step.attributes[n.APPROVAL_DIFF_PRESENTED] = None  # what the approver saw, the other process may know
    step.said = lambda: answered(step, call, answer)
    return step


def _moment(value: object) -> float | None:
    """Seconds since 1970, from such a number, a datetime or its ISO text; a time without a zone is the machine's."""
    seconds, written = number(value), text(value)
    try:
        if seconds is not None:
            return seconds
        found = value if type(value) is datetime else datetime.fromisoformat(written) if written is not None else None
        return None if found is None else found.timestamp()
    except (ValueError, OverflowError, OSError):
        return None


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
        self._action: Action = action
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
