"""A run that waited, and goes on by its id alone: what its first part checked counts for the call of the second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from analytics.detections.stores import stored

import tachograph
from tachograph.testing import recording
from tachograph_analytics.detections import detect
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from pathlib import Path

ASKED = {"amount": 117}


def pay(arguments: dict[str, int], call_id: str) -> None:
    with tachograph.tool("pay", arguments=arguments, call_id=call_id):
        pass


def ask(decision: str | None, *, ran: bool) -> tuple[str | None, str | None]:
    """The first part: its run waits for an approval. The ids of both."""
    with tachograph.run() as run:
        if decision is not None:
            with tachograph.checkpoint("limit", stage="pre_tool", tool="pay", call_id="call-13") as check:
                check.decide(decision)
        with tachograph.approval("pay", arguments=ASKED, call_id="call-13") as request:
            pass
        if ran:
            pay(ASKED, "call-13")
        run.suspend()
    return run.id, request.id


def unchecked(
    folder: Path, arguments: dict[str, int], decision: str | None = "allow", *, ran: bool = False
) -> list[str]:
    """What the store says of a call with `arguments` in the second part, with an id that only this part knows."""
    with recording("desk") as recorded:
        with tachograph.run():  # shows both hooks
            with tachograph.checkpoint("limit", stage="pre_tool", tool="look"):
                pass
            with tachograph.tool("look"):
                pass
        run, request = ask(decision, ran=ran)
        with tachograph.run(id=run):
            with tachograph.approval("pay", arguments=ASKED, id=request, call_id="call-17") as answer:
                answer.approve("eve")
            pay(arguments, "call-17")
        with connect(stored(recorded, folder / "home")) as connection:
            return [finding.summary for finding in detect(connection, rules=["tool_unchecked"])]


def test_a_call_that_was_checked_before_its_run_waited_is_no_finding(tmp_path: Path):
    assert unchecked(tmp_path, ASKED) == []


@pytest.mark.parametrize(
    ("arguments", "decision", "ran", "why"),
    [
        ({"amount": 1313}, "allow", False, "no checkpoint had looked at it"),
        (ASKED, None, False, "no checkpoint had looked at it"),
        (ASKED, "deny", False, "limit had denied it"),
        (ASKED, "allow", True, "no checkpoint had looked at it"),
    ],
    ids=["other arguments", "never checked", "denied", "run in the first part already"],
)
def test_any_other_call_is(tmp_path: Path, arguments: dict[str, int], decision: str | None, ran: bool, why: str):
    assert unchecked(tmp_path, arguments, decision, ran=ran) == [f"pay (read) ran although {why}"]
