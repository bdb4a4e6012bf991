"""The program as a process: it has our terminal, gets our signals, and we end as it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM")
_RELAYED = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
# What a terminal sends by itself to all processes in its foreground, the program among them.
_OF_TERMINAL = frozenset(getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name))
_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when its parent ends


@dataclass(slots=True)
class _Relay:
    """Hands signals on to the program; those that come before it has begun, as soon as it has."""

    process: subprocess.Popen[bytes] | None = None
    early: list[int] = field(default_factory=list[int])
    apart: bool = False  # whether the program has a process group of its own

    def __call__(self, number: int, _frame: object) -> None:
        if self.process is None:
            self.early.append(number)
        elif self.apart or number not in _OF_TERMINAL or not _in_foreground():
            self.process.send_signal(number)

    def begin(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        for number in self.early:
            process.send_signal(number)


def _in_foreground() -> bool:
    """Whether a terminal sends us, and so the program, its own signals."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _of_a_shell() -> bool:
    """Whether a shell with job control has us as a job: in the foreground, or for `fg` to bring there."""
    return _in_foreground() or (os.getpid() == os.getpgrp() and os.isatty(0))


def _tie() -> Callable[[], None] | None:
    """What ends the program when we are killed, for its process to call; None where the system has no such thing."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _started(command: Sequence[str], tie: Callable[[], None] | None) -> subprocess.Popen[bytes]:
    """The program's process; with a tie in a process group of its own.

    Open files are inherited as they would be without us; our own are closed by themselves.
    """
    if tie is None:
        return subprocess.Popen(command, close_fds=False)  # noqa: S603 - the user's own program
    return subprocess.Popen(  # noqa: S603 - as above
        command,
        close_fds=False,
        process_group=0,
        preexec_fn=tie,  # noqa: PLW1509 - it takes no lock: one call of a function that is loaded already
    )


def run(command: Sequence[str]) -> int:
    """Runs the command to its end; gives its exit code, negative where a signal ended it.

    What is sent to our whole process group, as by `timeout`, would come to a program of that group twice, from us too.
    So it has its own, unless a shell with job control needs the two in one.
    """
    tie = None if _of_a_shell() else _tie()
    relay = _Relay(apart=tie is not None)
    before = {number: signal.getsignal(number) for number in _RELAYED}
    # What we were told to ignore, as under nohup, the program ignores too: a handler would not be inherited as that.
    replaced = {number: handler for number, handler in before.items() if handler not in {signal.SIG_IGN, None}}
    for number in replaced:
        signal.signal(number, relay)
    try:
        with _started(command, tie) as process:
            relay.begin(process)
            return process.wait()
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def end_like(code: int) -> int:
    """The exit code to end with; where a signal ended the program, the same one ends this process here."""
    if code >= 0:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core file is enough
        signal.signal(-code, signal.SIG_DFL)
    except (ImportError, OSError, ValueError):  # of a signal that cannot be handled, say
        pass
    os.kill(os.getpid(), -code)
    return 128 - code  # as a shell says it, should the signal be late
