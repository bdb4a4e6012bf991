"""`tachograph audit verify` and `show`: what they print, and their exit codes."""

from __future__ import annotations

import json
import time

import pytest
from analytics.detections.stores import stored
from instrumentation.audit.entries import Settled, entry, writer, written

import tachograph
from tachograph.audit.record import keep
from tachograph.cli import main
from tachograph.registry import names as n
from tachograph.testing import recording

NO_END = "this line has no end: it is being written, or its process ended, or somebody cut it"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("TACHOGRAPH_AUDIT_DIR", "TACHOGRAPH_AUDIT_KEY", "TACHOGRAPH_HASH_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys):
    def run(*words):
        code = main(["audit", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return run


def without(path, line):
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[line - 1]
    path.write_bytes(b"".join(lines))


def test_whole_files_are_said_to_be_whole(run, tmp_path, monkeypatch):
    path = written(tmp_path, 3)
    line = f"{path}: whole: agent desk, begun 2026-01-01T00:00:01.000000000Z, 3 entries"
    assert run("verify", path) == (0, [line, "1 file: all whole"], "")
    monkeypatch.setenv("TACHOGRAPH_AUDIT_DIR", str(tmp_path))
    assert run("verify") == (0, [line, "1 file: all whole"], "")


def test_tampering_is_said_with_its_line_and_what_is_still_vouched_for(run, tmp_path):
    path, other = written(tmp_path, 13), written(tmp_path, 11)
    without(path, 6)
    other.write_bytes(other.read_bytes()[:-7])
    code, out, _ = run("verify", path, other)
    assert code == 1
    assert out == [
        f"{path}: NOT WHOLE: agent desk, begun 2026-01-01T00:00:01.000000000Z, 12 entries",
        "  line 6: missing: entry 5 is missing here",
        "  vouched for: entries 1 to 4",
        f"{other}: whole: agent desk, begun 2026-01-01T00:00:01.000000000Z, 10 entries",
        f"  line 12: torn: {NO_END}; --home DIR asks the store",
        "2 files: 1 not whole",
    ]
    code, out, _ = run("verify", path, "--json")
    (said,) = json.loads(out[0])["files"]
    assert code == 1
    assert {name: said[name] for name in ("path", "whole", "entries", "vouched", "torn")} == {
        "path": str(path),
        "whole": False,
        "entries": 12,
        "vouched": 4,
        "torn": None,
    }
    assert [(finding["line"], finding["what"]) for finding in said["findings"]] == [(6, "missing")]


def test_a_keyed_file_takes_the_key_of_the_environment(run, tmp_path, monkeypatch):
    path = written(tmp_path, 3, key=b"secret")
    code, _, err = run("verify", path)
    assert (code, err.count("\n")) == (2, 1)
    assert "set TACHOGRAPH_AUDIT_KEY" in err
    monkeypatch.setenv("TACHOGRAPH_AUDIT_KEY", "secret")
    assert run("verify", path)[0] == 0
    monkeypatch.setenv("TACHOGRAPH_AUDIT_KEY", "another")
    assert run("verify", path)[0] == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verify"], "set TACHOGRAPH_AUDIT_DIR"),
        (["show"], "set TACHOGRAPH_AUDIT_DIR"),
        (["verify", "{}/none"], "there is no audit file or folder"),
        (["verify", "{}"], "has no audit file"),
        (["verify", "{}", "--home", "{}/home"], "there is no store at"),
        (["show", "{}", "--since", "yesterday"], "--since 'yesterday' is no time"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(run, tmp_path, words, sentence):
    code, out, err = run(*(word.format(tmp_path) for word in words))
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert sentence in err


def refunds(folder):
    """An agent's recording with a file of three entries: its store and the file."""
    with recording("desk") as recorded:
        keep(recorded.recorder, folder=folder / "audit")
        with tachograph.run(workflow="refund"):
            for number in (11, 13, 17):
                with tachograph.tool("pay", effect="write", call_id=f"c-{number}", idempotency_key=f"k-{number}"):
                    pass
        assert recorded.recorder.audit is not None
        recorded.recorder.audit.close(time.monotonic() + 10)
        home = stored(recorded, folder / "home")
    (path,) = (folder / "audit").glob("*.jsonl")
    return home.path, path


def test_a_torn_end_is_cut_or_not_by_what_the_store_has(run, tmp_path):
    home, path = refunds(tmp_path)
    sentence = f"  line 5: torn: {NO_END}; "
    with path.open("ab") as file:
        file.write(b'{"half":')
    code, out, _ = run("verify", path, "--home", home)
    assert (code, out[1:-1]) == (0, [f"{sentence}the store has no entries from here on"])
    path.write_bytes(path.read_bytes().rpartition(b"\n")[0])  # the end of the last entry
    code, out, _ = run("verify", path, "--home", home)
    assert (code, out[1:4]) == (
        1,
        [
            "  line 4: cut: the store has entries up to 3, and 1 of them stood behind this end",
            f"{sentence.replace('line 5', 'line 4')}the store has entries from here on",
            "  vouched for: entries 1 to 2",
        ],
    )


@pytest.mark.parametrize("what", ["verify", "show"])
def test_a_file_of_something_else_is_named_as_such_and_a_wrecked_one_of_ours_is_not(run, tmp_path, what):
    other = tmp_path / "README.md"
    other.write_text("# desk\n\n13 lines\n")
    code, out, err = run(what, other)
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert f"{other} is no audit file" in err
    path = written(tmp_path, 3)
    path.write_text("# desk\n")
    code, out, _ = run("verify", path)
    assert (code, out[1]) == (1, "  line 1: unreadable: this line is no record")


def test_a_cut_end_and_a_file_that_is_gone_are_found_with_the_store(run, tmp_path):
    home, path = refunds(tmp_path)
    code, out, _ = run("verify", path, "--home", home)
    assert (code, out[0].endswith("3 entries, 3 of them in the store")) == (0, True)
    without(path, 4)
    assert run("verify", path)[0] == 0
    code, out, _ = run("verify", path, "--home", home)
    assert (code, out[1:3]) == (
        1,
        [
            "  line 4: cut: the store has entries up to 3, and 1 of them stood behind this end",
            "  vouched for: entries 1 to 2",
        ],
    )
    path.unlink()
    code, out, _ = run("verify", tmp_path / "audit", "--home", home)
    assert code == 1
    assert out == [
        f"{path.name}: ABSENT: the store has 3 entries of agent desk that no file here has",
        "0 files: 1 not whole",
    ]


def test_show_says_who_did_what_when(run, tmp_path):
    made = writer(Settled(), tmp_path)
    made.put(entry(1, TOOL_OUTCOME="success", TOOL_TIER=1))
    made.put(entry(2, "policy", GEN_AI_TOOL_NAME=None, POLICY_NAME="refunds", POLICY_VERSION="7"))
    made.put(
        entry(
            3, "approval", APPROVAL_STATUS="approved", APPROVAL_APPROVERS=["a1", "b2"], APPROVAL_APPROVER_ROLE="clerk"
        )
    )
    made.put(entry(4, "gate", GEN_AI_TOOL_NAME="\x1b[2J", GATE_VERDICT="pass", GATE_DECISION="promote"))
    lines = [
        "2026-01-01T00:00:01Z  write     desk  refund status success tier 1 run run_1",
        "2026-01-01T00:00:02Z  policy    desk  refunds version 7 run run_2",
        "2026-01-01T00:00:03Z  approval  desk  refund status approved by a1, b2 role clerk run run_0",
        "2026-01-01T00:00:04Z  gate      desk  \ufffd[2J verdict pass decision promote run run_1",
    ]
    assert run("show", tmp_path) == (0, lines, "")
    assert run("show", tmp_path, "--run", "run_1")[1] == [lines[0], lines[3]]
    assert run("show", tmp_path, "--action", "policy")[1] == [lines[1]]
    assert run("show", tmp_path, "--since", "2026-01-01T00:00:03")[1] == lines[2:]
    assert run("show", tmp_path, "--since", "2026-01-01T01:00:03+01:00")[1] == lines[2:]
    assert run("show", tmp_path, "--since", "1s")[1] == ["no entries"]
    shown = json.loads(run("show", tmp_path, "--json")[1][0])
    assert [each[n.AUDIT_ID] for each in shown] == ["audit_1", "audit_2", "audit_3", "audit_4"]


def test_show_passes_over_what_is_no_record_and_says_so(run, tmp_path):
    path = written(tmp_path, 2)
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    code, out, err = run("show", path)
    assert (code, len(out)) == (0, 2)
    assert err == f"{path}: line 4 is no record: tachograph audit verify {path}\n"
