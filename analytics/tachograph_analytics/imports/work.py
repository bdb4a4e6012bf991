"""Importing: the files one after the other, document by document; what is broken is named and the rest goes on."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from tachograph.errors import UsageError
from tachograph_analytics.imports.document import Broken, documents
from tachograph_analytics.imports.request import Batches, Counted, NoOtlpError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from tachograph_analytics.imports.sink import Sink

STDIN: Final = "-"


@dataclass(slots=True)
class Done:
    """What became of an import; `broken` are sentences that name file and place."""

    files: int = 0
    counted: Counted = field(default_factory=Counted)
    broken: list[str] = field(default_factory=list[str])


def sources(given: Iterable[str]) -> list[str]:
    """The files that are meant: those named, all files of folders, `-` for stdin; UsageError for what is not there."""
    found: list[str] = []
    for each in given:
        path = Path(each)
        if each == STDIN or path.is_file() or path.is_fifo():
            found.append(each)
        elif path.is_dir():
            found += sorted(str(file) for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        else:
            raise UsageError(f"there is no file or folder {each}")
    if not found:
        raise UsageError(f"there is no file in {', '.join(given)}")
    return list(dict.fromkeys(found))


def size(files: Iterable[str]) -> int | None:
    """The bytes of all files together; None where one does not say."""
    paths = [Path(file) for file in files]
    if any(str(path) == STDIN or not path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)


def bring_in(files: Iterable[str], sink: Sink, advance: Callable[[int], None]) -> Done:
    """Imports the files; what is in them can be queried when this returns. UsageError where nothing takes it."""
    done = Done()
    batches = Batches(sink.send, done.counted)
    for name in files:
        done.files += 1
        try:
            with _opened(name) as file:
                done.broken += _read(name, file, batches, advance)
        except OSError as error:
            done.broken.append(f"{name} cannot be read: {error.strerror or error}")
    batches.flush()
    sink.settle()
    return done


@contextmanager
def _opened(name: str) -> Generator[BinaryIO]:
    if name == STDIN:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb", buffering=0) as file:
        yield file


def _read(name: str, file: BinaryIO, batches: Batches, advance: Callable[[int], None]) -> list[str]:
    broken: list[str] = []
    for found in documents(file, advance):
        where = f"{name}, {found.where}" if found.where else name
        if isinstance(found, Broken):
            broken.append(f"{where}: {found.reason}")
            continue
        try:
            batches.add(found)
        except NoOtlpError as error:
            broken.append(f"{where}: {error}")
    return broken
