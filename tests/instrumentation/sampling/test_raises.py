"""The sampling file: what it says, what is made of a broken one, the command, and a process that follows it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time

import pytest

from tachograph.cli import main
from tachograph.sampling import raises
from tachograph.sampling.raises import Raise, RaiseFile, parse, read, write

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
LINE = '{"agent": "desk", "rate": 1.0, "until": "2026-01-01T12:00:00Z"}'


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "raises"
    both = (Raise("desk", 1.0, NOON), Raise("häuser", 0.5, NOON + 17))
    write(path, both)
    assert path.read_text("utf-8").splitlines()[0] == LINE
    assert read(path) == both
    assert [one.name for one in tmp_path.iterdir()] == ["raises"]


def test_a_link_that_waits_beside_the_file_is_not_written_through(tmp_path, monkeypatch):
    path, victim = tmp_path / "raises", tmp_path / "victim"
    victim.write_text("13")
    monkeypatch.setattr(raises.secrets, "token_hex", lambda _: "foreseen")
    (tmp_path / "raises.foreseen.new").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write(path, [Raise("desk", 1.0, NOON)])
    assert (victim.read_text(), path.exists()) == ("13", False)


def test_names_beside_the_file_differ_and_others_may_read_it(tmp_path, monkeypatch):
    path, made = tmp_path / "raises", []
    opened = os.open
    monkeypatch.setattr(raises.os, "open", lambda name, *how: made.append(name) or opened(name, *how))
    for _ in range(2):
        write(path, [Raise("desk", 1.0, NOON)])
    assert len(set(made)) == 2
    assert not any(str(os.getpid()) in name.name.split(".") for name in made)
    assert path.stat().st_mode & 0o133 == 0


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "raises"
    write(path, [Raise("desk", 1.0, NOON)])
    with pytest.raises(ValueError, match="NaN"):
        write(path, [Raise("desk", 0.5, NOON), Raise("air", 1.0, float("nan"))])
    assert read(path) == (Raise("desk", 1.0, NOON),)
    assert [one.name for one in tmp_path.iterdir()] == ["raises"]


def test_a_file_that_is_not_there_says_nothing(tmp_path):
    assert read(tmp_path / "raises") == ()


def test_times_of_other_zones_and_empty_lines_are_understood():
    assert parse(f"\n{LINE.replace('T12:00:00Z', 'T13:00:00+01:00')}\n\n") == (Raise("desk", 1.0, NOON),)


@pytest.mark.parametrize(
    "line",
    [
        "desk 1",
        "[]",
        "13",
        LINE.replace("1.0", "1.3"),
        LINE.replace("1.0", "NaN"),
        LINE.replace("1.0", "true"),
        LINE.replace("1.0", '"1"'),
        LINE.replace('"desk"', "13"),
        LINE.replace("Z", ""),
        LINE.replace("2026", "noon"),
        '{"agent": "desk", "rate": 1}',
        "[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_meant_is_named(line):
    with pytest.raises(ValueError, match="line 3 is not like"):
        parse(f"{LINE}\n\n{line}")


def test_the_highest_rate_holds_for_the_agents_named_until_its_time(tmp_path):
    path = tmp_path / "raises"
    write(path, [Raise("desk", 0.3, NOON), Raise("desk", 0.7, NOON - 13), Raise("air", 0.9, NOON)])
    file = RaiseFile(str(path))
    assert file.rate({"desk"}, 0) == 0.0
    file.refresh()
    asked = [
        ({"desk"}, NOON - 14),
        ({"desk"}, NOON - 13),
        ({"desk"}, NOON),
        ({"desk", "air"}, 0),
        ({"bus"}, 0),
        ((), 0),
    ]
    assert [file.rate(agents, now) for agents, now in asked] == [0.7, 0.3, 0.0, 0.9, 0.0, 0.0]


def test_a_broken_file_counts_as_empty_and_is_complained_about_once_until_it_changes(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(raises, "CHECK_S", 0.0)
    path, said = tmp_path / "raises", []
    file = RaiseFile(str(path))
    with caplog.at_level(logging.WARNING, "tachograph"):
        for text in (LINE, "broken", "broken", LINE + "\n", "still broken", "x" * 1_000_001):
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
            file.refresh()
            said.append((file.rate({"desk"}, 0), len(caplog.records)))
        path.unlink()
        file.refresh()
    assert said == [(1.0, 0), (0.0, 1), (0.0, 1), (1.0, 1), (0.0, 2), (0.0, 3)]
    assert (file.rate({"desk"}, 0), len(caplog.records)) == (0.0, 3)
    assert caplog.messages[0].startswith(f"tachograph: the sampling file {path} is passed over: line 1 is not like")


def test_the_file_is_looked_at_no_more_than_every_two_seconds(tmp_path, monkeypatch):
    looks, now = [], [100.0]
    monkeypatch.setattr(raises.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(RaiseFile, "_stamp", lambda _: looks.append(now[0]) or ())
    file = RaiseFile(str(tmp_path / "raises"))
    for now[0] in (100.0, 101.9, 102.0, 103.0, 104.1):
        file.refresh()
    assert looks == [100.0, 102.0, 104.1]


# -- the command
@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("TACHOGRAPH_SAMPLING_FILE", str(tmp_path / "raises"))
    return tmp_path / "raises"


def test_the_command_raises_lists_and_ends(path, capsys):
    write(path, [Raise("past", 1.0, time.time() - 1)])
    began = time.time()
    assert main(["sample", "raise", "desk", "--rate", "0.5", "--for", "90s"]) == 0
    assert main(["sample", "raise", "desk", "--for", "2h"]) == 0
    assert main(["sample", "raise", "air"]) == 0
    desk, air = read(path)
    assert (desk.agent, desk.rate, air.agent, air.rate) == ("desk", 1.0, "air", 1.0)
    assert 7200 - 1 <= desk.until - began <= 7260
    assert 1800 - 1 <= air.until - began <= 1860
    capsys.readouterr()
    assert main(["sample", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.partition(" until ")[0] for line in listed] == [
        "desk: all traces are kept",
        "air: all traces are kept",
    ]
    assert [main(["sample", "end", agent]) for agent in ("desk", "desk", "air")] == [0, 0, 0]
    assert capsys.readouterr().out.splitlines() == ["desk: ended", "desk: was not raised", "air: ended"]
    main(["sample", "list"])
    assert capsys.readouterr().out == f"Nothing is raised in {path}.\n"
    write(path, [Raise("desk", 0.07, time.time() + 90), Raise("air", 0.0, time.time() + 90)])
    main(["sample", "list"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.partition(" until ")[0] for line in listed] == [
        "desk: 7 % of its traces are kept",
        "air: no traces are kept",
    ]


def test_what_the_command_cannot_do_is_a_sentence(path, capsys, monkeypatch):
    path.write_text("broken")
    assert main(["sample", "list"]) == 2
    assert "is no sampling file: line 1 is not like" in capsys.readouterr().err
    assert main(["sample", "raise", "desk", "--file", str(path / "below")]) == 2
    assert capsys.readouterr().err.startswith(f"tachograph sample: {path}/below ")
    monkeypatch.delenv("TACHOGRAPH_SAMPLING_FILE")
    assert main(["sample", "list"]) == 2
    assert "--file FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("--for", "2w"), ("--for", "25h"), ("--for", "0s"), ("--rate", "2"), ("--rate", "x")]
)
def test_odd_arguments_are_usage(words, path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["sample", "raise", "desk", *words])
    assert (ended.value.code, path.exists()) == (2, False)
    assert "is no " in capsys.readouterr().err


# -- a process that follows it
AGENT = """
import sys, tachograph
tachograph.instrument(service_name=sys.argv[1], endpoint=sys.argv[2], metrics="none", sample_rate=0)
for line in sys.stdin:
    with tachograph.run(workflow=line.strip()):
        pass
    print(tachograph.flush(), flush=True)
"""


class Agent:
    """A process that makes one run for each `ask`, and says when what is kept of it has arrived."""

    def __init__(self, name, endpoint, path):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", AGENT, name, endpoint.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TACHOGRAPH_SAMPLING_FILE": str(path)},
        )  # fmt: skip
        self._endpoint = endpoint

    def ask(self) -> bool:
        """Whether the run arrived."""
        before = len(self._endpoint.bodies)
        self._process.stdin.write("ask\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "True\n"
        return len(self._endpoint.bodies) > before

    def end(self):
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(20) == 0


@pytest.mark.slow
def test_a_raise_reaches_a_running_process_of_that_agent_and_ends_by_itself(path, serve, until):
    desk, air = Agent("desk", serve(), path), Agent("air", serve(), path)
    assert not desk.ask()
    assert main(["sample", "raise", "desk", "--for", "5s"]) == 0
    (raised,) = read(path)
    until(desk.ask)
    assert time.time() < raised.until
    assert not air.ask()
    until(lambda: time.time() > raised.until)
    assert not desk.ask()
    assert json.loads(path.read_text())["agent"] == "desk"  # nobody touched it
    desk.end()
    air.end()
