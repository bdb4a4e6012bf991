"""What was said, as hooks record it: off, redacted, full; read within a budget, without running the host's code."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import tachograph
from tachograph.plain.install import install
from tachograph.privacy import captured
from tachograph.privacy.captured import CHARACTERS, MOST, VALUES, rendered
from tachograph.privacy.redaction import CUT
from tachograph.telemetry import guard
from tachograph.testing import recording

if TYPE_CHECKING:
    from tachograph.testing import Recorded

INPUT, OUTPUT, STATE = "tachograph.content.input", "tachograph.content.output", "tachograph.content.state"
MAIL = "bob@example.com"


def said(recorded: Recorded, kind: str) -> list[tuple[object, ...]]:
    columns = [recorded.values(kind, name) for name in (INPUT, OUTPUT, STATE)]
    return list(zip(*columns, strict=True))


def by_hand():
    @tachograph.run("desk")
    def handle(text):
        with tachograph.llm_call("gpt-4o") as call:
            call.content(input=[{"role": "user", "content": text}], output={"text": text})
        with tachograph.tool("find", arguments={"text": text, "token": "abc"}) as found:
            found.result({"rows": [text]})
        return {"answer": text}

    handle(MAIL)


@tachograph.tool("find")
def find(text):
    return f"found {text}"


@tachograph.llm_call("gpt-4o")
def ask(text):
    return {"text": text}


def test_off_records_nothing_of_it():
    with recording() as recorded:
        by_hand()
        find(MAIL)
        ask(MAIL)
    assert [*said(recorded, "run"), *said(recorded, "llm"), *said(recorded, "tool")] == [(None, None, None)] * 5


@pytest.mark.parametrize(
    ("capture", "mail", "token", "state"),
    [("redacted", "[email]", "[secret]", "redacted"), ("full", MAIL, "abc", "raw")],
)
def test_runs_model_calls_and_tool_calls_say_what_went_in_and_came_out(capture, mail, token, state):
    with recording(capture=capture) as recorded:
        by_hand()
        find(MAIL)
        ask(MAIL)
    text = f'{{"text": "{mail}"}}'
    assert said(recorded, "run") == [(text, f'{{"answer": "{mail}"}}', state)]
    assert said(recorded, "llm") == [(f'[{{"role": "user", "content": "{mail}"}}]', text, state), (text, text, state)]
    assert said(recorded, "tool") == [
        (f'{{"text": "{mail}", "token": "{token}"}}', f'{{"rows": ["{mail}"]}}', state),
        (text, f'"found {mail}"', state),
    ]


class Desk:
    def handle(self, request):
        self.call_tool("find", {"text": request})
        return {"answer": "".join(self.chat(request))}

    def call_tool(self, name, arguments):
        return [arguments["text"]]

    def chat(self, text):
        yield text
        yield {"usage": {"input_tokens": 11, "output_tokens": 13}, "text": ""}["text"]


def test_a_plain_agent_says_it_too_and_of_a_stream_what_went_in():
    installation = install(Desk, None)
    try:
        with recording(capture="redacted") as recorded:
            Desk().handle(MAIL)
    finally:
        installation.undo()
    assert said(recorded, "run") == [('{"request": "[email]"}', '{"answer": "[email]"}', "redacted")]
    assert said(recorded, "tool") == [('{"text": "[email]"}', '["[email]"]', "redacted")]
    assert said(recorded, "llm") == [('{"text": "[email]"}', None, "redacted")]


class Colour(enum.Enum):
    RED = "red"


@dataclass(slots=True)
class Slotted:
    password: str
    count: int


class Traps:
    """Says what it stores, and runs what it must not."""

    def __init__(self):
        self.note = MAIL
        self.inner = Slotted("abc", 13)

    def __str__(self):
        raise AssertionError

    __repr__ = __getattr__ = __len__ = __iter__ = __bool__ = __str__

    @property
    def trap(self):
        raise AssertionError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            SimpleNamespace(colour=Colour.RED, none=None, share=float("nan")),
            {"colour": "red", "none": None, "share": "nan"},
        ),
        ({1: "a", (2, 3): "b"}, {"1": "a", CUT: "b"}),
        ((b"bob@example.com", bytearray(b"\xff"), {13}), ["[email]", "\ufffd", [13]]),
        (object(), "<object>"),
        (iter([1]), "<list_iterator>"),
    ],
)
def test_values_are_read_without_running_them(value, expected):
    assert json.loads(rendered(value)) == expected


def test_no_code_of_the_host_runs():
    assert json.loads(rendered(Traps())) == {"note": "[email]", "inner": {"password": "[secret]", "count": 13}}


def test_what_is_large_deep_or_without_an_end_is_cut():
    endless: list[object] = []
    endless.append(endless)
    deep = json.loads(rendered(endless))
    while isinstance(deep, list):
        (deep,) = deep
    assert deep == CUT
    assert len(json.loads(rendered([11] * 10**6))) <= VALUES + 1
    assert len(rendered({str(number): number for number in range(10**5)})) <= MOST
    assert len(rendered("x" * 10**6)) == CHARACTERS + len(CUT) + 2
    assert len(rendered(["y" * 23_000] * 7)) < CHARACTERS + 100
    assert rendered(1 << 20_000) == '"<int>"'
    for value in ("\0" * 10**6, '"' * 10**6, {"a": ["\n" * 5_000] * 7}):
        text = rendered(value)
        assert len(text) <= MOST
        assert json.loads(text) != ""


def test_while_it_is_off_nothing_is_looked_at(monkeypatch):
    def looked(*_, **__):
        raise AssertionError

    monkeypatch.setattr(captured, "rendered", looked)
    before = guard.failures.total()
    with recording():
        by_hand()
    assert guard.failures.total() == before
    with recording(capture="redacted"):
        by_hand()
    assert guard.failures.total() > before
