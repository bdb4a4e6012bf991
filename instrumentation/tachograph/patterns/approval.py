"""P02, approvals: who approved which call, what they were shown, how long it took; each decision on the audit log."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, cast

from typing_extensions import override

from tachograph.audit.record import audit
from tachograph.hook import Hook, no_function
from tachograph.patterns.values import identity, level
from tachograph.recording import Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import Approved, Request, current
from tachograph.suspension import link, place
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from tachograph.run import RunContext
    from tachograph.telemetry.recorder import Recorder

Mode = Literal["auto", "single", "dual", "supervisor"]

GRANTED = frozenset({"approved", "modified"})

_TWO = 2  # the tier of two people, and how many a dual approval needs
# An id of ours says when it was made, in milliseconds since 1970, and of which call: who has the id knows both.
_OUR_ID: Final = re.compile(r"approval_([0-9a-f]{12})([0-9a-f]{16})[0-9a-f]{4}")
_OUR_CALL: Final = re.compile(r"call_([0-9a-f]{16})")

_ON_RECORD = (
    n.APPROVAL_ID,
    n.APPROVAL_STATUS,
    n.APPROVAL_MODE,
    n.APPROVAL_APPROVER_HASH,
    n.APPROVAL_APPROVERS,
    n.APPROVAL_APPROVER_ROLE,
    n.APPROVAL_DIFF_PRESENTED,
    n.APPROVAL_DIFF_HASH,
    n.GEN_AI_TOOL_NAME,
    n.GEN_AI_TOOL_CALL_ID,
    n.TOOL_TIER,
    n.TOOL_ARGUMENTS_HASH,
)


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
        self._tool, self._arguments, self._call_id, self._id = tool, arguments, identity(call_id), identity(id)
        self._requested_at = requested_at
        tier = level(tier, 1)
        self.attributes |= {
            n.GEN_AI_TOOL_NAME: tool,
            n.TOOL_TIER: tier,
            n.APPROVAL_MODE: mode or ("dual" if tier >= _TWO else "single"),
            n.APPROVAL_DIFF_PRESENTED: False,
        }
        self._approvers: list[str] = []
        self._before: Request | None = None  # the request as it was spoken of before
        self._asked = 0.0  # when it was made, in seconds since 1970

    @override
    def name(self) -> str:
        return f"approval {self._tool}"

    @property
    @guarded("approval", cast("str | None", None))
    def id(self) -> str | None:
        """The request's id, for going on with it after a restart; None when nothing is recorded."""
        found = self.attributes.get(n.APPROVAL_ID)
        return str(found) if found is not None else None

    @override
    def begin(self) -> None:
        super().begin()
        if self._before is not None:
            link(self.span, self._before.span)

    @override
    def opened(self, recorder: Recorder) -> None:
        run, call_id = current(), self._call_id
        arguments = recorder.hashed(self._arguments) if self._arguments is not None else None
        if run is not None:
            before = run.request(self._id, self._tool, call_id, arguments)
            call_id = call_id or (before.call_id if before is not None else self._call_of_id())
            call_id = run.call_in_question(self._tool, recorder.new_id("call"), call_id, arguments=arguments)
            if before is not None:
                self._before, self._id = before, before.id
                self._approvers.extend(before.approvers)
        request_id = self._id or _new_id(recorder, self.started, call_id)
        self.attributes |= {n.APPROVAL_ID: request_id, n.GEN_AI_TOOL_CALL_ID: call_id}
        self.attributes[n.TOOL_ARGUMENTS_HASH] = arguments
        self._asked = self._when(request_id)
        if not self._goes_on(run):
            labels = recorder.with_common(self.attributes)
            recorder.metrics.record_all(labels, (instruments.APPROVAL_REQUESTS, 1), (instruments.APPROVAL_PENDING, 1))

    def _when(self, request_id: str) -> float:
        """When the request was made: as the host says, as an earlier part knew, as its id says, else now."""
        if self._requested_at is not None:
            return self._requested_at
        if self._before is not None:
            return self._before.requested_at
        ours = _OUR_ID.fullmatch(request_id) if self._id is not None else None
        return self.started / 1e9 if ours is None else int(ours[1], 16) / 1e3

    def _call_of_id(self) -> str | None:
        """The call that a request of another process was about, as its id says."""
        ours = _OUR_ID.fullmatch(self._id) if self._id is not None else None
        return None if ours is None else f"call_{ours[2]}"

    def _goes_on(self, run: RunContext | None) -> bool:
        """Whether the request was counted before: it is older than this part of the run, or was spoken of in it.

        Outside of a run nothing says that a request will be spoken of again, so each time counts for itself.
        """
        if run is None or self._before is not None:
            return self._before is not None
        if self._asked >= run.started / 1e9:
            return False
        run.resumed = run.partial = True  # and nobody told this part of the run what the earlier one saw
        return True

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
        if n.GEN_AI_TOOL_CALL_ID not in attributes:
            return  # it failed to begin
        status = str(attributes.setdefault(n.APPROVAL_STATUS, "pending" if error is None else "cancelled"))
        if status in GRANTED:
            attributes[n.APPROVAL_APPROVERS] = list(self._approvers)
        if run is not None:
            run.note_request(self._request(status))
        labels = recorder.with_common(attributes)
        if status == "pending":
            if run is None:
                _settle(recorder, labels)
            return
        waited = attributes[n.APPROVAL_WAIT] = max(0.0, seconds + (self.started / 1e9 - self._asked))
        if self._before is None or self._before.status == "pending":  # one that is answered twice counts once
            _settle(recorder, labels, (instruments.APPROVAL_WAIT_DURATION, waited))
        self._audit(recorder)
        if status not in GRANTED:
            return
        if attributes[n.APPROVAL_DIFF_PRESENTED] is False:  # None: nobody knows
            recorder.detect("approval_no_diff")
        if run is not None:
            self._grant(run)

    def _request(self, status: str) -> Request:
        """What the run has to know of the request from now on."""
        attributes = self.attributes
        arguments = attributes.get(n.TOOL_ARGUMENTS_HASH)
        needs_more = attributes[n.APPROVAL_MODE] == "dual" and status in GRANTED and len(self._approvers) < _TWO
        tier = attributes[n.TOOL_TIER]
        return Request(
            id=str(attributes[n.APPROVAL_ID]),
            tool=self._tool,
            tier=tier if isinstance(tier, int) else 0,
            mode=str(attributes[n.APPROVAL_MODE]),
            status=status,
            call_id=None if attributes[n.GEN_AI_TOOL_CALL_ID] is None else str(attributes[n.GEN_AI_TOOL_CALL_ID]),
            arguments_hash=None if arguments is None else str(arguments),
            requested_at=self._asked,
            span=place(self.span),
            approvers=tuple(self._approvers),
            open=status == "pending" or needs_more,
        )

    def _grant(self, run: RunContext) -> None:
        """Notes who approved the call here; who did before is known already, and saw what was asked then."""
        arguments = self.attributes.get(n.TOOL_ARGUMENTS_HASH)
        new = self._approvers[len(self._before.approvers) if self._before is not None else 0 :]
        granted = [Approved(by, str(arguments) if arguments is not None else None) for by in new]
        run.approve(str(self.attributes[n.GEN_AI_TOOL_CALL_ID]), granted)
        run.granted = True

    def _audit(self, recorder: Recorder) -> None:
        entry = {name: self.attributes.get(name) for name in _ON_RECORD}
        self.attributes[n.AUDIT_ID] = audit(recorder, "approval", entry)


