"""What is asked of the plain agent, in parts that are played alone."""

from __future__ import annotations

import asyncio
import threading

from instrumentation.faults import byhand, plain
from instrumentation.faults.exceptions import seen


def steps() -> object:
    request = plain.Request("r-13")
    got: list[object] = [seen(plain.handle, request), seen(plain.handle, plain.Request("r-17", "boom"))]
    got += [seen(plain.run_step, "one"), seen(plain.run_turn, 3), seen(plain.validate_prompt, "4111")]
    got += [seen(plain.validate_output, "x"), seen(plain.validate_tool_call, "refund", {"amount": 666})]
    got += [seen(plain.combine, ["a", "b"]), seen(plain.delegate, "refunds", "task-13"), seen(plain.plan, "x")]
    got += [seen(plain.check_budget, "turns", 3, 3), seen(plain.evaluate, "case-17", "live")]
    got += [seen(plain.release_gate, "canary"), seen(plain.fallback_model, "x"), seen(plain.handle)]
    got += [seen(lambda: plain.answer_degraded("model", TimeoutError(), disclosed=True))]
    return [*got, seen(plain.execute, "x")]


def waits() -> object:
    got = [seen(plain.handle, plain.Request("r-19", "wait")) for _ in range(2)]
    pending = plain.Pending("ask-17", "r-19", "pay", {"a": 1})
    got += [seen(plain.resume, pending, {"approved": approved}) for approved in (True, False)]
    got += [seen(plain.resume, pending, "approved")]
    got += [seen(plain.request_approval, "pay", {}, "", "pause", []), seen(plain.approve, "refund", "nobody")]
    return [*got, seen(plain.confirm, "refund"), seen(plain.record_audit, "write", "refund")]


def tools() -> object:
    calls: list[dict[str, object]] = [{"a": 1}, {"booking": "gone"}, {"booking": "open"}]
    got = [seen(plain.call_tool, "lookup", args) for args in calls]
    got += [seen(plain.call_tool, tool, {"a": 1}) for tool in ("slow", "wrong", "refund")]
    got += [seen(plain.validate_tool_args, "refund", {"booking": 13}), seen(plain.validate_tool_result, "lookup", {})]
    got += [seen(plain.authorize, role, "refund") for role in ("clerk", "nobody")]
    return [
        *got,
        asyncio.run(plain.execute_tool("lookup", {})),
        seen(plain.run_tool, 13),
        plain.run_tool("lookup", byhand.nested),
    ]


def semaphores() -> object:
    async def slots() -> object:
        await plain.SLOTS.acquire()
        plain.SLOTS.release()
        return plain.SLOTS.locked()

    async def interrupted() -> object:
        plain.SLOTS._loop = None  # it is used in a loop of its own each time
        for _ in range(3):
            await plain.SLOTS.acquire()
        waiting = asyncio.ensure_future(plain.SLOTS.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        got = await asyncio.gather(waiting, return_exceptions=True)
        for _ in range(3):
            plain.SLOTS.release()
        return type(got[0])

    got: list[object] = [plain.DOOR.acquire(), plain.DOOR.acquire(), plain.DOOR.acquire(blocking=False)]
    plain.DOOR.release(2)
    return [*got, seen(plain.DOOR.release), asyncio.run(slots()), asyncio.run(interrupted())]


def models() -> object:
    got: list[object] = [seen(plain.complete, prompt) for prompt in ("hello", "bare", "boom")]
    got += [seen(plain.generate, "hello"), seen(plain.generate, "bare")]
    generator = plain.chat(4)
    got += [next(generator), generator.send(11), generator.throw(plain.BoomError()), generator.close()]
    return [*got, asyncio.run(_streamed())]


async def _streamed() -> list[object]:
    return [item async for item in plain.llm(2)]


def caches() -> object:
    got: list[object] = []
    for key in ("a:acme", ("acme", 17), plain.Key("acme"), frozenset({"a"}), plain.Base, "0" * 32):
        plain.WORDS.put(key, 13)
        got += [plain.WORDS.get(key), plain.WORDS.delete(key)]
    plain.CACHE.set("acme", "q", "a")
    return [*got, plain.CACHE.get("acme", "q"), plain.CACHE.get("acme", "other")]


def methods() -> object:
    child = plain.Child()
    got: list[object] = [child.route("x"), child.use_tool("lookup", {"a": 1}), child.combine([11, 13])]
    return [*got, plain.Child.decompose("a b"), asyncio.run(child.run("y"))]


class Target(plain.Child):
    """An instance that is hooked holds a cache and a semaphore of its own."""

    __slots__ = ("door", "word_cache")

    def __init__(self) -> None:
        self.word_cache = plain.WordCache()
        self.door = threading.Semaphore(2)

    def call_tool(self, tool: str) -> str:
        with self.door:
            self.word_cache.put(tool, 13)
        return tool


PARTS = (caches, methods, semaphores, models, tools, waits, steps)
