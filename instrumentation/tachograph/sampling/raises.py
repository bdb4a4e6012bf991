"""Sample rates that were raised for a while: a file with one JSON object a line, read without a restart."""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

CHECK_S: Final = 2.0  # between two looks at the file: soon enough for a person, too rare to be noticed on a disk
_MOST_BYTES: Final = 1_000_000  # a file that is longer is not one of ours

_log = logging.getLogger("tachograph")


@dataclass(frozen=True, slots=True)
class Raise:
    """Traces of `agent` are kept at `rate`, a share from 0 to 1, until `until`, seconds since 1970."""

    agent: str
    rate: float
    until: float

    @property
    def line(self) -> str:
        """The line of the file."""
        ends = datetime.fromtimestamp(self.until, UTC).isoformat(timespec="seconds")
        return json.dumps({"agent": self.agent, "rate": self.rate, "until": ends.replace("+00:00", "Z")})


def parse(text: str) -> tuple[Raise, ...]:
    """The raises of a file's text; ValueError says which line is none."""
    found: list[Raise] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(_raise(json.loads(line)))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(
                f'line {number} is not like {{"agent": "desk", "rate": 1, "until": "2026-01-31T12:00:00Z"}}'
            ) from error
    return tuple(found)


def _raise(said: Any) -> Raise:
    entry = cast("dict[str, Any]", said)
    agent, rate, until = entry["agent"], entry["rate"], datetime.fromisoformat(entry["until"])
    if not isinstance(agent, str) or isinstance(rate, bool) or not 0 <= rate <= 1 or until.tzinfo is None:
        raise ValueError("no agent, share or time with a zone")
    return Raise(agent, float(rate), until.timestamp())


def read(path: Path) -> tuple[Raise, ...]:
    """The raises in a file, none where there is no file; OSError and ValueError for one that cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return ()
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    return parse(content.decode())


def write(path: Path, raises: Iterable[Raise]) -> None:
    """Replaces the file in one step: who reads it meanwhile sees the old or the new one whole.

    The new one is made under a name that nobody can foresee, where nothing stood before: a link that somebody laid
    there in a folder of many users would have us write into another file. Others may read it: an agent need not run
    as the user who raises.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{one.line}\n" for one in raises)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


class RaiseFile:
    """The raises of a file as of the last look; `refresh` looks, at most every `CHECK_S` seconds.

    A file that cannot be read counts as empty and is complained about once, until it changes.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._looked = float("-inf")
        self._seen: tuple[int, ...] | None = None
        self._raises: tuple[Raise, ...] = ()

    def refresh(self) -> None:
        """Looks whether the file changed; this waits for the disk, so it is not for the agent's threads."""
        now = time.monotonic()
        if now - self._looked < CHECK_S:
            return
        self._looked = now
        seen = self._stamp()
        if seen == self._seen:
            return
        self._seen, self._raises = seen, ()
        try:
            self._raises = read(self._path)
        except (OSError, ValueError) as error:
            _log.warning("tachograph: the sampling file %s is passed over: %s", self._path, error)

    def rate(self, agents: Iterable[str], now: float) -> float:
        """The highest rate that holds for any of the agents at `now`, seconds since 1970; 0 for none."""
        named = frozenset(agents)
        return max((one.rate for one in self._raises if one.until > now and one.agent in named), default=0.0)

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino
