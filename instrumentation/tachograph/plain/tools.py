"""Tool calls of a plain agent: which tool, for whom, with what effect and key, and how it ended."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

from typing_extensions import override

from tachograph.patterns.tool import Effect, ToolCall, retry
from tachograph.plain import circuits
from tachograph.plain.checks import TOOL, UNNAMED, call_id, said_tool
from tachograph.plain.effects import effect_of
from tachograph.plain.evidence import documents
from tachograph.plain.reading import attribute, flag, is_a, label, number, one_of, read, size, text, whole
from tachograph.plain.runs import progress
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.plain.call import Call
    from tachograph.run import RunContext
    from tachograph.telemetry.recorder import Recorder

KEY = ("idempotency_key", "idempotency", "idem_key")
ARGUMENTS = ("args", "arguments", "params", "parameters", "kwargs", "payload", "tool_args", "tool_input", "input")
_TIMEOUT = ("timeout", "timeout_s", "timeout_seconds")
_REPLAYED = ("replayed", "idempotent_replay", "deduplicated")
_KEY_RESULTS = ("executed", "replayed", "rejected", "in_progress")
_TIMED_OUT = re.compile(r"\btime(d[ _-]?out|[ _-]?out)\b", re.IGNORECASE)
ACTOR = ("actor", "role", "caller", "principal", "user")

_EFFECTS = get_args(Effect)
_TIERS = (0, 1, 2)
_ABOUT_CALL = frozenset({*TOOL, *KEY, *ACTOR, *_TIMEOUT, "call_id", "tool_call_id", "effect", "tier", "attempt"})


class ObservedTool(ToolCall):
    """A tool call that a call of a function is.

    Where results are validated after the call, `lingers` lets it end when that has happened, or when the run does.
    """

    _guessed = True
    lingers = False
    backoff: float | None = None  # seconds waited before this attempt, where the call says so
    before: BaseException | None = None  # with what the attempt before failed, where the call says so
    _denied_before = False
    _held: tuple[BaseException | None, int] | None = None

    @override
    def begin(self) -> None:
        super().begin()
        attempt = whole(self.attributes.get(n.TOOL_ATTEMPT)) or 1
        if attempt > 1:
            retry(attempt, backoff=self.backoff, error=self.before)

    @override
    def opened(self, recorder: Recorder) -> None:
        run = current()
        if run is not None:
            self._claim(run)
        super().opened(recorder)
        if run is not None and self.tool in run.valid:
            run.valid.discard(self.tool)
            self.input_valid(True)
        self._denied_before = run is not None and bool(run.denied.get(str(self.call_id)))

    def _claim(self, run: RunContext) -> None:
        """Takes the id that the call was checked and approved under, also where the check did not say of which tool."""
        tool, named = str(self.attributes[n.GEN_AI_TOOL_NAME]), self._call_id
        loose = run.authorized.pop(UNNAMED, None)
        if loose is not None:
            run.authorized.setdefault(tool, loose)
        if named is not None and (named in run.checked or named in run.approvals):
            return
        expected = run.claim_call(tool, "") or run.claim_call(UNNAMED, "")
        if named is None:
            self._call_id = expected or None
        elif expected:  # checked without an id, and called with one
            if expected in run.checked:
                run.checked.add(named)
            run.denied.setdefault(named, set()).update(run.denied.pop(expected, ()))
            run.approvals.setdefault(named, []).extend(run.approvals.pop(expected, ()))

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        if circuits.opened(error):
            self.circuit("open")
        run = current()
        if run is not None:  # the function checks and asks before it does anything: inside is before
            self._unchecked = not run.may_run(str(self.call_id))
            self._approvers = len({approval.approver for approval in run.approvals.get(str(self.call_id), ())})
            invalid = self.attributes.get(n.TOOL_INPUT_RESULT) == "invalid"
            if run.denied.get(str(self.call_id)) and not self._denied_before and not invalid:
                self.outcome("denied")
        super().closed(recorder, error, seconds)

    @override
    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        known = progress() if current() is not None else None  # after the run's end nothing is validated any more
        unvalidated = self.attributes.get(n.TOOL_OUTPUT_RESULT) is None and error is None
        if self.recorder is None or known is None or not (self.lingers and unvalidated):
            super().finish(error, ended)
            return
        self._held = (error, self.recorder.clock())
        self.detach()
        known.wait(self)

    @guarded("tool", None)
    def settle(self) -> None:
        """Ends a call that waited for its result to be validated, as of when it ended."""
        if self._held is not None:
            (error, ended), self._held = self._held, None
            super().finish(error, ended)


def tool(*, lingers: bool) -> Callable[[Call], ToolCall]:
    """Makes tool calls; `lingers` where the agent validates results after its calls."""

    def make(call: Call) -> ToolCall:
        step = _tool(call)
        step.lingers = lingers
        return step

    return make


def _tool(call: Call) -> ObservedTool:
    step = _described(call)
    state = circuits.circuit_of(call, said_tool(call) or call.place.name)
    if state is not None:
        step.circuit(state)
    error = call.argument("error", "last_error")
    step.backoff = number(call.argument("backoff", "delay"))
    step.before = error if is_a(error, BaseException) else None
    return step


def _described(call: Call) -> ObservedTool:
    said = said_tool(call) or call.place.name
    key, actor = call.argument(*KEY), call.argument(*ACTOR)
    tables = _tables(call)
    effect, tier = contract(call, said, tables)
    given = arguments(call)
    return ObservedTool(
        label(said),
        effect=effect or ("write" if key is not None else effect_of(said)),
        tier=tier,
        call_id=call_id(call),
        arguments=_remaining(call) if given is None else given,
        idempotency_key=text(key),
        role=text(actor) or text(read(actor, "role")),
        timeout=_timeout(call, said, tables),
        attempt=whole(call.argument("attempt")) or 1,
        keyed=any(name in call.place.parameters for name in KEY),
    )


def arguments(call: Call) -> Any:
    """What the tool is called with, from the argument or field of such a name; None without one."""
    found = call.argument(*ARGUMENTS)
    subject = call.argument("call", "tool_call")
    return found if found is not None else read(subject if subject is not None else call.first(), *ARGUMENTS)


def _remaining(call: Call) -> dict[str, object] | None:
    rest = {key: value for key, value in call.arguments.items() if key not in _ABOUT_CALL}
    # nothing beside an object that is the whole call: what it is called with cannot be told
    return rest if rest or text(call.argument(*TOOL)) is not None else None


def contract(call: Call, tool: str, tables: list[Any] | None = None) -> tuple[Effect | None, int | None]:
    """The effect and tier of a tool, from the call, its tool object or the agent's tables of tools, where said."""
    subject = call.argument(*TOOL)
    known = _tables(call) if tables is None else tables
    entry = next((found for table in known if (found := read(table, tool)) is not None), None)
    effect, tier = one_of(call.argument("effect"), _EFFECTS), whole(call.argument("tier", "risk_tier"))
    for source in (entry, None if is_a(subject, str) else subject):
        read_only = flag(read(source, "read_only"))
        said = None if read_only is None else "read" if read_only else "write"
        effect = effect or one_of(read(source, "effect"), _EFFECTS) or said
        tier = tier if tier is not None else whole(read(source, "tier", "risk_tier"))
    return effect, tier if tier in _TIERS else None


