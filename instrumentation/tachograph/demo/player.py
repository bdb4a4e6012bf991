"""One agent at play in a process of its own: `python -m tachograph.demo.player PART`.

It tells on its standard output, one JSON object a line, what it has hooked (`report`), each run (`played`) and why it
failed (`failed`). It ends when it is told to, or when its standard input ends, as then its parent is gone.
"""

from __future__ import annotations

import itertools
import random
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from tachograph.demo.arrivals import Arrival
from tachograph.demo.clock import WallClock
from tachograph.demo.history import play_history
from tachograph.demo.part import Kind, Part
from tachograph.demo.stage import FLUSH_EVERY, deliver, recorded, tell
from tachograph.demo.traffic import traffic
from tachograph.errors import UsageError
from tachograph.instrument import exposition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _play_live(part: Part) -> None:
    agent, clock = traffic(part.agent), WallClock()
    with recorded(part, agent.MODULES, metrics_port=part.metrics_port):
        play = agent.player(clock, part.seed)
        for number in itertools.count(int(clock.now())):  # as sessions are numbered, one that never comes again
            now = clock.now()
            play(Arrival(number, now, 0.0, random.Random(f"{part.seed} {part.agent} {number} {now}")))
            tell(played=1)
            if _left_alone(part.pace):
                return


def _play_recordings(part: Part) -> None:
    from tachograph.demo.airline.agent import AirlineAgent
    from tachograph.demo.airline.replay import Replay, read
    from tachograph.demo.airline.traffic import MODULES

    recordings = read(Path(part.trajectories) if part.trajectories else None)
    with recorded(part, MODULES, metrics_port=part.metrics_port):
        for number, recording in enumerate(recordings if part.pace is None else itertools.cycle(recordings)):
            replay = Replay(recording)
            AirlineAgent(replay, replay).handle(replay.conversation())
            tell(played=1)
            if number % FLUSH_EVERY == 0:
                deliver()
            if part.pace is not None and _left_alone(part.pace):
                break
        deliver()
        if part.metrics:
            Path(part.metrics).write_bytes(exposition())


def _left_alone(seconds: float | None) -> bool:
    """Whether the standard input ended within so many seconds."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


_PLAYS: Final[Mapping[Kind, Callable[[Part], None]]] = {
    "history": play_history,
    "live": _play_live,
    "recordings": _play_recordings,
}


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argument: str) -> int:
    """Plays one part; returns the exit code: 2 where the reason was told, 130 where it was interrupted."""
    part = Part.of(argument)
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            _PLAYS[part.kind](part)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway, and no interrupt may disturb that
    except UsageError as error:
        tell(failed=str(error))
        return 2
    except (KeyboardInterrupt, BrokenPipeError):  # told to stop, or nobody listens any more
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
