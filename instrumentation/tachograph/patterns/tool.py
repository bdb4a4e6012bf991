"""P03, tool contracts: one span a call, with its effect, validity, authorization, idempotency key and outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, cast, overload

from typing_extensions import override

from tachograph.audit.record import audit
from tachograph.hook import Hook, named
from tachograph.patterns.values import double, identity, level, word
from tachograph.privacy.captured import capture
from tachograph.recording import CANCELLED, Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import CALLING, current, current_tool
from tachograph.telemetry.guard import guarded
from tachograph.telemetry.recorder import covering

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterable

    from tachograph.hook import F
    from tachograph.run import Approved, RunContext
    from tachograph.telemetry.recorder import Recorder

Effect = Literal["none", "read", "write", "irreversible"]
Circuit = Literal["closed", "open", "half_open"]
CostSource = Literal["provider", "estimated"]

WRITES = frozenset({"write", "irreversible"})
_NONE: tuple[str, ...] = ()
_ON_RECORD = (
    n.GEN_AI_TOOL_NAME,
    n.GEN_AI_TOOL_CALL_ID,
    n.TOOL_EFFECT,
    n.TOOL_OUTCOME,
    n.TOOL_TIER,
    n.TOOL_ARGUMENTS_HASH,
    n.TOOL_IDEMPOTENCY_KEY_HASH,
)
_PARTS = (
    ("tool.authz", n.TOOL_AUTHZ),
    ("tool.effect", n.TOOL_EFFECT),
    ("tool.output", n.TOOL_OUTPUT_RESULT),
)
_BROKEN = {"invalid_input": "input", "invalid_output": "output", "denied": "authz"}
NOT_EXECUTED = frozenset({"denied", "invalid_input", "not_executed"})


class ToolCall(Recording):
    """One call of a tool, whatever came of it.

    Guessed calls are those that a naming convention saw. A hand-written hook for the same tool inside of one is the
    same call, and what it says comes before what was read: one call is counted once.
    """

    hook = "tool"
    kind = "tool"
    _guessed = False

    def __init__(
        self,
        name: str,
        *,
        effect: Effect | None = "read",
        tier: int | None = None,
        call_id: str | None = None,
        arguments: object = None,
        idempotency_key: str | None = None,
        authz: str | None = None,
        role: str | None = None,
        timeout: float | None = None,
        attempt: int = 1,
        keyed: bool = True,
    ) -> None:
        super().__init__()
        self._call_id, self._arguments, self._key = identity(call_id), arguments, idempotency_key
        self._keyed = keyed  # False: such a call has no place for a key, so a missing one says nothing
        usual = 1 if effect in WRITES else 0
        self.attributes = {
            n.GEN_AI_OPERATION_NAME: "execute_tool",
            n.GEN_AI_TOOL_NAME: name,
            n.TOOL_EFFECT: effect,
            n.TOOL_TIER: usual if tier is None else level(tier, usual),
            n.TOOL_ATTEMPT: attempt,
            n.TOOL_AUTHZ: authz,
            n.ACTOR_ROLE: role,
            n.TOOL_TIMEOUT: double(timeout),
        }
        self._unchecked = False
        self._approvers = 0

    @override
    def name(self) -> str:
        return f"execute_tool {self.attributes[n.GEN_AI_TOOL_NAME]}"

    @property
    @guarded("tool", "")
    def tool(self) -> str:
        """The tool's name."""
        return str(self.attributes[n.GEN_AI_TOOL_NAME])

    @property
    @guarded("tool", cast("str | None", None))
    def call_id(self) -> str | None:
        """The call's id, fresh where the agent named none; what evidence and approvals refer to."""
        found = self.attributes.get(n.GEN_AI_TOOL_CALL_ID)
        return str(found) if found is not None else None

    @override
    def begin(self) -> None:
        outer = current_tool()
        if outer is not None and outer._guessed and not self._guessed and outer.tool == self.tool:  # noqa: SLF001 - one of us
            outer._told(self)  # noqa: SLF001 - one of us
        else:
            super().begin()

    def _told(self, inner: ToolCall) -> None:
        """Takes over what a hand-written hook says of this call; what it says later is said of this call too."""
        said = {name: value for name, value in inner.attributes.items() if value is not None}
        if said.get(n.TOOL_EFFECT) == "read" and self.attributes.get(n.TOOL_EFFECT) is not None:
            said = {name: value for name, value in said.items() if name not in {n.TOOL_EFFECT, n.TOOL_TIER}}
        self.attributes |= said
        inner.attributes = self.attributes
        if self.recorder is None:
            return
        if self.attributes.get(n.TOOL_EFFECT) is not None:
            self.recorder.cover("tool.effect")
        if inner._key is not None:
            self._key = inner._key
            self.attributes[n.TOOL_IDEMPOTENCY_KEY_HASH] = self.recorder.hashed(inner._key)
            self._keyed = True
            self.recorder.cover("tool.idempotency")

    @override
    def opened(self, recorder: Recorder) -> None:
        attributes, run = self.attributes, current()
        tool, fresh = str(attributes[n.GEN_AI_TOOL_NAME]), recorder.new_id("call")
        arguments = recorder.hashed(self._arguments) if self._arguments is not None else None
        if recorder.capture != "off":
            capture(attributes, input=self._arguments)
        call_id = self._call_id or fresh
        if run is not None:
            call_id = run.claim_call(tool, fresh, self._call_id, arguments)
        attributes[n.GEN_AI_TOOL_CALL_ID], attributes[n.TOOL_ARGUMENTS_HASH] = call_id, arguments
        if self._key is not None:
            attributes[n.TOOL_IDEMPOTENCY_KEY_HASH] = recorder.hashed(self._key)
        if run is not None:
            run.tool_calls += 1
            run.tier = max(run.tier, _needed(attributes))
            run.remember_call(call_id)
            self._unchecked = not run.may_run(call_id)
            if call_id in run.approvals:
                self._approvers = len({approval.approver for approval in run.approvals[call_id]})
            if attributes[n.TOOL_AUTHZ] is None:
                attributes[n.TOOL_AUTHZ] = run.authorized.pop(tool, None)
        self.carry(CALLING, self)

    @override
    def bound(self, arguments: inspect.BoundArguments) -> None:
        if self._arguments is None:
            self._arguments = {
                name: value for name, value in arguments.arguments.items() if name not in {"self", "cls"}
            }

    @guarded("tool", None)
    def input_valid(self, valid: bool) -> None:
        """Says whether the arguments met the contract."""
        self.attributes[n.TOOL_INPUT_RESULT] = "valid" if valid else "invalid"

    @guarded("tool", None)
    def output_valid(self, valid: bool) -> None:
        """Says whether the result met the contract."""
        self.attributes[n.TOOL_OUTPUT_RESULT] = "valid" if valid else "invalid"

    @guarded("tool", None)
    def authorized(self, allowed: bool, *, role: str | None = None) -> None:
        """Says what code decided about the caller's right to make this call."""
        self.attributes[n.TOOL_AUTHZ] = "allow" if allowed else "deny"
        if role is not None:
            self.attributes[n.ACTOR_ROLE] = role

    @guarded("tool", None)
    def result(self, value: object = None, *, bytes: int | None = None, documents: Iterable[str] = _NONE) -> None:
        """Says what came back: its size is recorded, itself only where capture is on; evidence may cite `documents`."""
        capture(self.attributes, output=value)
        size = bytes if bytes is not None or not isinstance(value, str | bytearray) else len(value)
        self.attributes[n.TOOL_RESULT_BYTES] = size
        self.attributes[n.TOOL_DOCUMENTS] = _cited(documents)

    @guarded("tool", None)
    def replayed(self) -> None:
        """Says that the idempotency key was known and the stored result was given again."""
        self.attributes[n.TOOL_IDEMPOTENCY_RESULT] = "replayed"

    @guarded("tool", None)
    def outcome(self, outcome: str, *, error_type: str | None = None) -> None:
        """Says how the call ended where no exception does: error, timeout, denied, invalid_input, not_executed …."""
        self.attributes |= {n.TOOL_OUTCOME: outcome, n.ERROR_TYPE: error_type}
        if error_type is None:
            del self.attributes[n.ERROR_TYPE]

    @guarded("tool", None)
    def attempt(self, number: int) -> None:
        """Says which attempt of the call this is, from 1."""
        self.attributes[n.TOOL_ATTEMPT] = number

    @guarded("tool", None)
    def circuit(self, state: Circuit) -> None:
        """Says in which state the call met its circuit breaker; where an open one stopped it, say so: not_executed."""
        self.attributes[n.CIRCUIT_STATE] = state

    @guarded("tool", None)
    def cost(self, amount: float, *, source: CostSource = "provider") -> None:
        """Says what the call itself cost in US dollars, as a search that is paid by the query; LLM calls say theirs."""
        self.attributes |= {n.COST_AMOUNT: float(amount), n.COST_SOURCE: source}

    @override
    def returned(self, value: object) -> None:
        if n.TOOL_RESULT_BYTES not in self.attributes and issubclass(type(value), str | bytes):
            self.attributes[n.TOOL_RESULT_BYTES] = len(cast("str | bytes", value))
        if n.CONTENT_OUTPUT not in self.attributes:
            capture(self.attributes, output=value)

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        attributes, run = self.attributes, current()
        outcome = str(attributes.setdefault(n.TOOL_OUTCOME, _outcome(attributes, error)))
        if error is not None and not isinstance(error, CANCELLED):
            attributes[n.ERROR_TYPE] = type(error).__qualname__
        if outcome in {"error", "timeout"}:
            attributes.setdefault(n.ERROR_TYPE, "timeout" if outcome == "timeout" else "tool_error")
        if self._key is not None and outcome not in NOT_EXECUTED:
            attributes.setdefault(n.TOOL_IDEMPOTENCY_RESULT, "executed")
        recorder.cover_all(self._seen())
        if run is not None:
            if attributes.get(n.TOOL_DOCUMENTS) is not None:
                run.remember_call(str(self.call_id), _documents(attributes))
            self._detect_loop(recorder, run)
        self._record(recorder, outcome, seconds)
        if outcome not in NOT_EXECUTED:
            self._detect(recorder, run, outcome)
        if attributes[n.TOOL_EFFECT] in WRITES and attributes[n.TOOL_TIER]:
            audit(recorder, "write", {name: attributes.get(name) for name in _ON_RECORD})

    def _seen(self) -> list[str]:
        """The parts of the contract that the agent is seen to have."""
        said = self.attributes.get
        return [hook for hook, name in _PARTS if said(name) is not None] + (["tool.idempotency"] if self._keyed else [])

    def _record(self, recorder: Recorder, outcome: str, seconds: float) -> None:
        labels = recorder.with_common(self.attributes)
        recorder.metrics.record_all(
            labels, (instruments.TOOL_EXECUTIONS, 1), (instruments.GEN_AI_EXECUTE_TOOL_DURATION, seconds)
        )
        amount = self.attributes.get(n.COST_AMOUNT)
        if isinstance(amount, float):
            recorder.metrics.record(instruments.COST, amount, labels)
            if (run := current()) is not None:
                run.cost += amount
        phase = _BROKEN.get(outcome)
        if phase is not None:
            recorder.metrics.record(instruments.TOOL_VIOLATIONS, 1, {**labels, n.TOOL_CONTRACT_PHASE: phase})

    def _detect(self, recorder: Recorder, run: RunContext | None, outcome: str) -> None:
        attributes = self.attributes
        if attributes.get(n.TOOL_AUTHZ) in {None, "skipped"}:
            recorder.detect("authz_skipped")
        if outcome == "success" and attributes.get(n.TOOL_OUTPUT_RESULT) in {None, "skipped"}:
            recorder.detect("output_unvalidated")
        self._detect_key(recorder, outcome)
        if run is None or not run.resumed:  # what an earlier part of a run checked and approved, the store knows
            if self._unchecked:
                recorder.detect("tool_unchecked")
            if attributes[n.TOOL_EFFECT] in WRITES and self._approvers < _needed(attributes):
                recorder.detect("write_unapproved")
        if run is None:
            return
        approvals = run.approvals.get(str(self.call_id))
        arguments = attributes.get(n.TOOL_ARGUMENTS_HASH)
        if approvals is not None and any(_changed(approval, arguments) for approval in approvals):
            recorder.detect("approval_args_changed")

    def _detect_loop(self, recorder: Recorder, run: RunContext) -> None:
        arguments = self.attributes.get(n.TOOL_ARGUMENTS_HASH)
        if arguments is None:
            return
        times = run.repeated(str(self.attributes[n.GEN_AI_TOOL_NAME]), str(arguments))
        if times == n.THRESHOLDS["loop_runaway"]:
            recorder.detect("loop_runaway")

    def _detect_key(self, recorder: Recorder, outcome: str) -> None:
        key = self.attributes.get(n.TOOL_IDEMPOTENCY_KEY_HASH)
        if key is None:
            if self._keyed and self.attributes[n.TOOL_EFFECT] in WRITES:
                recorder.detect("write_no_key")
            return
        executed = self.attributes.get(n.TOOL_IDEMPOTENCY_RESULT) == "executed" and outcome == "success"
        tenant = recorder.common().get(n.TENANT_ID, "")
        if executed and recorder.executed_before(f"{tenant}\0{self.attributes[n.GEN_AI_TOOL_NAME]}\0{key}"):
            recorder.detect("key_executed_twice")


