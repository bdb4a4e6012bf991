"""A run that waits: what the process that goes on with it knows, by the string of suspend(), or by the id alone."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

import tachograph
from tachograph import suspension
from tachograph.telemetry import guard
from tachograph.testing import EPOCH, SteppingClock, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.patterns.approval import Approval
    from tachograph.patterns.run import Run
    from tachograph.testing import Recorded

ARGUMENTS = {"amount": 13}
DAY = 86_400.0


def ask_first(*, tier: int = 1, by: str | None = None) -> str | None:
    """The first part of a run: everything that the second one cannot see, then a request that waits."""
    with tachograph.run("desk", workflow="refund", tier=tier, tenant="acme", session="s-11") as run:
        with tachograph.turn(), tachograph.llm_call("gpt-4o") as call:
            call.usage(input_tokens=1013, output_tokens=17, cost=0.0313)
        with tachograph.checkpoint("policy", stage="pre_tool", tool="pay"):
            pass
        with tachograph.approval("pay", tier=tier, arguments=ARGUMENTS) as ask:
            ask.shown("balance 13 -> 0")
            if by is not None:
                ask.approve(by)
        return run.suspend()


def pay(arguments: object = ARGUMENTS, tier: int = 1) -> None:
    key = str(arguments)
    with tachograph.tool(
        "pay", effect="write", tier=tier, arguments=arguments, idempotency_key=key, authz="allow"
    ) as t:
        t.output_valid(True)


def judged(answer: Callable[[Approval], None], arguments: object = ARGUMENTS, tier: int = 1) -> None:
    """The second part: the decision, and the write."""
    with tachograph.approval("pay", tier=tier, arguments=ARGUMENTS) as ask:
        ask.shown("balance 13 -> 0")
        answer(ask)
    pay(arguments, tier)


def in_two_processes(
    second: Callable[[], None], *, waits: float = DAY, tier: int = 1, by: str | None = None
) -> tuple[Recorded, Recorded]:
    """What two processes recorded, the later one after `waits` seconds; each has its own trace and id generator."""
    clock = SteppingClock(step=0)
    with recording(clock=clock) as first:
        waiting = ask_first(tier=tier, by=by)
        before = {name: first.metric(name) for name in COUNTED}
    clock.advance(waits)
    with recording(clock=clock) as later:
        for _ in range(1000):
            later.recorder.ids()  # another process makes other ids
        with tachograph.run(resume=waiting):
            second()
        found = {name: before[name] + later.metric(name) for name in COUNTED}
    TOTALS.clear()
    TOTALS.update({name.removeprefix("tachograph."): value for name, value in found.items()})
    return first, later


COUNTED = (
    *("tachograph.approval.requests", "tachograph.approval.pending", "tachograph.approval.decisions"),
    *("tachograph.runs", "tachograph.run.duration", "tachograph.run.turns", "tachograph.run.cost"),
)
TOTALS: dict[str, float] = {}


def ended(recorded: Recorded, kind: str) -> list[Any]:
    return [span for span in recorded.sdk_spans() if (span.attributes or {}).get("tachograph.span.kind") == kind]


def linked(span: Any) -> list[tuple[int, int, bool]]:
    return [(link.context.trace_id, link.context.span_id, link.context.is_remote) for link in span.links]


def test_the_second_part_is_the_same_run_for_the_same_request_linked_to_the_first():
    first, later = in_two_processes(lambda: judged(lambda ask: ask.approve("eve")))
    (one,), (other,) = ended(first, "run"), ended(later, "run")
    shared = ("tachograph.run.id", "gen_ai.agent.name", "tachograph.workflow", "tachograph.tenant.id")
    shared += ("gen_ai.conversation.id", "tachograph.run.tier")
    assert [one.attributes[name] for name in shared] == [other.attributes[name] for name in shared]
    assert linked(other) == [(one.context.trace_id, one.context.span_id, True)]
    (asked,), (decided,) = ended(first, "approval"), ended(later, "approval")
    assert linked(decided) == [(asked.context.trace_id, asked.context.span_id, True)]
    shared = ("tachograph.approval.id", "gen_ai.tool.call.id")
    assert [asked.attributes[name] for name in shared] == [decided.attributes[name] for name in shared]
    assert (one.attributes["tachograph.run.suspended"], other.attributes["tachograph.run.outcome"]) == (True, "success")
    assert {span["status"] for span in (*first.spans(), *later.spans())} == {"UNSET"}


def test_the_wait_is_from_request_to_decision_and_the_queue_is_empty_over_both_processes():
    _, later = in_two_processes(lambda: judged(lambda ask: ask.approve("eve")), waits=DAY)
    assert later.values("approval", "tachograph.approval.wait") == [DAY]
    assert TOTALS == {
        "approval.requests": 1,
        "approval.pending": 0,
        "approval.decisions": 1,
        "runs": 1,
        "run.duration": 1,
        "run.turns": 1,
        "run.cost": 1,
    }


def test_what_the_first_part_checked_counts_and_what_nobody_approved_is_found():
    _, later = in_two_processes(lambda: judged(lambda ask: ask.approve("eve")))
    assert later.detections() == {}
    with recording() as recorded:
        with tachograph.run(resume=ask_first()):
            pay({"amount": 11})
        assert recorded.detections("desk") == {"write_unapproved": 1}
        with tachograph.run(resume=ask_first()):
            judged(lambda ask: ask.approve("eve"))
            pay({"amount": 1313})  # another call, which no checkpoint looked at
    assert recorded.detections("desk") == {"tool_unchecked": 1, "write_unapproved": 2}


def test_two_people_who_decide_in_two_processes_are_two():
    _, later = in_two_processes(lambda: judged(lambda ask: ask.approve("bob"), tier=2), tier=2, by="eve")
    (decided,) = ended(later, "approval")
    assert len(decided.attributes["tachograph.approval.approvers"]) == 2
    assert later.detections() == {}
    assert (TOTALS["approval.requests"], TOTALS["approval.pending"], TOTALS["approval.decisions"]) == (1, 0, 1)


@pytest.mark.parametrize("again", ["eve", "nobody"])
def test_one_person_in_two_processes_is_one(again):
    def second() -> None:
        if again == "eve":
            judged(lambda ask: ask.approve("eve"), tier=2)
        else:
            pay(tier=2)

    with recording() as recorded:
        with tachograph.run(resume=ask_first(tier=2, by="eve")):
            second()
    assert recorded.detections("desk") == {"write_unapproved": 1}


def test_arguments_that_were_modified_are_those_approved():
    def modified(arguments: object) -> Callable[[], None]:
        return lambda: judged(lambda ask: ask.modify("eve", {"amount": 11}), arguments)

    _, later = in_two_processes(modified({"amount": 11}))
    assert later.detections() == {}
    assert later.values("approval", "tachograph.approval.status") == ["modified"]
    with recording() as recorded, tachograph.run(resume=ask_first()):
        modified(ARGUMENTS)()
    assert recorded.detections("desk")["approval_args_changed"] == 1


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        ("rejected", "refused", "approval_rejected"),
        ("expired", "escalated", "timeout"),
        ("cancelled", "success", "completed"),
    ],
)
def test_a_request_that_is_turned_down_is_no_error(answer, outcome, reason):
    def second() -> None:
        with tachograph.approval("pay", arguments=ARGUMENTS) as ask:
            ask.reject("eve") if answer == "rejected" else ask.decide(answer)

    _, later = in_two_processes(second)
    (run,) = later.spans("run")
    assert (run["attributes"]["tachograph.run.outcome"], run["attributes"]["tachograph.run.stop_reason"]) == (
        outcome,
        reason,
    )
    assert {span["status"] for span in later.spans()} == {"UNSET"}
    assert (TOTALS["approval.pending"], TOTALS["approval.decisions"]) == (0, 1)


def test_a_run_that_was_granted_something_is_not_refused_by_a_later_no():
    with recording() as recorded, tachograph.run():
        for answer in ("approve", "reject"):
            with tachograph.approval("pay", arguments={"answer": answer}) as ask:
                getattr(ask, answer)("eve")
    assert recorded.values("run", "tachograph.run.outcome") == ["success"]


def test_a_request_that_is_answered_twice_counts_once_and_both_answers_are_on_record():
    def second() -> None:
        for person in ("eve", "bob"):
            with tachograph.approval("pay", arguments=ARGUMENTS, id=ids[0]) as ask:
                ask.approve(person)

    clock, ids = SteppingClock(step=0), list[str]()
    with recording(clock=clock) as recorded:
        waiting = ask_first()
        ids += recorded.values("approval", "tachograph.approval.id")
        clock.advance(13)
        with tachograph.run(resume=waiting):
            second()
        assert recorded.metric("tachograph.approval.decisions") == 1
        assert recorded.metric("tachograph.approval.pending") == 0
    assert recorded.values("approval", "tachograph.approval.status") == ["pending", "approved", "approved"]
    assert recorded.values("approval", "tachograph.approval.wait") == [None, 13.0, 13.0]


def test_a_run_that_waits_three_times_is_one_and_its_sums_are_of_all_parts():
    clock = SteppingClock(step=0)
    with recording(clock=clock) as recorded:
        waiting: str | None = None
        for number in range(4):
            clock.advance(1000)
            with tachograph.run("desk", resume=waiting) as run:
                with tachograph.llm_call("house-model") as call:
                    call.usage(input_tokens=101, output_tokens=13, cost=0.25)
                clock.advance(11)
                with tachograph.approval("pay", arguments={"step": number}) as ask:
                    if number == 3:
                        ask.approve("eve")
                waiting = run.suspend() if number < 3 else None
        assert recorded.metric("tachograph.runs") == 1
        assert sums(recorded, "tachograph.run.duration", "tachograph.run.turns", "tachograph.run.cost") == [44, 4, 1]
        assert recorded.metric("tachograph.approval.pending") == 0
        assert recorded.metric("tachograph.approval.decisions", tachograph_approval_status="pending") == 3
    assert len(set(recorded.values("run", "tachograph.run.id"))) == 1
    assert [len(span.links) for span in ended(recorded, "run")] == [0, 1, 1, 1]


def sums(recorded: Recorded, *names: str) -> list[float]:
    data = recorded._metrics.get_metrics_data()
    assert data is not None
    points = {
        metric.name: point.sum
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name in names
    }
    return [points.get(name, -1) for name in names]


def test_the_id_alone_makes_one_run_and_no_sums_of_which_a_part_is_unknown():
    clock = SteppingClock(step=0)
    with recording(clock=clock) as recorded:
        with tachograph.run() as first:
            with tachograph.approval("pay", arguments=ARGUMENTS) as ask:
                pass
            first.suspend()
        clock.advance(17)
        with tachograph.run(id=first.id):
            with tachograph.approval("pay", arguments=ARGUMENTS, id=ask.id) as again:
                again.shown("balance 13 -> 0")
                again.approve("eve")
            pay()
            with tachograph.tool("wipe", effect="write", idempotency_key="k", authz="allow") as call:
                call.output_valid(True)
        assert recorded.detections() == {}
        counted = {name: recorded.metric(name) for name in COUNTED}
    assert recorded.values("approval", "tachograph.approval.wait") == [None, 17.0]
    assert list(counted.values()) == [1, 0, 1, 1, 0, 0, 0]


def test_a_run_under_the_hosts_own_id_has_its_sums():
    with recording() as recorded, tachograph.run(id="order-13"):
        pass
    with recording() as resumed, tachograph.run(resume="run_0000000000000001") as run:
        pass
    assert (recorded.metric("tachograph.run.duration"), resumed.metric("tachograph.run.duration")) == (1, 0)
    assert run.id == "run_0000000000000001"


def test_a_request_that_nobody_answers_waits_no_more_when_its_run_has_ended_without_waiting():
    with recording() as recorded:
        with tachograph.run(), tachograph.approval("pay", tier=2):
            assert recorded.metric("tachograph.approval.pending") == 1
        assert recorded.metric("tachograph.approval.pending") == 0
        assert recorded.metric("tachograph.approval.decisions", tachograph_approval_status="pending") == 1
        with tachograph.run() as run:
            with tachograph.approval("pay", tier=2):
                pass
            run.suspend()
        assert recorded.metric("tachograph.approval.pending") == 1
        assert recorded.metric("tachograph.approval.requests") == 2


def test_it_goes_on_in_another_thread_and_in_another_task():
    with recording() as recorded:
        waiting = [ask_first(), ask_first()]

        def in_thread() -> None:
            with tachograph.run(resume=waiting[0]):
                judged(lambda ask: ask.approve("eve"))

        async def in_task() -> None:
            async with tachograph.run(resume=waiting[1]):
                judged(lambda ask: ask.approve("eve"))

        thread = threading.Thread(target=in_thread)
        thread.start()
        asyncio.run(in_task())
        thread.join(10)
        assert recorded.metric("tachograph.approval.pending") == 0
    ids = [span.attributes["tachograph.run.id"] for span in ended(recorded, "run")]
    assert (len(ids), len(set(ids))) == (4, 2)
    approvals = [(span.attributes["tachograph.run.id"], len(span.links)) for span in ended(recorded, "approval")]
    assert sorted(approvals) == sorted((run, links) for run in set(ids) for links in (0, 1))


def stop(run: Run | None) -> None:
    if run is not None:
        run.suspend()
    raise RuntimeError


def test_a_pause_by_an_exception_of_the_hosts_is_no_failure():
    with recording() as recorded:
        for pauses in (True, False):
            with pytest.raises(RuntimeError), tachograph.run() as run:
                stop(run if pauses else None)
    assert [(span["status"], span["attributes"].get("error.type")) for span in recorded.spans("run")] == [
        ("UNSET", None),
        ("ERROR", "RuntimeError"),
    ]


def test_it_goes_on_with_what_nobody_recorded():
    with tachograph.run() as first:
        assert first.suspend() is None
    with recording() as recorded, tachograph.run(resume=None) as second:
        with tachograph.approval("pay", id="approval_019b76daabe800000000000000130013") as ask:
            ask.approve("eve")
    assert second.id is not None
    assert recorded.metric("tachograph.runs") == 1


def test_the_string_is_short_safe_in_urls_and_holds_no_content():
    with recording():
        waiting = ask_first(by="eve")
    assert waiting is not None
    assert len(waiting) < 1_500
    assert set(waiting) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    body = base64.urlsafe_b64decode(waiting.partition(".")[2] + "==").decode()
    assert "balance" not in body and "eve" not in body  # noqa: PT018 - one fact


def changed(waiting: str, **fields: object) -> str:
    version, _, body = waiting.partition(".")
    said = json.loads(base64.urlsafe_b64decode(body + "==")) | fields
    return f"{version}.{base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip('=')}"


NO_STRING = "tachograph: resume= is no string of suspend(); this is recorded as a run of its own"

SPOILT: dict[str, Callable[[str], str]] = {
    "cut": lambda waiting: waiting[:-7],
    "newer": lambda waiting: waiting.replace("-1.", "-2."),
    "foreign": lambda waiting: waiting[:1] + "x" * 100_000,
    "huge": lambda waiting: waiting.partition(".")[0] + "." + "A" * 100_000,
    "id": lambda waiting: changed(waiting, run_id=13),
    "cost": lambda waiting: changed(waiting, cost=float("nan")),
    "turns": lambda waiting: changed(waiting, turns=-1),
    "dollars": lambda waiting: changed(waiting, cost=1e308),
    "tier": lambda waiting: changed(waiting, tier=10**6),
    "calls": lambda waiting: changed(waiting, calls=[[]] * 1000),
    "span": lambda waiting: changed(waiting, span=[2**128, 1]),
    "common": lambda waiting: changed(waiting, common=None),
}


@pytest.mark.parametrize("how", list(SPOILT))
def test_a_spoilt_string_makes_a_run_of_its_own_and_disturbs_nobody(how, caplog):
    guard.failures.clear()
    with recording() as recorded:
        waiting = ask_first()
        assert waiting is not None
        with tachograph.run(resume=SPOILT[how](waiting)) as run:
            pass
        assert len(set(recorded.values("run", "tachograph.run.id"))) == 2
    assert run.id is not None
    assert guard.failures.pop("run") == 1
    assert caplog.messages == [NO_STRING]


@pytest.mark.parametrize("given", [13, ["a"], {}, b"\xff", ""])
def test_what_is_no_string_makes_a_run_of_its_own(given, caplog):
    guard.failures.clear()
    with recording() as recorded, tachograph.run(resume=given):
        pass
    assert (recorded.metric("tachograph.runs"), guard.failures.pop("run"), caplog.messages) == (1, 1, [NO_STRING])


def test_a_string_that_comes_back_as_bytes_or_with_a_line_end_is_taken():
    with recording():
        waiting = ask_first()
        assert waiting is not None
        with tachograph.run(resume=waiting) as whole:
            pass
        for given in (waiting.encode(), waiting + "\n", f" {whole.id}\r\n"):
            with tachograph.run(resume=given) as again:
                pass
            assert again.id == whole.id


def test_with_a_key_only_what_was_signed_by_it_is_taken():
    guard.failures.clear()
    with recording():
        unsigned = ask_first()
    with recording(hash_key=b"other"):
        foreign = ask_first()
    with recording(hash_key=b"k13") as recorded:
        waiting = ask_first()
        assert waiting is not None
        body, _, signature = waiting.rpartition(".")
        with tachograph.run(resume=waiting) as whole:
            pass
        (run_id,) = set(recorded.values("run", "tachograph.run.id"))
        assert whole.id == run_id
        for given in (
            unsigned,
            foreign,
            body,
            f"{changed(body, cost=0)}.{signature}",
            f"{body}.é",
            f"{body}.{'0' * 64}",
        ):
            with tachograph.run(resume=given):
                pass
        assert guard.failures.pop("run") == 6
        assert recorded.values("run", "tachograph.run.id").count(run_id) == 2
    assert set(waiting) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    with recording(), tachograph.run(resume=waiting) as unkeyed:
        assert unkeyed.id == run_id, "without a key nothing can be verified"


def test_secrets_that_were_put_into_the_string_are_hashes():
    person = "ada@example.org"
    with recording() as recorded:
        waiting = ask_first()
        assert waiting is not None
        common = {"tachograph.tenant.id": person, "gen_ai.conversation.id": person}
        with tachograph.run(resume=changed(waiting, run_id=person, common=common)):
            pass
    names = ("tachograph.run.id", "tachograph.tenant.id", "gen_ai.conversation.id")
    assert {str(recorded.values("run", name)[1])[:7] for name in names} == {"hashed_"}
    assert person not in str(recorded.spans())


def test_what_is_too_much_or_too_long_for_the_string_is_left_out_and_then_nothing_is_judged():
    with recording() as recorded:
        with tachograph.run() as run:
            for number in range(33):
                with tachograph.approval("pay", arguments={"number": number}):
                    pass
            many = run.suspend()
        with tachograph.run() as run:
            with tachograph.approval("pay", call_id="c" * 300):
                pass
            long = run.suspend()
        found = [suspension.read(text or "") for text in (many, long)]
        with tachograph.run(resume=many):
            pay()
    assert [(one.whole, len(one.calls), len(one.requests)) for one in found if one] == [(False, 32, 32), (False, 0, 0)]
    assert recorded.detections() == {}


def test_times_are_not_negative_where_the_clocks_of_two_machines_differ():
    with recording(clock=SteppingClock(now=EPOCH + 10**12, step=0)):
        waiting = ask_first()
    with recording(clock=SteppingClock(now=EPOCH, step=0)) as later, tachograph.run(resume=waiting):
        judged(lambda ask: ask.approve("eve"))
    assert later.values("approval", "tachograph.approval.wait") == [0.0]
