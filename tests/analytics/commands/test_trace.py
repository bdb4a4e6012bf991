"""`tachograph trace`: the tree, how it fits, which run is meant, its JSON."""

from __future__ import annotations

import json

import pytest
from analytics.app.recorded import append, filled, incident_runs
from analytics.otlp import ASpan, span_id, trace_id, traces
from rich.cells import cell_len

import tachograph
from tachograph.cli import main
from tachograph.registry import names
from tachograph.testing import EPOCH
from tachograph_analytics.store.segment import Signal

LONG = "look_up_every_booking_of_the_last_thirteen_years_by_passenger"


def troubled() -> None:
    """A run with everything that is a leaf of the tree."""
    with tachograph.run("airline", workflow="refund", id="rich-1") as run, tachograph.turn():
        with tachograph.tool(LONG, effect="none"):
            tachograph.retry(2, backoff=1.3, error="Timeout")
        tachograph.budget("cost", limit=1.0, used=0.3)
        tachograph.budget("cost", limit=1.0, used=1.7, action="degrade")
        with tachograph.degraded("fallback_model", trigger="budget", component="gpt-4o", disclosed=True):
            pass
        with tachograph.degraded("cached_answer", trigger="timeout"):
            pass
        for claim in ("k-11", "k-13"):
            tachograph.evidence(claim, source="document", ref="doc-17", producer="archive", time="2026-01-01T00:00:00Z")
        run.outcome("degraded")


