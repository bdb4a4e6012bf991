"""Two agents for each detection: one that does what must never happen, and one that does nearly the same and right.

A third does the faulty thing where the hook is missing that would show it. Each function takes the agent's name and
gives the ids of the spans that the detection must name, in order of time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import tachograph
from tachograph.registry import names as n
from tachograph.telemetry.recorder import active

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph.recording import Recording

Agent = Callable[[str], list[str]]
FORGOTTEN = "refund_off_the_record"  # the tool whose approvals the audit log refuses


@dataclass(frozen=True, slots=True)
class Twin:
    """`blind` is None where no hook is needed; `counted` is False where the agent's own process cannot see it."""

    rule: str
    faulty: Agent
    clean: Agent
    blind: Agent | None
    counted: bool = True


class ForgetfulAuditLog:
    """An audit log that takes every entry but one tool's."""

    def append(self, entry: Mapping[str, object]) -> None:
        if entry.get(n.GEN_AI_TOOL_NAME) == FORGOTTEN:
            raise OSError("disk full")


def ids(*steps: Recording) -> list[str]:
    return [f"{step.span.get_span_context().span_id:016x}" for step in steps if step.span is not None]


def idle(agent: str) -> list[str]:
    """An agent that shows no hook but its run."""
    with tachograph.run(agent):
        return []


# -- P01
def unchecked(agent: str) -> list[str]:
    with tachograph.run(agent):
        checked_call("lookup")
        with tachograph.tool("search") as bare:
            pass
        with tachograph.checkpoint("limit", stage="pre_tool", tool="export", call_id="call-13") as check:
            check.decide("deny", rule="size")
        with tachograph.checkpoint("pii", stage="pre_tool", tool="export", call_id="call-13"):
            pass
        with tachograph.tool("export", call_id="call-13") as denied:
            pass
        with (
            tachograph.tool("report", call_id="call-17") as early,
            tachograph.checkpoint("limit", stage="pre_tool", tool="report", call_id="call-17"),
        ):
            pass
    return ids(bare, denied, early)


def checked_call(tool: str, **about: Any) -> None:
    with tachograph.checkpoint("limit", stage="pre_tool", tool=tool):
        pass
    with tachograph.tool(tool, **about):
        pass


def checked(agent: str) -> list[str]:
    with tachograph.run(agent):
        checked_call("lookup")
        for decision in ("deny", "allow"):  # looked at again, after the arguments were mended
            with tachograph.checkpoint("limit", stage="pre_tool", tool="export", call_id="call-13") as check:
                check.decide(decision)
        with tachograph.tool("export", call_id="call-13"):
            pass
        with tachograph.tool("search") as call:
            call.outcome("not_executed")
    return []


def tool_only(agent: str) -> list[str]:
    with tachograph.run(agent), tachograph.tool("search"):
        return []


def prompt_only(agent: str) -> list[str]:
    with tachograph.run(agent):
        with tachograph.checkpoint("tone", stage="post_output", enforcement="prompt") as alone:
            pass
        with tachograph.checkpoint(
            "limit", stage="pre_tool", enforcement="prompt", tool="pay", call_id="call-11"
        ) as line:
            pass
        with tachograph.checkpoint("limit", stage="pre_tool", tool="pay", call_id="call-13"):
            pass
    return ids(alone, line)


def prompt_and_code(agent: str) -> list[str]:
    with tachograph.run(agent):
        for enforcement in ("prompt", "code"):
            with tachograph.checkpoint("tone", stage="post_output", enforcement=enforcement):
                pass
            with tachograph.checkpoint(
                "limit", stage="pre_tool", enforcement=enforcement, tool="pay", call_id="call-11"
            ):
                pass
    return []


def foreign_span(name: str, attributes: dict[str, str]) -> str:
    """A span of a framework that knows nothing of tachograph; its id."""
    recorder = active()
    assert recorder is not None
    theirs = copy.copy(recorder.spans.tracer)  # of the same provider
    theirs._instrumentation_scope = InstrumentationScope("a.framework")
    span = theirs.start_span(name, attributes=attributes, start_time=recorder.clock())
    span.end(end_time=recorder.clock())
    return f"{span.get_span_context().span_id:016x}"


