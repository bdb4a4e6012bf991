"""One function of every kind, each named by the convention."""

# ruff: noqa: ARG001 - an agent's functions have the parameters of their kind

from __future__ import annotations

import asyncio
import contextlib
import functools


class BoomError(Exception):
    pass


def generate(prompt: str, /, *, temperature: float = 0.7) -> str:
    """Generates."""
    if prompt == "boom":
        raise BoomError(prompt)
    return prompt.upper()


async def complete(prompt: str) -> str:
    await asyncio.sleep(0)
    if prompt == "boom":
        raise BoomError(prompt)
    return prompt.upper()


def chat(count: int):
    total = 0
    try:
        for number in range(count):
            try:
                total += (yield number) or 0
            except BoomError:
                total += 100
    finally:
        CLOSED.append(total)
    return total


async def llm(count: int):
    total = 0
    try:
        for _ in range(count):
            try:
                total += (yield total) or 0
            except BoomError:
                total += 100
    finally:
        CLOSED.append(total)


CLOSED: list[int] = []


def blocking(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return asyncio.run(function(*args, **kwargs))

    return wrapper


@blocking
async def ask(question: str) -> str:
    await asyncio.sleep(0)
    return question.upper()


@contextlib.contextmanager
def run_step(name: str):
    yield name.upper()


class Base:
    __slots__ = ("answers",)

    def __init__(self) -> None:
        self.answers = 0

    def call_tool(self, tool: str, args: dict[str, object]) -> tuple[str, str]:
        return type(self).__name__, tool

    def route(self, text: str) -> str:
        return "base"

    @staticmethod
    def combine(results: list[int]) -> int:
        return sum(results)

    @classmethod
    def decompose(cls, text: str) -> list[str]:
        return [cls.__name__, *text.split()]

    @property
    def plan(self) -> str:
        return "a plan"

    async def run(self, text: str) -> str:
        await asyncio.sleep(0)
        return f"{text}:{self.route(text)}"


class Child(Base):
    __slots__ = ()

    def call_tool(self, tool: str, args: dict[str, object]) -> tuple[str, str]:
        name, called = super().call_tool(tool, args)
        return name, called.upper()

    def route(self, text: str) -> str:
        return "child of " + super().route(text)
