"""What `tachograph demo` plays: five weeks of all agents, then real time, or recordings instead of both."""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tachograph.config import read as settings
from tachograph.demo import exposition, fleet, openmetrics
from tachograph.demo.airline.replay import read
from tachograph.demo.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from tachograph.demo.world import World

_AT_ONCE: Final = 2  # each takes a whole processor, and the decoder wants some too


def play_history(
    world: World, agents: Sequence[str], endpoint: str, *, metrics: Path | None = None, tape: Path | None = None
) -> None:
    """Plays the five weeks of `agents`; writes the last /metrics of all, and their last days as OpenMetrics."""
    with tempfile.TemporaryDirectory(prefix="tachograph-demo-") as folder:
        pages = {agent: Path(folder, f"{agent}.txt") for agent in agents} if metrics else {}
        tapes = {agent: Path(folder, f"{agent}.tape") for agent in agents} if tape else {}
        parts = [
            Part(
                "history",
                agent,
                endpoint,
                seed=world.seed,
                until=world.until,
                runs=world.requests(agent),
                metrics=_name(pages.get(agent)),
                tape=_name(tapes.get(agent)),
            )
            for agent in sorted(agents, key=world.requests, reverse=True)  # the longest first, or all wait for it
        ]
        _play("five weeks", parts, sum(map(world.requests, agents)))
        if metrics:
            metrics.write_bytes(exposition.merged({agent: page.read_text("utf-8") for agent, page in pages.items()}))
        if tape:
            openmetrics.write(tape, tapes, world.until)


def play_recordings(
    trajectories: Path, endpoint: str, *, metrics: Path | None = None, pace: float | None = None
) -> None:
    """Plays the recorded airline runs in real time; writes the last /metrics. With a `pace` there is no end."""
    part = Part(
        "recordings",
        "airline",
        endpoint,
        pace=pace,
        trajectories=str(trajectories),
        metrics_port=next(_ports()),
        metrics=_name(metrics),
    )
    _play("airline", [part], len(read(trajectories)) if pace is None else None)


def play_live(world: World, agents: Sequence[str], endpoint: str, pace: float) -> None:
    """Goes on where the history ended, without end: a run of each agent every `pace` seconds."""
    parts = [
        Part(
            "live",
            agent,
            endpoint,
            seed=world.seed,
            pace=pace,
            metrics_port=port,
        )
        for agent, port in zip(agents, _ports(), strict=False)
    ]
    fleet.play(parts, _shown, at_once=len(parts))


def _ports() -> Iterator[int]:
    """The ports of /metrics, one agent's after the other's; where the first is any free one, so are all."""
    first = settings().metrics_port
    return itertools.count(first, 1 if first else 0)


def _name(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _play(what: str, parts: Sequence[Part], total: int | None) -> None:
    with _progress(what, total) as advance:

        def told(part: Part, fact: Mapping[str, Any]) -> None:
            _shown(part, fact)
            if "played" in fact:
                advance()

        fleet.play(parts, told, at_once=_AT_ONCE)


def _shown(_part: Part, fact: Mapping[str, Any]) -> None:
    if "report" in fact:
        sys.stdout.write(f"{fact['report']}\n")
        sys.stdout.flush()


@contextlib.contextmanager
def _progress(what: str, total: int | None) -> Generator[Callable[[], None]]:
    """A progress bar where rich is installed, else one line at the end."""
    (found,) = entry_points(group="tachograph.services", name="progress")
    with contextlib.ExitStack() as stack:
        try:
            advance: Callable[[], None] = stack.enter_context(found.load()(what, total))
        except ModuleNotFoundError:
            advance = _nothing
        yield advance
    if advance is _nothing:
        sys.stdout.write(f"{what}: {total or 'all'} runs\n")


def _nothing() -> None:
    """Where there is no bar to move."""
