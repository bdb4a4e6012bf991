"""The tapes of all agents as one OpenMetrics text with times, of which promtool makes blocks for Prometheus.

A sample of every series at every step would be over a gigabyte, most of it the same values again. So counters and
gauges that move stand at each step; the parts of a histogram together at the steps at which one of them moves, at the
steps before those, and each hour; what stands still all the time each hour. Between two samples nothing has moved.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tachograph.demo.arrivals import DAY_S, HOUR_S
from tachograph.demo.tape import DAYS, STEP_S, STEPS, Series, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

JOB: Final = "agents"
"""The job under which Prometheus scrapes the agents: what comes later continues the same series."""

_HOUR: Final = HOUR_S // STEP_S
_Metric = frozenset[tuple[str, str]]
_BOUND: Final = "le"  # the label of a histogram's buckets
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def write(out: Path, tapes: Mapping[str, Path], until: float) -> None:
    """Writes every series of each agent's tape, with the labels of a scrape, from when it was first seen.

    Family by family, metric by metric, and each in time, as the format demands. The file has another name until it is
    whole.
    """
    families: dict[str, dict[_Metric, list[Series]]] = {}
    for agent, tape in tapes.items():
        for series in read(tape):
            series.labels.update(job=JOB, instance=agent)
            families.setdefault(series.family, {}).setdefault(_metric(series), []).append(series)
    begin = round(until) - DAYS * DAY_S
    unfinished = out.with_name(f"{out.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        for name, metrics in families.items():
            first = next(iter(metrics.values()))[0]
            file.write(f"# HELP {name} {first.help.translate(_ESCAPES)}\n# TYPE {name} {first.kind}\n")
            for metric in metrics.values():
                moves = {step for series in metric for step, _ in series.values[1:]}
                points = [
                    _points(series, _steps(series, moves, still=still), place, begin)
                    for place, (series, still) in enumerate(zip(metric, _still(metric), strict=True))
                ]
                file.writelines(line for _, _, line in heapq.merge(*points))
        file.write("# EOF\n")
    unfinished.replace(out)


def _metric(series: Series) -> _Metric:
    """What the buckets, the sum and the count of one histogram have in common; for others all their labels."""
    return frozenset(label for label in series.labels.items() if label[0] != _BOUND)


def _steps(series: Series, moves: Iterable[int], *, still: bool) -> Iterable[int]:
    """The steps at which a series stands in the text, in order; its metric moves at `moves`."""
    first = series.values[0][0]
    if series.kind != "histogram" and not still:
        return range(first, STEPS + 1)
    hours = {first, *range(first - first % _HOUR + _HOUR, STEPS + 1, _HOUR)}
    around = () if still else (step for move in moves for step in (move - 1, move) if step >= first)
    return sorted(hours.union(around))


def _still(metric: Sequence[Series]) -> list[bool]:
    """Which series of a metric stand still all the time, and are needed by none that moves.

    A quantile lies between two buckets: the highest that counts nothing is needed by the next one.
    """
    found = [len(metric[-1].values) == 1]
    for below, above in reversed(list(pairwise(metric))):
        still = len(below.values) == 1
        if still and _BOUND in below.labels and _BOUND in above.labels:
            still = found[-1] or (below.values[0][1] == 0 and above.values[0][1] == 0 and len(above.values) == 1)
        found.append(still)
    return found[::-1]


def _points(series: Series, steps: Iterable[int], place: int, begin: int) -> Iterator[tuple[int, int, str]]:
    """A series' lines, each behind its step and the series' place in its metric."""
    labels = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in series.labels.items())
    moved = [step for step, _ in series.values]
    said = [f"{series.name}{{{labels}}} {_number(value)} " for _, value in series.values]
    for step in steps:
        yield step, place, f"{said[bisect_right(moved, step) - 1]}{begin + step * STEP_S}\n"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
