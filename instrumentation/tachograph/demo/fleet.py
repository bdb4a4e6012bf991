"""Players as processes: started, listened to, and ended with the one who started them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from typing import IO, TYPE_CHECKING, Any, Final, cast

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from tachograph.demo.part import Part

_STOP_S: Final = 10.0  # to deliver what is waiting
# Of one player: what FLUSH_EVERY runs leave behind must fit, or some of it is dropped.
_QUEUE: Final = {"OTEL_BSP_MAX_QUEUE_SIZE": "20000", "OTEL_BLRP_MAX_QUEUE_SIZE": "20000"}
_MOST_AT_ONCE: Final = 65_536  # bytes, what a pipe holds


@dataclass(slots=True)
class _Player:
    part: Part
    process: subprocess.Popen[bytes]
    begun: bytes = b""  # of a line whose end has not come yet

    @property
    def voice(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stdout)

    def lines(self, said: bytes) -> list[bytes]:
        """The lines that `said` ends or has in it."""
        *whole, self.begun = (self.begun + said).split(b"\n")
        return whole


def play(parts: Sequence[Part], told: Callable[[Part, Mapping[str, Any]], None], *, at_once: int) -> None:
    """Plays all parts, `at_once` of them side by side, and calls `told` with each thing that a player tells.

    Raises UsageError with the reason of the first player that fails; however it ends, no player is left behind.
    """
    waiting = deque(parts)
    with _company() as players, DefaultSelector() as selector:
        while waiting or players:
            while waiting and len(players) < at_once:
                player = _start(waiting.popleft())
                players.append(player)
                selector.register(player.voice, EVENT_READ, player)
            for key, _ in selector.select():
                player = cast("_Player", key.data)
                said = os.read(player.voice.fileno(), _MOST_AT_ONCE)
                for line in player.lines(said):
                    _hear(player.part, json.loads(line), told)
                if not said:
                    selector.unregister(player.voice)
                    players.remove(player)
                    _ended(player)


def _start(part: Part) -> _Player:
    command = [sys.executable, "-m", "tachograph.demo.player", part.json()]
    # In a session of its own a player does not get the terminal's Ctrl-C: it is told to stop once, by us. Its standard
    # input is never written to: it ends when we do. Unbuffered, nothing that was told hides from the selector.
    process = subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=os.environ | _QUEUE,
        start_new_session=True,
    )
    return _Player(part, process)


@contextmanager
def _company() -> Generator[list[_Player]]:
    """The players that are at it; those who still are at the end of the block are stopped."""
    players: list[_Player] = []
    try:
        yield players
    finally:
        for player in players:
            player.process.terminate()
        for player in players:
            _wait(player)


def _wait(player: _Player) -> int:
    try:
        code = player.process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        player.process.kill()
        code = player.process.wait()
    player.voice.close()
    cast("IO[bytes]", player.process.stdin).close()
    return code


def _hear(part: Part, fact: Mapping[str, Any], told: Callable[[Part, Mapping[str, Any]], None]) -> None:
    if "failed" in fact:
        raise UsageError(f"the {part.agent} agent stopped: {fact['failed']}")
    told(part, fact)


def _ended(player: _Player) -> None:
    code = _wait(player)
    if code != 0:
        raise UsageError(
            f"the process of the {player.part.agent} agent ended with code {code}; what it wrote stands above."
        )