def _new_id(recorder: Recorder, now: int, call_id: str | None) -> str:
    fresh = recorder.ids()
    ours = _OUR_CALL.fullmatch(call_id) if call_id is not None else None
    return f"approval_{now // 1_000_000:012x}{fresh if ours is None else ours[1]}{fresh[-4:]}"


def _settle(recorder: Recorder, labels: dict[str, object], *further: tuple[instruments.Instrument, float]) -> None:
    """Counts what became of a request, which waits no more."""
    recorder.metrics.record_all(
        labels, (instruments.APPROVAL_DECISIONS, 1), (instruments.APPROVAL_PENDING, -1), *further
    )


def abandon(recorder: Recorder, run: RunContext) -> None:
    """Counts the requests of a run that has ended without waiting for their answer."""
    for request in [one for one in run.requests.values() if one.status == "pending"]:
        run.note_request(replace(request, status="cancelled", open=False))
        about = {n.TOOL_TIER: request.tier, n.APPROVAL_MODE: request.mode, n.APPROVAL_STATUS: "pending"}
        _settle(recorder, {**run.common, **about})


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

    A request that outlives the process is gone on with by its `id`, or without one by the next question about the same
    tool and arguments in a run that was resumed with `run(resume=…)`. The wait is measured from when it was made: ids
    of ours say when, with an id of your own say `requested_at` too, in seconds since 1970.
    """
    no_function(tool, "approval", "the tool it is about")
    return Hook(
        lambda: Approval(
            tool, tier=tier, arguments=arguments, call_id=call_id, mode=mode, id=id, requested_at=requested_at
        )
    )
