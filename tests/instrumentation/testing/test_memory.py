from __future__ import annotations

import threading
from typing import Any

import pytest

import tachograph
from tachograph.testing import recording


class Interrupted(list[Any]):
    """Where an exporter keeps things: the garbage collector ends another step while the first is put here."""

    def extend(self, items: Any) -> None:
        if not self:
            self.append(None)
            with tachograph.tool("abandoned"):
                tachograph.budget("turns", limit=13, used=11)
            self.remove(None)
        super().extend(items)


@pytest.mark.parametrize(("exporter", "kept"), [("_spans", "_finished_spans"), ("_logs", "_logs")])
def test_a_step_that_ends_in_the_middle_of_anothers_export_is_recorded_too(exporter: str, kept: str):
    def play() -> None:
        with recording() as recorded:
            setattr(getattr(recorded, exporter), kept, Interrupted())
            with tachograph.tool("first"):
                tachograph.budget("turns", limit=17, used=11)
        names.extend(span["name"] for span in recorded.spans())

    names: list[Any] = []
    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    thread.join(10)
    assert sorted(names) == ["execute_tool abandoned", "execute_tool first"]
