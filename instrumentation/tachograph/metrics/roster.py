"""Which processes of one service are alive, and the last numbers of each, in a directory of their own.

A process holds a lock on its entry for as long as it lives, so neither a reused process id nor a crash deceives. What
it last counted stands in a file beside, which outlives it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tachograph.metrics.merge import Merger

try:
    import fcntl
except ImportError:  # Windows: each process is alone there
    fcntl = None

if TYPE_CHECKING:
    from collections.abc import Generator

    from tachograph.metrics.merge import Page

PATIENCE_S: Final = 1.0  # for the directory's lock, which others hold for milliseconds
_RETRY_S: Final = 0.005
_STARTED: Final = 19  # the place of the start time in /proc/PID/stat, counted behind the name
_ENTRY: Final = ".entry"
_NUMBERS: Final = ".numbers"
_LOCK: Final = "lock"
_MANY: Final = 64  # ended processes whose files are left as they are until somebody scrapes
_GENERATION: Final = "generation"
_PART: Final = ".part"
_ENDED: Final = "ended"


@dataclass(frozen=True, slots=True)
class Entry:
    """A process, and where on this machine it tells its numbers to whoever knows the secret."""

    id: str
    port: int
    secret: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The processes that are gone: how many, and what they counted."""

    count: int
    page: Page


def place(directory: str | None, service: str, host: str, port: int) -> Path:
    """The directory of those who share `service` and /metrics on `host`:`port`, made if it is not there.

    Raises OSError when it cannot be made or others could read or change it.
    """
    if fcntl is None:
        raise OSError("this system has no locks that end with their process")
    base = Path(directory) if directory else Path(tempfile.gettempdir()) / f"tachograph-{os.getuid()}"
    key = "\0".join((_network(), service, host, str(port)))
    path = base / hashlib.sha256(key.encode()).hexdigest()[:16]
    for one in (base, path):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = one.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{one} is not a directory of this user alone")
    return path


def _network() -> str:
    """The network that a port belongs to: containers may share a directory, and not the loopback."""
    try:
        return str(Path("/proc/self/ns/net").readlink())
    except OSError:
        return ""


def _supervisor() -> str:
    """The process that starts workers like this one; empty for a shell or init, and where there is no /proc.

    It runs on the same interpreter, as gunicorn and uvicorn do. Its start time tells it from a later one of its id.
    """
    process = Path(f"/proc/{os.getppid()}")
    try:
        if (process / "exe").readlink() != Path("/proc/self/exe").readlink():
            return ""
        started = (process / "stat").read_text().rpartition(")")[2].split()[_STARTED]
    except (OSError, IndexError):
        return ""
    return f"{process.name} {started}"


