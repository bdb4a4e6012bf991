"""An agent whose functions are decorated, one of each kind, and whose blocks are entered in any order and thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

from instrumentation.faults.exceptions import BoomError, raised, same, seen

import tachograph


@tachograph.tool("lookup", effect="write", tier=1)
def lookup(key: str, *, limit: int = 13) -> str:
    if key == "boom":
        raise BoomError(key)
    return f"{key}:{limit}"


@tachograph.llm_call("gpt-4o")
async def ask(key: str) -> str:
    await asyncio.sleep(0)
    if key == "boom":
        raise BoomError(key)
    return key


@tachograph.tool("stream")
def stream(count: int):
    total = 0
    for number in range(count):
        try:
            total += (yield number) or 0
        except BoomError:
            total += 100
    return total


@tachograph.run("streaming")
async def astream(count: int):
    total = 0
    for _ in range(count):
        try:
            total += (yield total) or 0
        except BoomError:
            total += 100


@tachograph.tool("later")
def later(key: str):
    return asyncio.ensure_future(ask.__wrapped__(key))


@tachograph.tool("coroutine")
def coroutine(key: str):
    return ask.__wrapped__(key)


@tachograph.run("raising")
def raising(error: Exception) -> None:
    raise error


@tachograph.run("answering")
def answering(text: str) -> str:
    return text


@tachograph.turn()
def turning(text: str) -> str:
    return text


def function() -> object:
    return seen(lookup, "a")


def functions() -> object:
    return [
        seen(lookup, "a"),
        seen(lookup, "boom"),
        seen(lookup),
        same(raising),
        seen(lookup, b"13"),
        entered(),
        answering("a"),
        turning("b"),
    ]


def entered() -> object:
    """The blocks' own exceptions, and what `with` passes on."""

    def inside(error: Exception) -> None:
        with tachograph.tool("refund"), tachograph.turn():
            raise error

    return same(inside), seen(inside, BoomError("13"))


def generators() -> object:
    generator = stream(5)
    got: list[object] = [next(generator), generator.send(11), generator.throw(BoomError()), generator.send(13)]
    left = stream(3)
    got += [next(left), left.close(), list(stream(2))]
    broken = stream(2)
    next(broken)
    got.append(seen(broken.throw, ValueError("17")))
    return [*got, seen(stream("x").__next__)]


async def _coroutines() -> list[object]:
    got: list[object] = [await ask("a"), await later("b"), await coroutine("c")]
    for function in (ask, later, coroutine):
        try:
            await function("boom")
        except BoomError as error:
            got.append(raised(error))
    cancelled = later("d")
    cancelled.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await cancelled
    slow = asyncio.ensure_future(ask("e"))
    await asyncio.sleep(0)
    slow.cancel()
    got.append((await asyncio.gather(slow, return_exceptions=True))[0].__class__)
    generator = astream(4)
    got += [await anext(generator), await generator.asend(11), await generator.athrow(BoomError())]
    await generator.aclose()
    async with tachograph.turn("async") as turn:
        got.append(turn is not None)
    return got


def coroutines() -> object:
    return asyncio.run(_coroutines())


def threads() -> object:
    """Work in a pool and in a thread of the host's own, below a run."""

    def work(key: str) -> object:
        return seen(lookup, key), tachograph.run_id() is not None

    with tachograph.run("pooled"), tachograph.tool("outer"), ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(work, key) for key in ("a", "boom")]
        got = [future.result()[0] for future in futures]
    mine: list[object] = []
    thread = threading.Thread(target=lambda: mine.append(seen(lookup, "thread")))
    thread.start()
    thread.join()
    return got + mine


def out_of_order() -> object:
    """Steps that are left in another order than they were entered in, and in another context."""
    outer, inner = tachograph.run("outer"), tachograph.turn("inner")
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)
    with tachograph.turn("next"):
        pass
    return None


PARTS = (function, functions, generators, coroutines, threads, out_of_order)
