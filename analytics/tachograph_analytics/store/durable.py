"""Files that are either whole or not there, also after a power cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARTIAL = ".partial"


def write_durably(path: Path, write: Callable[[Path], None]) -> int:
    """Makes the file at `path` by `write`, durable under its final name only; returns its bytes."""
    partial = path.with_name(path.name + PARTIAL)
    # Made here and for the owner alone; who writes to it opens what is there.
    os.close(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    write(partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    size = partial.stat().st_size
    partial.replace(path)
    sync_directory(path.parent)
    return size


def sync_directory(directory: Path) -> None:
    """Makes the names in `directory` durable: a new, renamed or deleted file is only then certain."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