def _cited(documents: Iterable[str]) -> list[str] | None:
    if documents is _NONE:
        return None
    found = map(identity, (documents,) if issubclass(type(documents), str) else documents)
    return [one for one in found if one is not None] or None


def _documents(attributes: dict[str, object]) -> tuple[str, ...]:
    found = attributes.get(n.TOOL_DOCUMENTS)
    return tuple(str(one) for one in found) if isinstance(found, list) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a list of strings


def _needed(attributes: dict[str, object]) -> int:
    tier = attributes[n.TOOL_TIER]
    return tier if isinstance(tier, int) else 0


def _changed(approval: Approved, arguments_hash: object) -> bool:
    return (
        approval.arguments_hash is not None and arguments_hash is not None and approval.arguments_hash != arguments_hash
    )


def _outcome(attributes: dict[str, object], error: BaseException | None) -> str:
    if error is not None and isinstance(error, CANCELLED):
        return "cancelled"
    if error is not None and isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "timeout"
    if attributes.get(n.TOOL_AUTHZ) == "deny" or isinstance(error, PermissionError):
        return "denied"
    if attributes.get(n.TOOL_INPUT_RESULT) == "invalid":
        return "invalid_input"
    if attributes.get(n.TOOL_OUTPUT_RESULT) == "invalid":
        return "invalid_output"
    return "error" if error is not None else "success"


