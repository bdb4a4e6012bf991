"""Runs of a plain agent that wait: how the two parts find each other in what the agent itself keeps.

The agent stores a request of its own and knows nothing of us, so both parts read the same facts off it: the run's id
comes from the id of the request, and when it was made is what it says. Only an agent with a function `resume` has such
runs.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from tachograph.plain import approvals
from tachograph.plain.reading import flag, one_of, read, text
from tachograph.plain.runs import Entry, entry
from tachograph.recording import begin, finish
from tachograph.run import current

if TYPE_CHECKING:
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

_RUN: Final = ("run_id", "request_id")
_ANSWER: Final = ("decision", "approved", "answer")
_ANSWERS: Final = ("approved", "rejected", "modified", "expired", "cancelled")


class WaitingEntry(Entry):
    """A run of an agent with a function `resume`: it waits where it ends with a request that nobody has answered.

    `request_id` is the agent's own id of the request; `decision` what the run goes on with.
    """

    request_id: str | None = None
    resumes = False
    decision: approvals.ObservedApproval | None = None

    @override
    def begin(self) -> None:
        super().begin()
        if self.decision is not None and self.outermost:  # what was decided comes before what is done about it
            begin(self.decision)
            try:
                self.decision.said()
            finally:
                finish(self.decision)

    @override
    def opened(self, recorder: Recorder) -> None:
        if self.request_id is not None:
            self._id = _run_id(self._agent or recorder.default_agent, self.request_id)
        super().opened(recorder)
        if self.context is not None and self.outermost:
            self.context.resumed = self.context.partial = self.resumes and self.request_id is not None

    @override
    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        if self._waits(error):
            self.suspend()
        super().finish(error, ended)

    def _waits(self, error: BaseException | None) -> bool:
        """Whether a request is open and nothing says how the run ended; a pause may be an exception of the agent's."""
        asked = self.context.requests.values() if self.context is not None and self.outermost else ()
        ended = self._outcome is not None or not (error is None or approvals.is_pause(error))
        return not ended and any(request.status == "pending" for request in asked)


def waiting_entry(call: Call) -> Entry:
    """A run that may wait, under an id that the part which goes on with it finds too."""
    run = entry(call, WaitingEntry)
    run.request_id = _request_id(call)
    return run


def resumed(call: Call) -> Entry:
    """The part of a run that goes on when a decision was made; without the id of a request a run of its own."""
    run = entry(call, WaitingEntry)
    run.request_id, run.resumes = _request_id(call), True
    answer = _answer(call)
    if answer is not None and current() is None:
        run.decision = approvals.decision(call, answer)
    return run


def _run_id(agent: str, request_id: str) -> str:
    """The same in each process, and of the form that all ids of runs have."""
    return "run_" + hashlib.sha256(f"{agent}\0{request_id}".encode()).hexdigest()[:16]


def _request_id(call: Call) -> str | None:
    """The agent's id of the request: said as such, or the id of what is called the request."""
    said = text(call.fact(*_RUN))
    request = call.fact("request")
    return said or text(read(request, *_RUN, "id"))


def _answer(call: Call) -> Any:
    """What was decided: the argument of such a name, or the first that says a status that is a decision."""
    given = call.argument(*_ANSWER)
    for each in (given, *call.arguments.values()):
        said = one_of(each, _ANSWERS) or one_of(read(each, "status"), _ANSWERS)
        if said is not None:
            return {"status": said} if text(each) is not None else each
        if flag(read(each, "approved")) is not None:
            return each
    return given if flag(given) is not None else None
