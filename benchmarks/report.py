"""The figures of a benchmark: each beside the baseline that it is a multiple of, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `baseline` is the name of the figure that it is compared with, None for a baseline."""

    name: str
    value: float
    unit: str
    baseline: str | None = None


def main(about: str | None, measure: Callable[[bool], Iterable[Figure]]) -> None:
    """The command line of a benchmark: measures, told whether it has to be quick, and prints what it found."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="a few seconds: to see that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="{figure: {value, unit, baseline, ratio}}")
    arguments = parser.parse_args()
    figures = {figure.name: figure for figure in measure(arguments.quick)}
    print(_json(figures) if arguments.json else _table(figures))


def _ratio(figure: Figure, figures: dict[str, Figure]) -> float | None:
    return None if figure.baseline is None else figure.value / figures[figure.baseline].value


def _json(figures: dict[str, Figure]) -> str:
    return json.dumps(
        {
            name: {
                "value": figure.value,
                "unit": figure.unit,
                "baseline": figure.baseline,
                "ratio": _ratio(figure, figures),
            }
            for name, figure in figures.items()
        },
        indent=2,
    )


def _table(figures: dict[str, Figure]) -> str:
    rows = [("figure", "value", "unit", "ratio", "to")]
    for name, figure in figures.items():
        ratio = _ratio(figure, figures)
        rows.append((name, _short(figure.value), figure.unit, _short(ratio), figure.baseline or ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits either way
