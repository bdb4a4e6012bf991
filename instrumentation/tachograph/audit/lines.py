"""The lines of an audit file, as they are read again: each with the record it holds and whether its hash fits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tachograph.audit.chain import FILED, digest
from tachograph.audit.entry import canonical
from tachograph.audit.file import SUFFIX
from tachograph.errors import UsageError
from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One line, counted from 1: `record` is None for what is no record; `torn` for a last one without its end.

    `hash` is what the record's hash must be; `sound` says that it is, and that the line is written as we write it.
    """

    number: int
    record: dict[str, Any] | None = None
    hash: str = ""
    sound: bool = False
    torn: bool = False

    @property
    def sequence(self) -> int:
        """The place that the record says it has; -1 without a record."""
        return -1 if self.record is None else int(self.record[n.AUDIT_SEQUENCE])


def files(paths: Iterable[Path]) -> list[Path]:
    """The files that are named, and those in the folders that are named; UsageError for what is none or not there."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.glob(f"*{SUFFIX}"))
        elif path.is_file():
            _require_audit_file(path)
            found.append(path)
        else:
            raise UsageError(f"there is no audit file or folder {path}: look at TACHOGRAPH_AUDIT_DIR of the agent.")
    return found


def _require_audit_file(path: Path) -> None:
    """UsageError for a file that has text and no record; one that is named as ours are is damaged then."""
    if path.name.startswith(f"{FILED}_") or not path.stat().st_size:
        return
    if all(line.record is None and not line.torn for line in lines(path, None)):
        raise UsageError(f"{path} is no audit file: it has no record; an agent names its files {FILED}_….jsonl.")


def lines(path: Path, key: bytes | None) -> Iterator[Line]:
    """Each line of the file; UsageError where it cannot be read."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                yield _line(number, raw, key)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; run this as the user of the agent.") from error


def _line(number: int, raw: bytes, key: bytes | None) -> Line:
    if not raw.endswith(b"\n"):
        return Line(number, torn=True)
    try:
        record = _record(json.loads(raw))
        if record is None:
            return Line(number)
        hash_ = digest(record, key)
        return Line(number, record, hash_, record[n.AUDIT_HASH] == hash_ and canonical(record) + b"\n" == raw)
    except (ValueError, RecursionError):  # no JSON, or none of ours: we write no NaN and nothing nested
        return Line(number)


def _record(value: object) -> dict[str, Any] | None:
    """A JSON value that is a record by its fields."""
    if not isinstance(value, dict):
        return None
    record = cast("dict[str, Any]", value)
    texts = (record.get(n.AUDIT_CHAIN), record.get(n.AUDIT_HASH), record.get(n.AUDIT_PREVIOUS))
    sequence = record.get(n.AUDIT_SEQUENCE)
    placed = type(sequence) is int and sequence >= 0 and all(isinstance(text, str) for text in texts)
    return record if placed else None
