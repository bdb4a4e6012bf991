"""The invoice desk pays most invoices on a clean way; what it does wrong is found, each weakness by its own name."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from analytics.detections.stores import stored

from tachograph.demo.arrivals import Arrival, arrivals
from tachograph.demo.clock import SimulatedClock
from tachograph.demo.invoice.cases import Event, case_of
from tachograph.demo.invoice.checks import Checks
from tachograph.demo.invoice.invoice import Mail, Recommendation
from tachograph.demo.invoice.traffic import MODULES, desk, player
from tachograph.plain.install import install
from tachograph.registry import names as n
from tachograph.registry.lint import lint
from tachograph.registry.recorded import Recorded as Facts
from tachograph.registry.recorded import from_sdk, from_sdk_log
from tachograph.telemetry import guard
from tachograph.testing import recording
from tachograph_analytics.detections import detect
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from tachograph.testing import Recorded

UNTIL = 1_790_000_000.0  # seconds since 1970
COUNT, SEED = 400, 6  # a seed with which each weakness shows within so few mails
IBAN = re.compile(r"DE\d{2}(?: ?\d{4}){4} ?\d{2}")

# What happens to a mail, and what it shows of the agent: an end, and a weakness where it meets one.
WEAKNESSES = {
    Event.NOTHING: ("success", "completed", None),
    Event.UNKNOWN_SENDER: ("refused", "guardrail", None),
    Event.NO_ORDER: ("escalated", "completed", None),
    Event.OVERCHARGED: ("escalated", "completed", None),
    Event.BEYOND_CEILING: ("escalated", "guardrail", None),
    Event.REJECTED: ("refused", "approval_rejected", None),
    Event.FORGOTTEN: ("escalated", "timeout", None),
    Event.OUTAGE: ("failed", "retry_exhausted", None),
    Event.BANK_ERROR: ("failed", "error", None),
    Event.HICCUP: ("success", "completed", "output_unvalidated"),
    Event.ARCHIVED_ORDER: ("success", "completed", "tool_unchecked"),
    Event.TWO_ORDERS: ("success", "completed", "authz_skipped"),
    Event.NO_MESSAGE_ID: ("success", "completed", "write_no_key"),
    Event.UNSEEN_CONTRACT: ("success", "completed", "evidence_unresolved"),
    Event.NO_PREVIEW: ("success", "completed", "approval_no_diff"),
    Event.ACCOUNT_IN_CREDIT_NOTE: ("success", "completed", "checkpoint_prompt_only"),
}
EXPECTED = {rule for *_, rule in WEAKNESSES.values() if rule is not None} | {
    "key_executed_twice", "write_unapproved", "approval_args_changed",
}  # fmt: skip


def arrival(number: int) -> Arrival:
    return Arrival(number, UNTIL - 20 * 86_400, 20.0, random.Random(f"7 {number}"))


def play(coming: Sequence[Arrival], *, observed: bool = True) -> tuple[list[Recommendation], Recorded]:
    """What the desk made of the mails, and what was recorded of it."""
    clock, ends = SimulatedClock(), list[Recommendation]()
    installation = install(list(MODULES) if observed else [])
    try:
        with recording("invoice", clock=clock) as recorded:
            for hook in installation.hooks:
                recorded.recorder.cover(hook, "invoice")
            handle = desk(clock)
            for each in coming:
                clock.jump(each.at)
                ends.append(handle(each))
    finally:
        installation.undo()
    return ends, recorded


def mails(count: int = COUNT, seed: int = SEED) -> list[Arrival]:
    return list(arrivals("invoice", count, seed=seed, until=UNTIL))


def first(event: Event) -> int:
    """The number of the first mail to which this happens."""
    return next(number for number in range(10_000) if case_of(arrival(number)).event is event)


@dataclass(frozen=True)
class Weeks:
    """Five weeks of few mails: what came of each, what was recorded, and the store that holds it."""

    ends: list[Recommendation]
    recorded: Recorded
    store: duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weeks]:
    guard.failures.clear()
    ends, recorded = play(mails())
    with connect(stored(recorded, tmp_path_factory.mktemp("weeks") / "home")) as store:
        yield Weeks(ends, recorded, store)
    assert dict(guard.failures) == {}


@pytest.mark.parametrize(("event", "shows"), WEAKNESSES.items(), ids=lambda value: getattr(value, "name", ""))
def test_each_weakness_shows_as_what_it_is_and_nothing_else(event, shows):
    (end,), recorded = play([arrival(first(event))])
    outcome, stop_reason, rule = shows
    assert (end.outcome, end.stop_reason, recorded.detections()) == (
        outcome, stop_reason, {} if rule is None else {rule: 1},
    )  # fmt: skip
    assert recorded.values("run", n.RUN_OUTCOME) == [outcome]
    assert recorded.values("run", n.RUN_STOP_REASON) == [stop_reason]


def test_a_mail_that_comes_again_before_the_first_is_paid_is_paid_twice():
    again = arrival(first(Event.SENT_AGAIN))
    (before, end), recorded = play([arrival(first(Event.NOTHING)), again])
    assert (before.outcome, end.outcome, end.text) == ("success", "success", before.text)
    assert recorded.detections() == {"key_executed_twice": 1}


def test_a_mail_that_comes_again_later_is_refused():
    late = arrival(first(Event.SENT_AGAIN))
    late = Arrival(late.number, late.at + 10 * 86_400, 10.0, late.random)
    (_, end), recorded = play([arrival(first(Event.NOTHING)), late])
    assert (end.outcome, end.stop_reason) == ("refused", "guardrail")
    assert recorded.detections() == {}


@pytest.mark.slow
def test_five_weeks_show_what_is_wrong_in_a_few_runs(weeks):
    rules = Counter(finding.rule for finding in detect(weeks.store))
    assert rules == weeks.recorded.detections()
    assert set(rules) == EXPECTED
    assert sum(rules.values()) < 0.1 * COUNT


@pytest.mark.slow
def test_a_run_to_which_nothing_happened_has_no_finding(weeks):
    happened = {f"thread-{each.number}": case_of(each).event for each in mails()}
    weak = {event for event, (*_, rule) in WEAKNESSES.items() if rule is not None}
    runs = weeks.store.execute(
        "SELECT run_id, session, count(*) OVER (PARTITION BY session) > 1 AS again,"
        " run_id IN (SELECT run_id FROM tool_calls WHERE tool_name = 'post_payment' AND outcome = 'error') AS late,"
        " workflow = 'foreign_invoice' AND run_id IN (SELECT run_id FROM approvals WHERE wait_s > 8 * 3600) AS worn"
        " FROM runs"
    ).fetchall()
    explained = {run for run, session, *more in runs if any(more) or happened[session] in weak}
    found = {str(finding.run_id) for finding in detect(weeks.store)}
    assert len(runs) == COUNT
    assert found <= explained
    assert len(explained) < 0.1 * COUNT


@pytest.mark.slow
def test_the_runs_have_ends_costs_and_releases_of_their_own(weeks):
    outcomes = Counter(end.outcome for end in weeks.ends)
    assert set(outcomes) == {"success", "refused", "escalated", "failed"}
    assert 0.75 < outcomes["success"] / COUNT < 0.87
    (measured,) = weeks.store.execute(
        "SELECT count(DISTINCT tenant), count(DISTINCT workflow), min(release), max(track), min(agent), max(tier),"
        " avg(cost) BETWEEN 0.003 AND 0.03, count(*) FILTER (cost IS NULL), max(epoch(ts) + duration_ms / 1000) < ?"
        " FROM runs",
        [UNTIL + 600],
    ).fetchall()
    assert measured == (3, 3, "4.1", "stable", "invoice", 2, True, 0, True)


@pytest.mark.slow
def test_no_account_number_is_in_what_is_recorded(weeks):
    assert sum(IBAN.search(case_of(each).mail.text) is not None for each in mails()) > COUNT / 3
    said = [str(span.attributes) + span.name for span in weeks.recorded.sdk_spans()] + [str(weeks.recorded.events())]
    assert [text for text in said if IBAN.search(text)] == []
    assert weeks.recorded.metric("tachograph.checkpoint.redactions") > COUNT / 3


@pytest.mark.slow
def test_what_is_recorded_is_in_the_registry(weeks):
    spans = tuple(from_sdk(span) for span in weeks.recorded.sdk_spans())
    events = tuple(from_sdk_log(record) for record in weeks.recorded._logs.get_finished_logs())
    assert lint(Facts(spans=spans, events=events)) == []


def test_two_players_of_one_seed_show_the_same_and_another_seed_shows_another():
    (ends, first_), (again, second), (others, _) = (play(mails(29, seed)) for seed in (7, 7, 11))
    assert (ends, first_.spans(), first_.events()) == (again, second.spans(), second.events())
    assert ends != others


def test_the_desk_works_the_same_unobserved():
    assert play(mails(29))[0] == play(mails(29), observed=False)[0]
    assert play(mails(29), observed=False)[1].spans() == []


def test_a_player_plays_the_desk():
    clock = SimulatedClock()
    handle = player(clock, 7)
    clock.jump(UNTIL)
    assert handle(Arrival(0, UNTIL, 0.0, random.Random(7))) is None
    assert 0 < clock.now() - UNTIL < 60, "at the end of a history nobody waits for hours"


def test_account_numbers_are_masked_before_a_model_reads_them():
    checks = Checks({"acme": frozenset({"known.example"})})
    text = "Pay 13.17 EUR to DE89370400440532013000, no longer to DE89 3704 0044 0532 0130 00."
    vetting = checks.validate_request(Mail("1", "s", "u", "acme", "standard_invoice", "known.example", text))
    assert vetting.text == "Pay 13.17 EUR to [account], no longer to [account]."
    assert (vetting.decision, vetting.redactions, vetting.categories) == ("redact", 2, ("iban",))
    assert vetting.accounts == ("DE89370400440532013000", "DE89 3704 0044 0532 0130 00")