class Roster:
    """The directory of one service's processes. Whatever raises raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fds: set[int] = set()  # what a forked child has to close, or the locks would outlive their process

    @contextmanager
    def locked(self, patience_s: float = PATIENCE_S) -> Generator[None]:
        """Keeps other processes from entering and from summing up the ended ones; raises TimeoutError."""
        deadline = time.monotonic() + patience_s
        while True:
            self._path.mkdir(mode=0o700, exist_ok=True)  # the last process or a tidied temporary directory took it away
            with self._opened(_LOCK, os.O_CREAT | os.O_RDWR) as fd:
                if _lock(fd, shared=False) and self._is_current(fd):
                    yield
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._path} is locked by another process")
            time.sleep(_RETRY_S)

    def _is_current(self, fd: int) -> bool:
        """Whether a file is the lock that others see too: it may have been taken away while we waited for it."""
        try:
            return os.fstat(fd).st_ino == (self._path / _LOCK).stat().st_ino
        except FileNotFoundError:
            return False

    def enter(self, entry: Entry) -> int:
        """Adds a process, alive until the returned file is closed by `leave`; under the lock."""
        path = self._path / (entry.id + _ENTRY)
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._fds.add(fd)
        os.write(fd, json.dumps([entry.port, entry.secret]).encode())
        _lock(fd, shared=False)
        return fd

    def leave(self, fd: int) -> None:
        """Ends a process that has entered; its numbers stay."""
        self._release(fd)

    def has(self, id_: str) -> bool:
        """Whether the entry of a process is still there."""
        return (self._path / (id_ + _ENTRY)).exists()

    def living(self) -> list[Entry]:
        """The processes that are alive; under the lock."""
        found: list[Entry] = []
        for path in sorted(self._path.glob("*" + _ENTRY)):
            if self._alive(path):
                port, secret = json.loads(path.read_bytes())
                found.append(Entry(path.stem, port, secret))
        return found

    def keep(self, id_: str, numbers: bytes) -> None:
        """Puts the numbers of a process, a page as JSON, in the place of its earlier ones."""
        self._write(id_ + _NUMBERS, numbers)

    def kept(self, id_: str) -> Page:
        """The last numbers of a process that were kept; none when there were none."""
        try:
            return json.loads((self._path / (id_ + _NUMBERS)).read_bytes())
        except FileNotFoundError:
            return []

    def begin(self) -> None:
        """Begins at 0 unless the same supervisor still runs; under the lock, when nobody is alive.

        All workers of a service may be replaced at one moment, and the service goes on.
        """
        now = _supervisor()
        if now and now == self._generation():
            return
        for path in self._path.iterdir():
            if path.suffix in {_ENTRY, _NUMBERS, _PART} or path.name == _ENDED:
                path.unlink(missing_ok=True)
        self._write(_GENERATION, now.encode())

    def _generation(self) -> str:
        try:
            return (self._path / _GENERATION).read_text()
        except FileNotFoundError:
            return ""

    def end(self, *, for_good: bool) -> None:
        """Takes the directory away when nobody is alive and, unless it is `for_good`, no supervisor goes on."""
        if self.living() or not (for_good or not _supervisor()):
            return
        for path in self._path.iterdir():
            path.unlink(missing_ok=True)
        self._path.rmdir()

    def tidy(self) -> None:
        """Sums the ended processes up when they have become many; under the lock."""
        if len(list(self._path.glob("*" + _ENTRY))) > _MANY:
            self.ended()

    def ended(self) -> Ended:
        """What the processes that are gone have counted; under the lock.

        Their files become one. It names those that it holds, so that a crash in between counts nobody twice.
        """
        try:
            count, ids, page = json.loads((self._path / _ENDED).read_bytes())
        except FileNotFoundError:
            count, ids, page = 0, list[str](), list[dict[str, Any]]()
        gone = [path for path in self._path.glob("*" + _ENTRY) if not self._alive(path)]
        new = [path for path in gone if path.stem not in ids]
        if new:
            merger = Merger()
            merger.add(page, ended=True)
            for path in new:
                merger.add(self.kept(path.stem), ended=True)
            count, page = count + len(new), merger.page()
            self._write(_ENDED, json.dumps([count, [path.stem for path in gone], page]).encode())
        for path in gone:
            path.with_suffix(_NUMBERS).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        return Ended(count, page)

    def after_fork(self) -> None:
        """Lets go, in a forked child, of what the parent holds."""
        fds, self._fds = self._fds, set[int]()
        for fd in fds:
            with suppress(OSError):
                os.close(fd)

    def _alive(self, path: Path) -> bool:
        with self._opened(path.name, os.O_RDONLY) as fd:
            return not _lock(fd, shared=True)

    def _write(self, name: str, text: bytes) -> None:
        """All of a file or nothing: a reader sees the text before or this one."""
        part = self._path / f"{name}.{os.getpid()}{_PART}"
        part.write_bytes(text)
        part.replace(self._path / name)

    @contextmanager
    def _opened(self, name: str, flags: int) -> Generator[int]:
        fd = os.open(self._path / name, flags, 0o600)
        self._fds.add(fd)
        try:
            yield fd
        finally:
            self._release(fd)

    def _release(self, fd: int) -> None:
        self._fds.discard(fd)
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was just forked may still have the file open
        os.close(fd)


def _lock(fd: int, *, shared: bool) -> bool:
    locks: Any = fcntl
    try:
        locks.flock(fd, (locks.LOCK_SH if shared else locks.LOCK_EX) | locks.LOCK_NB)
    except BlockingIOError:
        return False
    return True