def _timeout(call: Call, tool: str, tables: list[Any]) -> float | None:
    """Seconds that the call may take, as the call or the agent's tables of tools say."""
    said = call.argument(*_TIMEOUT)
    listed = (read(read(table, tool), *_TIMEOUT) for table in tables)
    return number(said if said is not None else next((found for found in listed if found is not None), None))


def _tables(call: Call) -> list[Any]:
    places = [attribute(call.instance, "tools"), attribute(call.instance, "TOOLS")]
    if is_a(call.instance, type):
        places = [vars(cls).get(table) for cls in call.instance.__mro__ for table in ("tools", "TOOLS")]
    places += [call.place.globals.get("TOOLS"), call.place.globals.get("tools")]
    return [table for table in places if is_a(table, dict, MappingProxyType)]


def came_back(step: ToolCall, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads what a tool's result says of the call: an error, a replay, its size, the documents that it brought."""
    step.returned(value)
    run, brought = current(), documents(value)
    if brought:
        step.attributes[n.TOOL_DOCUMENTS] = brought
        if run is not None:  # also where the call ends later: the answer may cite them before that
            run.remember_call(str(step.call_id), tuple(brought))
    _keyed(step, value)
    error = read(value, "error")
    failed = size(error) != 0 and error not in (None, False, "")
    if _timed_out(step, value, error):
        step.outcome("timeout", error_type=type(error).__qualname__ if is_a(error, BaseException) else None)
    elif (failed or flag(read(value, "ok")) is False) and step.attributes.get(n.TOOL_AUTHZ) != "deny":
        kind = type(error).__qualname__ if is_a(error, BaseException) else None
        step.outcome("error", error_type=kind)


def _keyed(step: ToolCall, value: object) -> None:
    """Reads what the key led to: a body that ran has executed, unless it says otherwise."""
    said = one_of(read(value, "idempotency", "idempotency_result"), _KEY_RESULTS)
    if said == "replayed" or flag(read(value, *_REPLAYED)):
        step.replayed()
    elif said is not None:
        step.attributes[n.TOOL_IDEMPOTENCY_RESULT] = said


def _timed_out(step: ToolCall, value: object, error: object) -> bool:
    """Whether a returned value says that the time was up: agents like to hand that to their model as a text.

    A text alone counts only where the call did take as long as it may: a document may speak of timeouts too.
    """
    if is_a(error, TimeoutError) or flag(read(value, "timed_out", "timeout")) or _says_so(error):
        return True
    limit, recorder = step.attributes.get(n.TOOL_TIMEOUT), step.recorder
    if not isinstance(limit, float) or recorder is None or not _says_so(value):
        return False
    return (recorder.clock() - step.started) / 1e9 >= limit


def _says_so(value: object) -> bool:
    found = text(value)
    return found is not None and _TIMED_OUT.search(found) is not None
