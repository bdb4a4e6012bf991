"""Which words start which Python program, and the sentences about those that start none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from instrumentation.launch.programs import write

from tachograph.errors import UsageError
from tachograph.launch.program import Program, in_our_python, main_file, program

PYTHON = sys.executable


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["agent.py"], Program(PYTHON, "file", "agent.py")),
        (["agent.py", "-m", "x"], Program(PYTHON, "file", "agent.py", (), ("-m", "x"))),
        (["-u", "-OO", "agent.py"], Program(PYTHON, "file", "agent.py", ("-u", "-OO"))),
        (["-X", "dev", "-Werror", "a.py"], Program(PYTHON, "file", "a.py", ("-X", "dev", "-Werror"))),
        (["-uX", "dev", "a.py", "11"], Program(PYTHON, "file", "a.py", ("-uX", "dev"), ("11",))),
        (["-m", "desk.tools", "-u"], Program(PYTHON, "module", "desk.tools", (), ("-u",))),
        (["-ubmdesk", "13"], Program(PYTHON, "module", "desk", ("-ub",), ("13",))),
        (["-c", "pass", "-c"], Program(PYTHON, "code", "pass", (), ("-c",))),
        (["--check-hash-based-pycs", "never", "a"], Program(PYTHON, "file", "a", ("--check-hash-based-pycs", "never"))),
    ],
)  # fmt: skip
def test_options_are_read_as_python_reads_them(words: list[str], expected: Program):
    assert program([PYTHON, *words]) == expected


def test_command_is_what_would_run_without_us():
    assert program([PYTHON, "-uWi", "-m", "desk", "11"]).command == (PYTHON, "-uWi", "-m", "desk", "11")


@pytest.mark.parametrize(
    ("head", "python", "options"),
    [
        (f"#!{PYTHON}\n", PYTHON, ()),
        (f"#!{PYTHON} -u\n", PYTHON, ("-u",)),
        ("#!/usr/bin/env python3\n", "python3", ()),
        ("#!/usr/bin/env -S python3 -u -b\n", "python3", ("-u", "-b")),
        ("#!/bin/sh\n'''exec' \"/a long/way to/python3\" \"$0\" \"$@\"\n' '''\n", "/a long/way to/python3", ()),
        ("#!/bin/sh\n'''exec' /way/python3 -E \"$0\" \"$@\"\n' '''\n", "/way/python3", ("-E",)),
    ],
)
def test_script_of_a_command_is_run_by_its_first_line(head: str, python: str, options: tuple[str, ...], tmp_path: Path):
    write(tmp_path, {"desk": head + "print(13)\n"})
    file = tmp_path / "desk"
    file.chmod(0o755)
    assert program([str(file), "11"]) == Program(python, "file", str(file), options, ("11",))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "it needs a program"),
        ([PYTHON], "a program that is typed in cannot be recorded"),
        ([PYTHON, "-"], "a program that is typed in cannot be recorded"),
        ([PYTHON, "-u"], "a program that is typed in cannot be recorded"),
        ([PYTHON, "-m"], "-m needs something behind it"),
        ([PYTHON, "-V"], "with -V Python runs no program"),
        ([PYTHON, "--help"], "with --help Python runs no program"),
        (["python3.99", "agent.py"], "there is no python3.99 here"),
        (["sh", "-c", "true"], "sh is no Python program"),
        (["nowhere"], "nowhere is no program on the PATH"),
    ],
)
def test_what_is_no_python_program_is_a_sentence(words: list[str], sentence: str):
    with pytest.raises(UsageError) as caught:
        program(words)
    assert str(caught.value).startswith(sentence)


def test_our_own_python_has_tachograph():
    found = main_file(program([PYTHON, "agent.py"]))
    assert found == main_file(program([PYTHON, "-P", "agent.py"]))
    assert Path(found).name == "main.py"


def test_python_without_tachograph_is_named():
    hidden = program([PYTHON, "-I", "-S", "agent.py"])
    with pytest.raises(UsageError) as caught:
        main_file(hidden)
    assert str(caught.value) == (
        f"{PYTHON} -I -S has no tachograph, so nothing of the program could be recorded: "
        f"install it there with `{PYTHON} -m pip install tachograph`"
    )


def test_a_bare_python_of_no_environment_may_be_ours_and_a_named_one_is_what_was_meant(monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    bare = Program("python", "file", "agent.py", ("-u",), ("13",))
    assert in_our_python(bare) == Program(sys.executable, "file", "agent.py", ("-u",), ("13",))
    assert in_our_python(Program("/usr/bin/python3", "file", "agent.py")) is None
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    assert in_our_python(bare) is None