def content_left_in(agent: str) -> list[str]:
    with tachograph.run(agent):
        return [
            foreign_span("llm", {"llm.input_messages.0.message.content": "my card is lost"}),
            foreign_span("chat", {"gen_ai.prompt.17.content": "my card is lost"}),
            foreign_span("own", {n.CONTENT_STATE: "raw"}),
        ]


def content_taken_out(agent: str) -> list[str]:
    with tachograph.run(agent):
        foreign_span("llm", {"llm.input_messages.0.message.content": "my [card] is lost", n.CONTENT_STATE: "redacted"})
        foreign_span("own", {n.CONTENT_STATE: "absent", "gen_ai.prompt.name": "greeting", "llm.invocation": "11"})
    return []


# -- P02
def approve(tool: str, *people: str, call_id: str, tier: int = 1, arguments: object = None) -> Recording:
    with tachograph.approval(tool, tier=tier, call_id=call_id, arguments=arguments) as ask:
        ask.shown({"amount": 11})
        for person in people:
            ask.approve(person)
        if not people:
            ask.decide("auto_approved")
    return ask


def write(tool: str, call_id: str, *, tier: int = 1, outcome: str = "success", arguments: object = None) -> Recording:
    with tachograph.tool(
        tool, effect="write", tier=tier, call_id=call_id, arguments=arguments, idempotency_key=f"{tool}-{call_id}"
    ) as call:
        call.outcome(outcome)
    return call


