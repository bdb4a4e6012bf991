"""One chain's file: JSON lines, appended and synced, by the one process that made it.

A file a process needs no lock between processes, and a killed one can tear no more than its own last line.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".jsonl"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_OPEN: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)  # a link that waits there would choose where we write
)


def prepare(folder: Path) -> str:
    """Makes the folder, for its owner alone, and gives a sentence for the report; never raises."""
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "Permission denied")
    except OSError as error:
        return f"audit: {folder} takes no file ({error.strerror}): no entry will be on record; name another folder"
    return f"audit: entries are chained in a file of {folder}"


class AuditFile:
    """A file that only grows. `OSError` means that nothing of what was to be appended is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self._file = os.open(path, _OPEN, _FILE_MODE)
        self._size = 0
        self._torn = False
        _sync_folder(path.parent)

    def append(self, lines: bytes) -> None:
        """Writes the lines and waits until they are on the disk."""
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            self._cut()
            raise
        self._size += len(lines)

    def _cut(self) -> None:
        try:
            os.ftruncate(self._file, self._size)  # half a line in the middle would look like tampering
        except OSError:
            self._torn = True

    @property
    def over(self) -> bool:
        """Whether nothing more can be appended: the file was removed, or ends in half a line."""
        return self._torn or os.fstat(self._file).st_nlink == 0

    def discard(self) -> None:
        """Takes away a file that got no line."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Frees the file; nothing is buffered here."""
        with contextlib.suppress(OSError):
            os.close(self._file)


def _sync_folder(folder: Path) -> None:
    """A file that was just made survives a power cut only once its folder is synced."""
    with contextlib.suppress(OSError):  # some file systems refuse it for folders
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