def nested(depth: int) -> None:
    with tachograph.run("airline", id="deep-1"):
        hooks = [tachograph.delegate(f"helper-{number}") for number in range(depth)]
        for hook in hooks:
            hook.__enter__()
        for hook in reversed(hooks):
            hook.__exit__(None, None, None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    def work() -> None:
        incident_runs()
        troubled()
        nested(31)

    return str(filled(tmp_path_factory.mktemp("trace"), work, EPOCH).path)


def printed(capsys, *arguments: str) -> list[str]:
    assert main(["trace", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys, *arguments: str) -> str:
    assert main(["trace", *arguments]) == 2
    return capsys.readouterr().err


def test_a_run_is_a_tree_with_what_it_cost_how_long_it_took_and_what_went_wrong(home, capsys):
    assert printed(capsys, "bad-1", "--home", home) == [
        "run bad-1 · agent airline · workflow refund · tenant acme · release 1.4 (canary) · trace " + trace_id(13),
        "failed, stop reason error · $0.0313 (provider) · 1.3 s · began 2026-01-01 00:00 UTC · 1 finding",
        "▣ run airline  1.3 s",
        "├─ ↻ turn 1  300 ms",
        "│  └─ ✦ llm chat gpt-4o  100 ms · $0.0313",
        "├─ ⬣ checkpoint pre_tool policy  100 ms",
        "└─ ↻ turn 2  400 ms",
        (
            "   └─ ■ tool refund  100 ms  ▲ the tool failed (CardDeclined)  "
            "▲ refund (write, tier 1, error) ran with 0 of 1 approvers"
        ),
    ]


def test_a_clean_run_says_so(home, capsys):
    assert "no findings" in printed(capsys, "good-3", "--home", home)[1]
    assert "▲" not in "".join(printed(capsys, "good-3", "--home", home))


def test_retries_hit_budgets_degraded_modes_and_evidence_are_leaves(home, capsys):
    leaves = [line.partition("• ")[2] for line in printed(capsys, "rich-1", "--home", home) if "• " in line]
    assert leaves == [
        "budget hit cost of the run: 1.7 of 1 used, then degrade",
        "degraded fallback_model for gpt-4o because of budget, the user was told",
        "degraded cached_answer because of timeout, the user was not told",
        "evidence 2 citations",
        "retry attempt 2 after Timeout, waited 1.3 s",
    ]


@pytest.mark.parametrize(("width", "name"), [(40, "loo…ger"), (60, "look_up_every…_by_passenger"), (100, LONG)])
def test_lines_fit_the_width_names_lose_their_middle_and_ids_stay_whole(home, capsys, width, name):
    lines = printed(capsys, "rich-1", "--home", home, "--width", str(width))
    sentences = [line for line in lines if LONG in line]  # findings name the tool: no word of a sentence is cut
    assert max(cell_len(line) for line in lines if line not in sentences) <= width
    assert [line for line in lines if f"■ tool {name}  " in line] != []
    assert "run rich-1" in lines[0]
    assert any(f"trace {trace_id(24)}" in line for line in lines)


def test_what_is_no_terminal_gets_everything_in_full_and_without_colour(home, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = "\n".join(printed(capsys, "rich-1", "--home", home))
    assert f"tool {LONG} " in text
    assert "…" not in text
    assert "\x1b" not in text


def test_a_terminal_gets_colour_unless_it_says_no(home, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m" in "".join(printed(capsys, "bad-1", "--home", home))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in "".join(printed(capsys, "bad-1", "--home", home))


def test_a_tree_that_is_deeper_than_the_terminal_is_wide_says_its_levels(home, capsys):
    lines = printed(capsys, "deep-1", "--home", home, "--width", "60")
    assert max(map(cell_len, lines)) <= 60
    assert "[level 31] → delegate helper-30" in lines[-1]
    assert [line for line in lines if "[level 6]" in line] == []


def test_a_beginning_that_is_unique_and_a_trace_id_mean_the_run(home, capsys):
    assert printed(capsys, "rich", "--home", home)[0].startswith("run rich-1 ")
    assert printed(capsys, trace_id(13), "--home", home)[0].startswith("run bad-1 ")


def test_an_unknown_or_ambiguous_id_is_a_sentence_with_ids(home, tmp_path, capsys):
    assert refused(capsys, "nope", "--home", home) == (
        "tachograph trace: there is no run and no trace 'nope'; "
        "the newest runs are deep-1, rich-1, look-6, look-5, look-4\n"
    )
    assert refused(capsys, "bad-", "--home", home) == (
        "tachograph trace: 3 runs begin so, name one in full: bad-2, bad-1, bad-0\n"
    )
    assert refused(capsys, "rich-1", "--home", str(tmp_path)).startswith("tachograph trace: there is no store at ")


def test_steps_as_data_with_their_findings_and_events(home, capsys):
    assert main(["trace", "bad-1", "--home", home, "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)
    facts = ("run_id", "depth", "kind", "name", "start_ms", "duration_ms", "cost", "problem")
    assert [[step[fact] for fact in facts] for step in steps][-1] == [
        *("bad-1", 2, "tool", "execute_tool refund", 800.0, 100.0, None),
        "the tool failed (CardDeclined)",
    ]
    assert [finding["rule"] for finding in steps[-1]["findings"]] == ["write_unapproved"]
    assert [event["name"] for event in steps[-1]["events"]] == [names.EVENT_AUDIT_RECORDED]
    assert steps[-1]["attributes"][names.TOOL_EFFECT] == "write"
    assert steps[0]["ts"].endswith("Z")


def test_a_run_whose_own_span_is_missing_and_names_that_would_steer_the_terminal(tmp_path, capsys):
    home = filled(tmp_path / "home", lambda: None, EPOCH)
    run = {names.RUN_ID: "lost-1", names.SPAN_KIND: "tool"}
    append(home, (Signal.TRACES, traces([ASpan(11, 13, run, "x\x1b[2Jy\nz", parent=17)]).SerializeToString()))
    assert printed(capsys, "lost-1", "--home", str(home.path)) == [
        f"run lost-1 · its own span is not in the data · trace {trace_id(11)}",
        "■ tool x\ufffd[2Jy z  11 ms  ▲ the step it belongs to is not in the data",
    ]
    assert span_id(13) not in "".join(printed(capsys, "lost-1", "--home", str(home.path)))