@overload
def tool(name: F) -> F: ...


@overload
def tool(
    name: str,
    *,
    effect: Effect = "read",
    tier: int | None = None,
    call_id: str | None = None,
    arguments: object = None,
    idempotency_key: str | None = None,
    authz: str | None = None,
    role: str | None = None,
    timeout: float | None = None,
    attempt: int = 1,
) -> Hook[ToolCall]: ...


def tool(
    name: str | F,
    *,
    effect: Effect = "read",
    tier: int | None = None,
    call_id: str | None = None,
    arguments: object = None,
    idempotency_key: str | None = None,
    authz: str | None = None,
    role: str | None = None,
    timeout: float | None = None,
    attempt: int = 1,
) -> Hook[ToolCall] | F:
    """One call of a tool: say its `result`, whether input and output were valid, and who was `authorized`.

    `tier` says how many people must approve it: by default 1 for a write, 0 for anything else. Arguments and key are
    recorded as hashes. `authz` is allow, deny or skipped, as code decided. `timeout` is in seconds.
    `@tachograph.tool` without parentheses names the tool as its function.
    """
    return named(
        name,
        lambda called: ToolCall(
            called,
            effect=effect,
            tier=tier,
            call_id=call_id,
            arguments=arguments,
            idempotency_key=idempotency_key,
            authz=authz,
            role=role,
            timeout=timeout,
            attempt=attempt,
        ),
    )


@guarded("retry", None)
def retry(attempt: int, *, backoff: float | None = None, error: BaseException | str | None = None) -> None:
    """Says that the current tool call is tried again, as attempt number `attempt`, after `backoff` seconds."""
    recorder = covering("retry")
    if recorder is None:
        return
    call = current_tool()
    about: dict[str, object] = (
        {} if call is None else {name: call.attributes[name] for name in (n.GEN_AI_TOOL_NAME, n.GEN_AI_TOOL_CALL_ID)}
    )
    kind = type(error).__qualname__ if isinstance(error, BaseException) else word(error, "error")
    entry = {**about, n.TOOL_ATTEMPT: attempt, n.RETRY_BACKOFF: double(backoff), n.ERROR_TYPE: kind}
    recorder.event(n.EVENT_TOOL_RETRY, entry)
    recorder.metrics.record(instruments.TOOL_RETRIES, 1, {**recorder.common(), **entry})
    if call is not None:
        call.attempt(attempt)
