from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tachograph_analytics.app.words import ago, duration, many, number, plain, share, usd, when

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_foreign_text_is_shown_literally():
    assert plain("[x](javascript:1) <b> $a$ :red[y] `z`\n# h") == (
        r"\[x\]\(javascript\:1\) \<b\> \$a\$ \:red\[y\] \`z\` \# h"
    )


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://evil.example/a", r"https\:JOINER//evil\.example/a"),
        ("HTTP://evil.example", r"HTTP\:JOINER//evil\.example"),
        ("Www.evil.example", r"WwwJOINER\.evil\.example"),
        ("me@evil.example", r"meJOINER@evil\.example"),
        ("mailto:me@evil.example", r"mailto\:meJOINER@evil\.example"),
        ("ratio a://b", r"ratio a\:JOINER//b"),
        ("path//www", "path//www"),
    ],
)
def test_an_address_in_foreign_text_is_no_link(address, shown):
    assert plain(address) == shown.replace("JOINER", "\u2060")


@pytest.mark.parametrize(
    ("amount", "words"),
    [(None, "no price"), (0, "$0.00"), (1234.567, "$1,234.57"), (0.0313, "$0.0313"), (0.0000123, "$1.2e-05")],
)
def test_money(amount, words):
    assert usd(amount) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (None, "unknown"),
        (0.137, "0.14 ms"),
        (117.0, "117 ms"),
        (1300.0, "1.3 s"),
        (137_000.0, "2 min 17 s"),
        (7_860_000.0, "2 h 11 min"),
    ],
)
def test_durations(milliseconds, words):
    assert duration(milliseconds) == words


def test_counts_shares_and_times():
    assert [number(1013), number(0.25), share(0.6875), many(1, "run"), many(11, "run")] == [
        "1,013",
        "0.25",
        "68.8 %",
        "1 run",
        "11 runs",
    ]
    assert [when(NOON), when(None)] == ["2026-11-24 12:00 UTC", "never"]


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=17), "just now"),
        (timedelta(minutes=37), "37 minutes ago"),
        (timedelta(hours=11), "11 hours ago"),
        (timedelta(days=13), "13 days ago"),
    ],
)
def test_ages(age, words):
    assert ago(NOON - age, NOON) == words
