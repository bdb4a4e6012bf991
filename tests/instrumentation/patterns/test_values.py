"""What is recorded of names that turn out to be sentences."""

from __future__ import annotations

from uuid import UUID

import tachograph
from tachograph.patterns.values import identity, level, word
from tachograph.telemetry import guard
from tachograph.testing import recording

WORDS = "Alice Smith wants her biopsy result"


def test_a_name_that_reads_like_an_identifier_stays_and_a_sentence_does_not():
    names = ("refund", "gpt-4o", "billing.eu/v2", "HTTP_503", "x" * 64, None)
    assert [word(name, "other") for name in names] == list(names)
    assert [word(text, "other") for text in (WORDS, "x" * 65, "", "a\nb")] == ["other"] * 4


def test_sentences_where_names_belong_are_not_recorded():
    with recording() as recorded, tachograph.run():
        tachograph.evidence(WORDS, source="user", producer=WORDS, time="2026-01-01")
        tachograph.evaluation("correct", label=WORDS, error=WORDS)
        tachograph.retry(2, error=WORDS)
        with tachograph.route("intent", candidates=["a"]) as choice:
            choice.choose(WORDS)
    series = [recorded.series(name) for name in ("tachograph.evaluation.results", "tachograph.routing.decisions")]
    assert "Alice" not in str([recorded.spans(), recorded.events(), *series])


def test_an_id_is_text_whatever_the_host_counts_its_rows_with():
    number = UUID(int=13)
    assert [identity(one) for one in (17, 3.0, number, b"a-7", "k", None)] == [
        "17",
        "3.0",
        str(number),
        "a-7",
        "k",
        None,
    ]


def test_what_can_be_no_id_is_left_out_and_said_once_in_words(caplog):
    guard.failures.clear()
    with recording():
        assert [identity(one) for one in ({"name": "Alice"}, {"name": "Bob"}, 10**5_000)] == [None] * 3
    assert guard.failures.pop("instrument") == 3
    assert caplog.messages == [
        "tachograph: an id is of type dict, which names nothing; it is recorded without it",
        "tachograph: an id is of type int, which names nothing; it is recorded without it",
    ]


def test_numbers_as_ids_lose_neither_run_nor_call():
    with recording() as recorded, tachograph.run(session=42, tenant=7, release=3, id=11) as run:  # pyright: ignore[reportArgumentType]
        with tachograph.tool("read", call_id=17) as call:  # pyright: ignore[reportArgumentType]
            call.result(documents=[1, 2])  # pyright: ignore[reportArgumentType]
        tachograph.evidence(1, source="document", producer=5)  # pyright: ignore[reportArgumentType]
    assert (run.id, call.call_id) == ("11", "17")
    names = ("tachograph.run.id", "gen_ai.conversation.id", "tachograph.tenant.id", "tachograph.release.id")
    assert [recorded.values("run", name) for name in names] == [["11"], ["42"], ["7"], ["3"]]
    assert recorded.values("tool", "tachograph.tool.documents") == [("1", "2")]
    assert len(recorded.events()) == 1


def test_a_number_and_its_digits_are_one_hashed_tenant():
    with recording(hash_key=b"k") as recorded:
        recorded.recorder.tenant_hashed = True
        assert recorded.recorder.tenant(7) == recorded.recorder.tenant("7") != "7"


def test_a_tier_in_digits_is_a_number_and_words_are_the_usual_tier(caplog):
    assert [level(tier) for tier in (2, "1", " 2 ", True)] == [2, 1, 2, 1]
    with recording() as recorded, tachograph.run(tier="1"):  # pyright: ignore[reportArgumentType]
        for tier in ("2", "high", None):
            with tachograph.tool("pay", effect="write", tier=tier, idempotency_key=str(tier)):  # pyright: ignore[reportArgumentType]
                pass
    assert recorded.values("tool", "tachograph.tool.tier") == [2, 1, 1]
    assert recorded.values("run", "tachograph.run.tier") == [2]
    assert caplog.messages == ["tachograph: a tier is of type str and no number; 1 is recorded"]
