"""Steps that nobody finished and the garbage collector ends, in the middle of whatever else the thread does.

A program of its own: where it goes wrong the interpreter dies.
"""

from __future__ import annotations

import gc
import sys

import tachograph
from tachograph.run import current_tool
from tachograph.testing import recording


@tachograph.tool("stream")
def stream():
    yield 11


@tachograph.tool("astream")
async def astream():
    yield 11


def inside():
    with tachograph.tool("inside"):
        yield 11


def first(kind: str) -> object:
    if kind == "astream":
        generator = astream()
        try:
            generator.__anext__().send(None)  # by hand, so that no event loop closes it
        except StopIteration:
            return generator
    generator = stream() if kind == "stream" else inside()
    next(generator)
    return generator


class Holder:
    """A cycle that holds an open generator."""

    def __init__(self, generator: object) -> None:
        self.generator = generator
        self.holder = self


def main(kind: str) -> None:
    gc.set_threshold(61)
    with recording() as recorded:
        for _ in range(1_000):
            Holder(first(kind))
            with tachograph.tool("other"):
                pass
        gc.collect()
        print(current_tool(), len(recorded.sdk_spans()))  # noqa: T201 - what the test compares


main(sys.argv[1])
