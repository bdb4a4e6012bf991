"""A suspended run as a string: what the process that goes on with it has to know, on whatever machine it is.

The host keeps the string beside its own request and gives it to `run(resume=…)`; we keep nothing. It holds ids, counts,
the names of tools and hashes of arguments and people, no content, and is about 500 characters long.

With a hash key it is signed, and one that is not by the same key is refused. Without one, whoever can edit what the
host stored decides what this process takes for checked and approved, what the run cost, and under which run and tenant
the rest of it is recorded: the store, which joins by these ids, then believes it too. A signature keeps a string from
being changed, not from being given again or for another request: that is the host's to know.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.trace import SpanContext, TraceFlags

from tachograph.intent import Intent
from tachograph.privacy.identity import identifier
from tachograph.registry import names as n
from tachograph.run import Approved, Request

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from tachograph.run import RunContext

_VERSION: Final = "suspended-1."
_LONGEST: Final = 65_536  # characters that are looked at: ten times what the bounds below let a run fill
_NAMED: Final = 256  # characters of a name or id
_LISTED: Final = 32  # calls and requests that wait at once; where there are more the counters do not judge
_HASH: Final = re.compile(r"[0-9a-f]{16}")
_MOST: Final = 10**9  # turns, calls, seconds (30 years) or US dollars of one run: more is no run's
_TIERS: Final = 999
_LAST: Final = 10**11  # seconds since 1970, in the year 5138: what is later was not written by us
_NAMES: Final = frozenset({n.GEN_AI_AGENT_NAME, n.WORKFLOW})  # names lose their secrets where they are written
_KEPT: Final = (n.GEN_AI_AGENT_NAME, n.WORKFLOW, n.TENANT_ID, n.GEN_AI_CONVERSATION_ID)


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call that was looked at and has not started: who asked about it, who denied it, who approved it."""

    tool: str
    call_id: str
    arguments_hash: str | None
    askers: tuple[str, ...]
    checked: bool
    denied: tuple[str, ...]
    approved: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Suspension:
    """A run up to here. `span` is the trace and span id of its last part, `seconds` how long all parts worked.

    `turns`, `llm_calls`, `unpriced` and `cost` (US dollars) are sums of all parts; `common` are the attributes of the
    request. `whole` is False where more waits than is listed, or where an earlier part is unknown.
    """

    run_id: str
    span: tuple[int, int]
    seconds: float
    turns: int
    llm_calls: int
    unpriced: int
    cost: float
    tier: int
    degraded: bool
    granted: bool
    common: dict[str, str]
    calls: tuple[WaitingCall, ...]
    requests: tuple[Request, ...]
    hits: tuple[tuple[str, str, bool], ...]
    whole: bool

    def restore(self, run: RunContext) -> None:
        """Tells the part that goes on what the earlier ones saw."""
        run.resumed = run.partial = not self.whole
        run.tier, run.degraded, run.granted = max(run.tier, self.tier), self.degraded, self.granted
        run.hits.update({(kind, scope): answered for kind, scope, answered in self.hits})
        for request in self.requests:
            run.note_request(request)
        for call in self.calls:
            run.expect_call(call.tool, Intent(call.call_id, call.arguments_hash, set(call.askers)))
            if call.checked:
                run.checked.add(call.call_id)
            if call.denied:
                run.denied[call.call_id] = set(call.denied)
            if call.approved:
                run.approvals[call.call_id] = [Approved(*approved) for approved in call.approved]


def suspended(run: RunContext, span: Span | None, seconds: float, before: Suspension | None) -> Suspension:
    """What has to be known of a run whose part worked for `seconds`, after the parts that `before` sums up."""
    calls, requests = run.waiting_calls(), [r for r in run.requests.values() if r.open]
    fits = max(len(calls), len(requests), len(run.hits)) <= _LISTED
    return Suspension(
        run_id=run.id,
        span=place(span),
        seconds=seconds + (before.seconds if before else 0.0),
        turns=(run.turns or run.llm_calls) + (before.turns if before else 0),
        llm_calls=run.llm_calls + (before.llm_calls if before else 0),
        unpriced=run.unpriced + (before.unpriced if before else 0),
        cost=run.cost + (before.cost if before else 0.0),
        tier=run.tier,
        degraded=run.degraded,
        granted=run.granted,
        common={name: str(run.common[name]) for name in _KEPT if name in run.common},
        calls=tuple(_waiting(run, tool, intent) for tool, intent in calls[-_LISTED:]),
        requests=tuple(requests[-_LISTED:]),
        hits=tuple((*budget, answered) for budget, answered in [*run.hits.items()][:_LISTED]),
        whole=fits and not run.resumed and not run.partial,
    )


def _waiting(run: RunContext, tool: str, intent: Intent) -> WaitingCall:
    known = run.approvals.get(intent.call_id, ())
    return WaitingCall(
        tool,
        intent.call_id,
        intent.arguments,
        tuple(sorted(intent.askers)),
        checked=intent.call_id in run.checked,
        denied=tuple(sorted(run.denied.get(intent.call_id, ()))),
        approved=tuple((one.approver, one.arguments_hash) for one in known),
    )


def place(span: Span | None) -> tuple[int, int]:
    """The trace and span id of a span, zeros without one."""
    if span is None:
        return (0, 0)
    context = span.get_span_context()
    return (context.trace_id, context.span_id)


