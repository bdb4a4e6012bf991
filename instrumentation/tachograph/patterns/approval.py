"""P02, approvals: who approved which call, what they were shown, how long it took; each decision on the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from typing_extensions import override

from tachograph.hook import Hook
from tachograph.recording import Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import Approved, current
from tachograph.telemetry.audit import audit
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from tachograph.telemetry.recorder import Recorder

Mode = Literal["auto", "single", "dual", "supervisor"]

GRANTED = frozenset({"approved", "modified"})


class Approval(Recording):
    """One request for approval; without a decision it stays pending."""

    hook = "approval"
    kind = "approval"

    def __init__(
        self,
        tool: str,
        *,
        tier: int = 1,
        arguments: object = None,
        call_id: str | None = None,
        mode: Mode | None = None,
        id: str | None = None,
        requested_at: float | None = None,
    ) -> None:
        super().__init__()
        self._tool, self._arguments, self._call_id, self._id = tool, arguments, call_id, id
        self._requested_at = requested_at
        self.attributes |= {
            n.GEN_AI_TOOL_NAME: tool,
            n.TOOL_TIER: tier,
            n.APPROVAL_MODE: mode or ("dual" if tier >= 2 else "single"),  # noqa: PLR2004 - tier 2 is the tier of two people
            n.APPROVAL_DIFF_PRESENTED: False,
        }
        self._approvers: list[str] = []

    @override
    def name(self) -> str:
        return f"approval {self._tool}"

    @property
    def id(self) -> str | None:
        """The request's id, for going on with it after a restart; None when nothing is recorded."""
        found = self.attributes.get(n.APPROVAL_ID)
        return str(found) if found is not None else None

    @override
    def opened(self, recorder: Recorder) -> None:
        run, call_id = current(), self._call_id
        arguments = recorder.hashed(self._arguments) if self._arguments is not None else None
        if run is not None:
            call_id = run.call_in_question(self._tool, recorder.new_id("call"), call_id, arguments=arguments)
        self.attributes |= {n.APPROVAL_ID: self._id or recorder.new_id("approval"), n.GEN_AI_TOOL_CALL_ID: call_id}
        self.attributes[n.TOOL_ARGUMENTS_HASH] = arguments
        self._pending(recorder, 1)

    def _pending(self, recorder: Recorder, change: int) -> None:
        recorder.metrics.record(instruments.APPROVAL_PENDING, change, {**recorder.common(), **self.attributes})

    @guarded("approval", None)
    def shown(self, diff: object) -> None:
        """Says that the approver was shown what would change; only a hash of it is recorded."""
        if self.recorder is not None:
            self.attributes |= {n.APPROVAL_DIFF_PRESENTED: True, n.APPROVAL_DIFF_HASH: self.recorder.hashed(diff)}

    @guarded("approval", None)
    def approve(self, by: str, *, role: str | None = None) -> None:
        """Says who approved; call it once for each of several people."""
        self._decide("approved", by, role)

    @guarded("approval", None)
    def modify(self, by: str, arguments: object, *, role: str | None = None) -> None:
        """Says that somebody approved other arguments than those asked for."""
        if self.recorder is not None:
            self.attributes[n.TOOL_ARGUMENTS_HASH] = self.recorder.hashed(arguments)
        self._decide("modified", by, role)

    @guarded("approval", None)
    def reject(self, by: str, *, role: str | None = None) -> None:
        """Says who rejected it."""
        self._decide("rejected", by, role)

    @guarded("approval", None)
    def decide(self, status: str) -> None:
        """Says what became of it where nobody decided: expired, cancelled, auto_approved."""
        self.attributes[n.APPROVAL_STATUS] = status

    def _decide(self, status: str, by: str, role: str | None) -> None:
        if self.recorder is None:
            return
        approver = str(self.recorder.hashed(str(by)))
        if approver not in self._approvers:
            self._approvers.append(approver)
        self.attributes |= {
            n.APPROVAL_STATUS: status,
            n.APPROVAL_APPROVER_HASH: self._approvers[0],
            n.APPROVAL_APPROVER_ROLE: role,
        }

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        attributes, run = self.attributes, current()
        status = str(attributes.setdefault(n.APPROVAL_STATUS, "pending" if error is None else "cancelled"))
        if status in GRANTED:
            attributes[n.APPROVAL_APPROVERS] = list(self._approvers)
        waited = seconds if self._requested_at is None else recorder.clock() / 1e9 - self._requested_at
        labels = {**recorder.common(), **attributes}
        recorder.metrics.record(instruments.APPROVAL_DECISIONS, 1, labels)
        self._pending(recorder, -1)
        if status == "pending":
            return
        attributes[n.APPROVAL_WAIT] = waited
        recorder.metrics.record(instruments.APPROVAL_WAIT_DURATION, waited, labels)
        self._audit(recorder)
        if status not in GRANTED:
            return
        if attributes[n.APPROVAL_DIFF_PRESENTED] is False:  # None: nobody knows
            recorder.detect("approval_no_diff")
        if run is not None:
            arguments = attributes.get(n.TOOL_ARGUMENTS_HASH)
            granted = [Approved(by, str(arguments) if arguments is not None else None) for by in self._approvers]
            run.approvals.setdefault(str(attributes[n.GEN_AI_TOOL_CALL_ID]), []).extend(granted)

    def _audit(self, recorder: Recorder) -> None:
        kept = (
            n.APPROVAL_ID,
            n.APPROVAL_STATUS,
            n.APPROVAL_APPROVER_HASH,
            n.APPROVAL_APPROVER_ROLE,
            n.GEN_AI_TOOL_NAME,
            n.GEN_AI_TOOL_CALL_ID,
            n.TOOL_TIER,
            n.TOOL_ARGUMENTS_HASH,
        )
        audit_id = audit(recorder, "approval", {name: self.attributes.get(name) for name in kept})
        self.attributes[n.AUDIT_ID] = audit_id
        if audit_id is None:
            recorder.detect("approval_unaudited")


def approval(
    tool: str,
    *,
    tier: int = 1,
    arguments: object = None,
    call_id: str | None = None,
    mode: Mode | None = None,
    id: str | None = None,
    requested_at: float | None = None,
) -> Hook[Approval]:
    """A request for approval of one call: say what was `shown` and who will `approve` or `reject`.

    The wait is measured from `requested_at` (seconds since 1970) where the request began in another process, which
    also passes the `id` it had there.
    """
    return Hook(
        lambda: Approval(
            tool, tier=tier, arguments=arguments, call_id=call_id, mode=mode, id=id, requested_at=requested_at
        )
    )
