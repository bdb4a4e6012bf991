"""How often the decoder began at one place of the WAL: what ends the process must not end it for ever."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tachograph_analytics.store.manifest import Position

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def begun(note: Path, position: Position) -> Generator[int]:
    """Notes that work at `position` begins; gives how often it began before and the process died of it.

    The note is gone when the block ends, also by an exception: a full disk is nobody's fault. It is not made durable,
    since a power cut says nothing of what was being decoded.
    """
    deaths = _deaths(note, position)
    note.write_text(f"{position.segment} {position.offset} {deaths + 1}", "ascii")
    try:
        yield deaths
    finally:
        note.unlink(missing_ok=True)


def _deaths(note: Path, position: Position) -> int:
    try:
        segment, offset, times = map(int, note.read_text("ascii").split())
    except (FileNotFoundError, ValueError):  # none, or torn by the death itself
        return 0
    return times if Position(segment, offset) == position else 0
