"""What is recorded of names that turn out to be sentences."""

from __future__ import annotations

import tachograph
from tachograph.patterns.values import word
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
