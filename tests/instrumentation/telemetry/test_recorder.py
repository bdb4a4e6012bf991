"""What a process remembers of its agents and limiters, and what a forked child inherits of that."""

from __future__ import annotations

import logging
import os
import sys

import pytest

import tachograph
from tachograph.run import RunContext
from tachograph.telemetry.recorder import _AGENTS, active
from tachograph.testing import recording


def test_of_agents_beyond_two_hundred_nothing_is_remembered_and_that_is_said_once(caplog):
    caplog.set_level(logging.WARNING, "tachograph")
    with recording():
        recorder = active()
        assert recorder is not None
        for number in range(_AGENTS + 13):
            recorder.cover("tool", f"agent-{number}")
            recorder.detect("checkpoint_prompt_only", f"agent-{number}")
        known = [number for number in range(_AGENTS + 13) if recorder.hooks(f"agent-{number}")]
        sizes = len(recorder._coverage), len(recorder._listed), len(recorder._unarmed)
    assert known == list(range(len(known)))
    assert sizes[0] == _AGENTS
    assert max(sizes) <= _AGENTS
    assert [record.getMessage()[:47] for record in caplog.records] == [
        "tachograph: this process has more than 200 agen"
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_none_of_the_calls_inside_of_its_parents_limiters():
    with recording():
        recorder = active()
        assert recorder is not None
        with tachograph.limiter("db", limit=3) as slot:
            slot.acquired()
            assert recorder.limiter("db").in_use == 1
            child = os.fork()
            if child == 0:
                state = recorder.limiter("db")
                os._exit(17 if (state.in_use, state.queue, state.limit, state.saturated) == (0, 0, None, False) else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
            assert recorder.limiter("db").in_use == 1


def test_what_a_run_remembers_of_checkpoints_and_approvals_is_bounded(monkeypatch):
    monkeypatch.setattr(sys.modules["tachograph.run"], "_CALLS", 3)  # tachograph.run is the function
    run = RunContext("run_1", "desk", "web", 1, {})
    for number in range(7):
        run.check_call(f"call_{number}", "limits", "deny")
        run.approve(f"call_{number}", [])
        run.note_place(("pre_tool", f"call_{number}"), prompt=True)
    assert (list(run.denied), list(run.approvals)) == (["call_0", "call_1", "call_2"], ["call_4", "call_5", "call_6"])
    assert run.prompt_only() == {("pre_tool", f"call_{number}") for number in range(3)}
    run.note_place(("pre_tool", "call_1"), prompt=False)
    assert run.prompt_only() == {("pre_tool", "call_0"), ("pre_tool", "call_2")}
    for number in range(7):
        run.note_place(("pre_model", f"{number}"), prompt=False)
    assert run.prompt_only() == set()  # an enforced one may be among those that are not remembered