def link(span: Span | None, to: tuple[int, int]) -> None:
    """Links a span to where its run or request was spoken of before, in another trace and process."""
    earlier = SpanContext(*to, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    if span is not None and earlier.is_valid:
        span.add_link(earlier)


def write(suspension: Suspension, key: bytes | None = None) -> str:
    """The suspension as a string of letters, digits, `-`, `_` and dots, signed where there is a key.

    Where a name in it is too long to be read back, what waits is left out; at worst it is the run's id.
    """
    lean = replace(suspension, calls=(), requests=(), hits=(), whole=False)
    said = (_signed(_encoded(suspension), key), _signed(_encoded(lean), key))
    return next((text for text in said if read(text, key) is not None), suspension.run_id)


def _encoded(suspension: Suspension) -> str:
    said = json.dumps(asdict(suspension), separators=(",", ":"))
    return _VERSION + base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def _signed(text: str, key: bytes | None) -> str:
    return text if key is None else f"{text}.{_signature(text, key)}"


def _signature(text: str, key: bytes) -> str:
    """Of this use of the key alone: the hashes that others see under it are of no such text."""
    return hmac.digest(key, b"tachograph suspension\0" + text.encode("utf-8", "surrogatepass"), "sha256").hex()


def read(text: str, key: bytes | None = None) -> Suspension | None:
    """The suspension that `write` made into `text`; None for anything else, a newer version's included.

    With a key also None for what was not signed by it. Without one a signature cannot be looked at.
    """
    if not text.startswith(_VERSION) or len(text) > _LONGEST:
        return None
    body, _, signature = text.removeprefix(_VERSION).partition(".")
    try:
        if key is not None and not hmac.compare_digest(signature, _signature(_VERSION + body, key)):
            return None
        said = _suspension(json.loads(base64.b64decode(body + "=" * (-len(body) % 4), b"-_", validate=True)))
        return _withheld(said, key)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _withheld(said: Suspension, key: bytes | None) -> Suspension:
    """Its ids as any id that comes in: one that holds a secret is a hash."""
    common = {name: text if name in _NAMES else identifier(text, key) for name, text in said.common.items()}
    calls = tuple(replace(call, call_id=identifier(call.call_id, key)) for call in said.calls)
    requests = tuple(
        replace(
            one,
            id=identifier(one.id, key),
            call_id=None if one.call_id is None else identifier(one.call_id, key),
            approvers=tuple(identifier(person, key) for person in one.approvers),
        )
        for one in said.requests
    )
    return replace(said, run_id=identifier(said.run_id, key), common=common, calls=calls, requests=requests)


# -- what came back, taken for what it should be: a ValueError, KeyError or TypeError where it is not
def _suspension(said: Any) -> Suspension:
    return Suspension(
        run_id=_text(said["run_id"]),
        span=_place(said["span"]),
        seconds=_number(said["seconds"], _MOST),
        turns=_whole(said["turns"]),
        llm_calls=_whole(said["llm_calls"]),
        unpriced=_whole(said["unpriced"]),
        cost=_number(said["cost"], _MOST),
        tier=_whole(said["tier"], _TIERS),
        degraded=bool(said["degraded"]),
        granted=bool(said["granted"]),
        common={name: _text(said["common"][name]) for name in _KEPT if name in said["common"]},
        calls=tuple(_call(one) for one in _listed(said["calls"])),
        requests=tuple(_request(one) for one in _listed(said["requests"])),
        hits=tuple((_text(kind), _text(scope), bool(answered)) for kind, scope, answered in _listed(said["hits"])),
        whole=bool(said["whole"]),
    )


def _call(said: Any) -> WaitingCall:
    return WaitingCall(
        tool=_text(said["tool"], least=0),
        call_id=_text(said["call_id"]),
        arguments_hash=_hash(said["arguments_hash"]),
        askers=tuple(_text(one) for one in _listed(said["askers"])),
        checked=bool(said["checked"]),
        denied=tuple(_text(one) for one in _listed(said["denied"])),
        approved=tuple((_text(person), _hash(arguments)) for person, arguments in _listed(said["approved"])),
    )


def _request(said: Any) -> Request:
    return Request(
        id=_text(said["id"]),
        tool=_text(said["tool"], least=0),
        tier=_whole(said["tier"], _TIERS),
        mode=_text(said["mode"]),
        status=_text(said["status"]),
        call_id=None if said["call_id"] is None else _text(said["call_id"]),
        arguments_hash=_hash(said["arguments_hash"]),
        requested_at=_number(said["requested_at"], _LAST),
        span=_place(said["span"]),
        approvers=tuple(_text(one) for one in _listed(said["approvers"])),
        earlier=True,
    )


def _listed(said: Any) -> list[Any]:
    if not isinstance(said, list) or len(cast("list[Any]", said)) > _LISTED:
        raise ValueError
    return cast("list[Any]", said)


def _text(said: Any, least: int = 1) -> str:
    if not isinstance(said, str) or not least <= len(said) <= _NAMED:
        raise ValueError
    return said


def _hash(said: Any) -> str | None:
    if said is not None and _HASH.fullmatch(said) is None:
        raise ValueError
    return said


def _whole(said: Any, most: int = _MOST) -> int:
    if type(said) is not int or not 0 <= said <= most:
        raise ValueError
    return said


def _number(said: Any, most: int) -> float:
    if type(said) not in {int, float} or not 0 <= said <= most:  # nor infinity, nor no number
        raise ValueError
    return float(said)


def _place(said: Any) -> tuple[int, int]:
    trace, span = said
    if type(trace) is not int or type(span) is not int or not (0 <= trace < 2**128 and 0 <= span < 2**64):
        raise ValueError
    return (trace, span)