def unapproved(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        approve("refund", "eve", call_id="call-11")
        write("refund", "call-11")
        bare = write("refund", "call-12", outcome="timeout")
        for _ in range(2):
            approve("cancel", "eve", call_id="call-13", tier=2)
        one_person = write("cancel", "call-13", tier=2)
        approve("refund", call_id="call-14")
        automatic = write("refund", "call-14", outcome="error")
        late = write("refund", "call-15")
        approve("refund", "eve", call_id="call-15")
        with tachograph.approval("refund", call_id="call-16") as ask:
            ask.reject("eve")
        rejected = write("refund", "call-16")
    return ids(bare, one_person, automatic, late, rejected)


def approved(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        approve("refund", "eve", call_id="call-11")
        write("refund", "call-11")
        approve("cancel", "eve", "bob", call_id="call-13", tier=2)
        write("cancel", "call-13", tier=2)
        approve("close", "eve", call_id="call-14", tier=2)
        approve("close", "bob", call_id="call-14", tier=2)
        write("close", "call-14", tier=2)
        write("note", "call-15", tier=0)
        write("refund", "call-16", outcome="denied")
        with tachograph.tool("export", tier=1):
            pass  # of tier 1, and changes nothing
    return []


def write_only(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        write("refund", "call-11")
    return []


def shown_nothing(agent: str) -> list[str]:
    with tachograph.run(agent), tachograph.approval("refund") as ask:
        ask.approve("eve")
    return ids(ask)


def shown_the_diff(agent: str) -> list[str]:
    with tachograph.run(agent):
        approve("refund", "eve", call_id="call-11")
        with tachograph.approval("refund") as ask:
            ask.reject("eve")
    return []


def changed_arguments(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        approve("refund", "eve", "bob", call_id="call-11", arguments={"amount": 11})
        return ids(write("refund", "call-11", arguments={"amount": 13}))


def modified_arguments(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        with tachograph.approval("refund", arguments={"amount": 17}, call_id="call-11") as ask:
            ask.reject("eve")
        with tachograph.approval("refund", arguments={"amount": 13}, call_id="call-11") as ask:
            ask.shown({"amount": 11})
            ask.modify("eve", {"amount": 11})
        write("refund", "call-11", arguments={"amount": 11})
        approve("refund", "eve", call_id="call-13", arguments={"amount": 11})
        write("refund", "call-13", arguments={"amount": 13}, outcome="denied")
    return []


def off_the_record(agent: str) -> list[str]:
    with tachograph.run(agent):
        approve("refund", "eve", call_id="call-11")
        return ids(approve(FORGOTTEN, "eve", call_id="call-12"))


def on_the_record(agent: str) -> list[str]:
    with tachograph.run(agent):
        approve("refund", "eve", call_id="call-11")
        with tachograph.approval(FORGOTTEN):
            pass  # pending: nothing is decided yet
    return []


# -- P03
def keyless(agent: str) -> list[str]:
    with tachograph.run(agent):
        with tachograph.tool("refund", effect="write") as first:
            pass
        with tachograph.tool("wipe", effect="irreversible") as second:
            second.outcome("error")
    return ids(first, second)


def keyed(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        write("refund", "call-11")
        with tachograph.tool("lookup"):
            pass
        with tachograph.tool("refund", effect="write") as call:
            call.outcome("denied")
    return []


def with_key(key: str, *, tool: str = "pay", outcome: str = "success", replayed: bool = False) -> Recording:
    with tachograph.tool(tool, effect="write", idempotency_key=key) as call:
        call.outcome(outcome)
        if replayed:
            call.replayed()
    return call


def same_key_again(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        with_key("k-17")
    with tachograph.run(agent, tenant=agent):
        return ids(with_key("k-17"), with_key("k-17"))


def same_key_replayed(agent: str) -> list[str]:
    with tachograph.run(agent, tenant=agent):
        with_key("k-17", outcome="timeout")
        with_key("k-17")
        with_key("k-17", replayed=True)
        with_key("k-17", tool="confirm")
        with tachograph.tool("pay", effect="write", idempotency_key="k-17") as call:
            call.attributes[n.TOOL_IDEMPOTENCY_RESULT] = None  # executed or replayed: nobody knows
    with tachograph.run(agent, tenant=f"{agent}'s neighbour"):
        with_key("k-17")
    return []


def unvalidated(agent: str) -> list[str]:
    with tachograph.run(agent):
        with tachograph.tool("lookup") as call:
            call.output_valid(True)
        with tachograph.tool("lookup") as blind:
            pass
    return ids(blind)


def validated(agent: str) -> list[str]:
    with tachograph.run(agent):
        with tachograph.tool("lookup") as call:
            call.output_valid(True)
        with tachograph.tool("lookup") as call:
            call.output_valid(False)
        with tachograph.tool("lookup") as call:
            call.outcome("error")
    return []


def unauthorized(agent: str) -> list[str]:
    with tachograph.run(agent):
        with tachograph.tool("lookup") as call:
            call.authorized(True, role="clerk")
        with tachograph.tool("lookup", authz="skipped", role="clerk") as skipped:
            pass
        with tachograph.tool("lookup") as silent:
            silent.outcome("error")
    return ids(skipped, silent)


def authorized(agent: str) -> list[str]:
    with tachograph.run(agent):
        for allowed in (True, False):
            with tachograph.tool("lookup") as call:
                call.authorized(allowed)
        with tachograph.tool("lookup") as call:
            call.input_valid(False)
    return []


# -- P04
NOON = "2026-01-01T12:00:00Z"


def groundless(agent: str) -> list[str]:
    with tachograph.run(agent) as run:
        with tachograph.tool("search", call_id="call-17") as call:
            call.result("two fares", documents=["fares-11"])
        tachograph.evidence("price", source="tool_call", ref="call-404", producer="search", time=NOON)
        tachograph.evidence("rule", source="document", ref="fares-13", producer="search", time=NOON)
        tachograph.evidence("seat", source="tool_call", ref=call.call_id, producer="search")
        tachograph.evidence("date", source="user", time=NOON)
        tachograph.evidence("mood", source="none", producer="search", time=NOON)
    return ids(run) * 5


def grounded(agent: str) -> list[str]:
    with tachograph.run(agent):
        with tachograph.tool("search") as call:
            call.result("two fares", documents=["fares-11"])
        tachograph.evidence("price", source="tool_call", ref=call.call_id, producer="search", time=NOON)
        tachograph.evidence("rule", source="document", ref="fares-11", producer="search", time=NOON)
        tachograph.evidence("date", source="user", producer="user", time=NOON)
    return []


# -- P05
def spent(agent: str) -> list[str]:
    with tachograph.run(agent) as run:
        with tachograph.degraded("stale_cache", trigger="timeout", disclosed=True):
            pass  # before the budget is hit: no answer to it
        for used in (11, 13, 17):
            tachograph.budget("turns", limit=13, used=used)
        run.outcome("success")
    with tachograph.run(agent) as other:
        for budget in ("cost", "turns"):
            tachograph.budget(budget, limit=13, used=17)
    return ids(run, other, other)


def spent_and_degraded(agent: str) -> list[str]:
    with tachograph.run(agent) as run:
        tachograph.budget("turns", limit=13, used=13, action="degrade")
        with tachograph.degraded("partial_answer", trigger="budget", disclosed=True):
            tachograph.budget("turns", limit=13, used=17)
        run.outcome("success")
    with tachograph.run(agent) as run:
        tachograph.budget("cost", limit=1.1, used=1.3, action="stop")
        run.outcome("refused")
    with tachograph.run(agent):
        tachograph.budget("cost", limit=1.3, used=1.1)
    return []


def budget_only(agent: str) -> list[str]:
    with tachograph.run(agent):
        tachograph.budget("turns", limit=13, used=17)
    return []


def search(times: int, query: str, tool: str = "search") -> list[Recording]:
    calls: list[Recording] = []
    for nth in range(times):
        with tachograph.tool(tool, arguments={"query": query}) as call:
            if nth == 1:
                call.outcome("denied")
        calls.append(call)
    return calls


def circling(agent: str) -> list[str]:
    with tachograph.run(agent):
        return ids(search(7, "fares")[4])


def searching(agent: str) -> list[str]:
    for query in ("fares", "rules"):
        with tachograph.run(agent):
            search(4, "seats")
            search(4, query)
            search(4, query, tool="lookup")
    return []


# -- P06
def route(*, method: str = "rule", candidates: tuple[str, ...] = (), constrained: bool | None = None) -> Recording:
    with tachograph.route("intent", method=method, candidates=candidates, constrained=constrained) as choice:  # pyright: ignore[reportArgumentType] - one of the literals
        choice.choose("refund")
    return choice


def without_candidates(agent: str) -> list[str]:
    with tachograph.run(agent):
        return ids(route())


def with_candidates(agent: str) -> list[str]:
    with tachograph.run(agent):
        route(candidates=("refund", "lookup"))
        route(method="llm", candidates=("refund", "lookup"), constrained=True)
        route(candidates=None)  # unknown to us, not to the router
    return []


def free_model(agent: str) -> list[str]:
    with tachograph.run(agent):
        return ids(
            route(method="llm", candidates=("refund",)), route(method="llm", candidates=("refund",), constrained=False)
        )


# -- P07
def raised_under_load(agent: str) -> list[str]:
    slots = f"slots of {agent}"
    with (
        tachograph.run(agent) as run,
        tachograph.limiter(slots, limit=2) as first,
        tachograph.limiter(slots, limit=2) as second,
    ):
        first.acquired()
        second.acquired()
        with tachograph.limiter(slots, limit=2) as waiting:
            with tachograph.limiter(slots, limit=3) as favoured:  # gets in before the one that waits
                favoured.acquired()
            waiting.rejected("timeout")
    return ids(run)


def raised_at_rest(agent: str) -> list[str]:
    slots = f"slots of {agent}"
    with tachograph.run(agent):
        for limit in (1, 2):
            with tachograph.limiter(slots, limit=limit) as slot:
                slot.acquired()
        with tachograph.limiter(slots, limit=2) as first, tachograph.limiter(slots, limit=2) as second:
            first.acquired()
            second.acquired()
            for limit in (2, 2, 1):  # full, and lowered while it is
                with tachograph.limiter(slots, limit=limit) as third:
                    third.rejected()
            with tachograph.limiter(f"other {slots}", limit=5) as other:
                other.acquired()
    return []


# -- P08
def stranger_served(agent: str) -> list[str]:
    with tachograph.run(agent, tenant="acme"), tachograph.cache("faq", parts=("tenant", "question")) as entry:
        entry.hit(tenant="globex", age=17.0)
    with tachograph.run(agent), tachograph.cache("faq", scope="user", parts=("tenant", "user")) as stale:
        stale.hit(tenant="globex", stale=True)
    return ids(entry, stale)


def owner_served(agent: str) -> list[str]:
    with tachograph.run(agent, tenant="acme"):
        with tachograph.cache("faq", parts=("tenant", "question")) as entry:
            entry.hit(tenant="acme", age=17.0)
        with tachograph.cache("weather", scope="global", parts=("city",)) as entry:
            entry.hit(tenant="globex")
        with tachograph.cache("faq", parts=("tenant", "question")):
            pass
        with tachograph.cache("faq", parts=None):  # a key that tells nobody what is in it
            pass
    return []


def key_without_tenant(agent: str) -> list[str]:
    with tachograph.run(agent, tenant="acme"):
        with tachograph.cache("faq", parts=("question",)) as lookup:
            pass
        with tachograph.cache("faq", operation="store") as store:
            pass
    return ids(lookup, store)


def write_from_cache(agent: str) -> list[str]:
    with (
        tachograph.run(agent, tenant="acme"),
        tachograph.cache("results", parts=("tenant", "call"), effect="write") as entry,
    ):
        entry.hit(tenant="acme")
    return ids(entry)


def read_from_cache(agent: str) -> list[str]:
    with tachograph.run(agent, tenant="acme"):
        with tachograph.cache("results", parts=("tenant", "call"), effect="read") as entry:
            entry.hit(tenant="acme")
        with tachograph.cache("results", parts=("tenant", "call"), effect="write"):
            pass
    return []


# -- P09
def silent(agent: str) -> list[str]:
    with tachograph.run(agent) as run, tachograph.degraded("fallback_model", trigger="provider_down", component="gpt"):
        pass
    return ids(run)


def outspoken(agent: str) -> list[str]:
    with tachograph.run(agent), tachograph.degraded("fallback_model", trigger="provider_down") as mode:
        mode.disclosed()
    return []


# -- P10
DAY = 86_400


def passed_on_nothing(agent: str) -> list[str]:
    with tachograph.run(agent) as run:
        tachograph.gate("success", verdict="pass", decision="hold", samples=0, observed=0.9)
        tachograph.gate("cost", verdict="no_data", decision="promote", samples=130)
        tachograph.gate("speed", verdict="pass", decision="promote")
        tachograph.gate("tone", verdict="pass", decision="promote", observed=0.9)
    return ids(run) * 4


def passed_on_data(agent: str) -> list[str]:
    with tachograph.run(agent):
        tachograph.gate("success", verdict="pass", decision="promote", samples=130, observed=0.9, data_age=DAY)
        tachograph.gate("cost", verdict="no_data", decision="hold", samples=0)
        tachograph.gate("speed", verdict="fail", decision="rollback", samples=11, observed=0.1, data_age=2 * DAY)
    return []


def passed_on_old_data(agent: str) -> list[str]:
    with tachograph.run(agent) as run:
        tachograph.gate("success", verdict="pass", decision="promote", samples=130, observed=0.9, data_age=DAY + 1)
    return ids(run)


TWINS = (
    Twin("tool_unchecked", unchecked, checked, tool_only),
    Twin("checkpoint_prompt_only", prompt_only, prompt_and_code, idle),
    Twin("content_raw", content_left_in, content_taken_out, None, counted=False),
    Twin("write_unapproved", unapproved, approved, write_only),
    Twin("approval_no_diff", shown_nothing, shown_the_diff, idle),
    Twin("approval_args_changed", changed_arguments, modified_arguments, write_only),
    Twin("approval_unaudited", off_the_record, on_the_record, idle),
    Twin("write_no_key", keyless, keyed, idle),
    Twin("key_executed_twice", same_key_again, same_key_replayed, idle),
    Twin("output_unvalidated", unvalidated, validated, tool_only),
    Twin("authz_skipped", unauthorized, authorized, tool_only),
    Twin("evidence_unresolved", groundless, grounded, tool_only),
    Twin("budget_no_degraded", spent, spent_and_degraded, budget_only),
    Twin("loop_runaway", circling, searching, idle),
    Twin("route_no_candidates", without_candidates, with_candidates, idle),
    Twin("route_llm_unconstrained", free_model, with_candidates, idle),
    Twin("limit_raised_saturated", raised_under_load, raised_at_rest, idle),
    Twin("cache_cross_tenant", stranger_served, owner_served, idle),
    Twin("cache_key_no_tenant", key_without_tenant, owner_served, idle),
    Twin("write_cached", write_from_cache, read_from_cache, idle),
    Twin("fallback_silent", silent, outspoken, idle),
    Twin("gate_no_data", passed_on_nothing, passed_on_data, idle),
    Twin("gate_stale", passed_on_old_data, passed_on_data, idle),
)
