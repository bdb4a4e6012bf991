"""Progress of long work, on a terminal's stderr."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator

Unit = Literal["steps", "bytes"]


class Advance(Protocol):
    """Says that work went on."""

    def __call__(self, by: float = 1, /) -> None:
        """Says by how many steps or bytes."""
        ...


@contextlib.contextmanager
def progress(what: str, total: int | None, unit: Unit = "steps") -> Generator[Advance]:
    """A bar of `total` steps or bytes, or of as many as there will be; call what the block gets as the work goes on."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    counted = DownloadColumn(binary_units=True) if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)

        def advance(by: float = 1, /) -> None:
            bar.advance(task, by)

        yield advance
