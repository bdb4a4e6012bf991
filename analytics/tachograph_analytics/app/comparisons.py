"""Two releases side by side in words: the sentence over the page, each gate as a row. One look only: no verdicts."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from tachograph_analytics.app import figures
from tachograph_analytics.app.words import many, number, when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.canary import Comparison, Gate, Pair
    from tachograph_analytics.canary.gate import Bad, Scale

LOOKS: Final[Mapping[str | None, str]] = {
    "worse": "▲ looks worse",
    "better": "▽ looks better",
    "unclear": "○ no clear difference",
    None: "… too few",
}
_BAD: Final[Mapping[Bad, str]] = {"less": "less", "more": "more", "either": "any change"}
_HUNDRED: Final = 100


def headline(comparison: Comparison) -> str:
    """The most worrying number in a sentence, then what must be known of the other critical gates."""
    pair, told = comparison.pair, comparison.in_order()
    worst = told[0] if told and told[0].tendency == "worse" else None
    said = [
        _worst(worst, pair)
        if worst
        else f"Nothing looks worse with {pair.candidate.id} than with {pair.baseline.id} ({_samples(comparison)})"
    ]
    said += [_beside(gate) for gate in comparison.gates if gate.criterion.critical and gate is not worst]
    return "; ".join(said) + "."


def sample(comparison: Comparison) -> str:
    """Whose runs are compared: the time in which both ran, and who is left out."""
    pair, scope = comparison.pair, comparison.scope
    since, until = when(scope.since), when(scope.until)
    both = (
        f" {many(comparison.both, 'session')} saw both releases and {'is' if comparison.both == 1 else 'are'} left out."
        if comparison.both
        else ""
    )
    return (
        f"Compared are {many(comparison.candidate.sessions, 'session')} of {pair.candidate.id} and "
        f"{many(comparison.baseline.sessions, 'session')} of {pair.baseline.id} from {since} to {until}, the time in "
        f"which both ran, never what was before with what came after.{both}"
    )


def ramp(comparison: Comparison) -> str:
    """A warning where the releases' shares of the traffic changed; empty where they did not."""
    if comparison.ramp is None:
        return ""
    early, late = comparison.ramp
    return (
        f"The share of {comparison.pair.candidate.id} went from {early:.0%} of the sessions in the first half of this "
        f"time to {late:.0%} in the second. If the traffic itself changed meanwhile, that looks like a difference "
        "between the releases."
    ).replace("%", " %")


def rows(gates: Sequence[Gate], pair: Pair) -> dict[str, list[str]]:
    """The gates with numbers as the columns of a table."""
    return {
        "About": [gate.criterion.group for gate in gates],
        "Gate": [gate.criterion.label for gate in gates],
        "This look": [LOOKS[gate.tendency] for gate in gates],
        f"{pair.baseline.id} (baseline)": [figures.shown(gate.baseline) for gate in gates],
        f"{pair.candidate.id} (candidate)": [figures.shown(gate.candidate) for gate in gates],
        "Difference": [difference(gate) for gate in gates],
        "95 % interval": [interval(gate) for gate in gates],
        f"Sample of {pair.baseline.id} | {pair.candidate.id}": [
            " | ".join(map(number, gate.samples)) for gate in gates
        ],
        "Bad direction": [_BAD[gate.criterion.bad] for gate in gates],
        "Critical": ["yes" if gate.criterion.critical else "no" for gate in gates],
    }


def silent_rows(gates: Sequence[Gate]) -> dict[str, list[str]]:
    """The gates without data as the columns of a table."""
    return {
        "About": [gate.criterion.group for gate in gates],
        "Gate": [gate.criterion.label for gate in gates],
        "Why nothing can be said": [gate.reason for gate in gates],
        "Missing hook": [gate.missing or "none" for gate in gates],
        "Critical": ["yes" if gate.criterion.critical else "no" for gate in gates],
    }


def difference(gate: Gate) -> str:
    """The difference with its sign and unit."""
    return "unknown" if gate.difference is None else _signed(gate.difference, gate.criterion.scale)


def interval(gate: Gate) -> str:
    """The interval with its unit, or that there is none."""
    if gate.interval is None:
        return "none"
    low, high = (_signed(bound, gate.criterion.scale) for bound in gate.interval)
    return f"{low.removesuffix(_unit(gate.criterion.scale))} to {high}"


def _worst(gate: Gate, pair: Pair) -> str:
    more = (gate.difference or 0.0) > 0
    size = _size(gate)
    if gate.criterion.name == "cost_per_success":
        said = f"{pair.candidate.id} costs {size} {'more' if more else 'less'} per success than {pair.baseline.id}"
    else:
        said = (
            f"{gate.criterion.label}: {figures.shown(gate.candidate)} with {pair.candidate.id}, {size} "
            f"{'more' if more else 'less'} than with {pair.baseline.id}"
        )
    return f"{said} ({_sample_of(gate)})"


def _beside(gate: Gate) -> str:
    """A critical gate that is not the worst, in half a sentence."""
    name, scale = gate.criterion.label.lower(), gate.criterion.scale
    if gate.state == "no data":
        return f"nothing can be said about {name}"
    if gate.interval is None:
        return f"{name} has too few {gate.criterion.sampled}s for an interval"
    if gate.tendency == "unclear":
        within = ceil(_HUNDRED * max(map(abs, gate.interval)))
        return f"{name} is the same within ±{within}{_unit(scale)}"
    return f"{name} is {_size(gate)} {'higher' if (gate.difference or 0.0) > 0 else 'lower'}"


def _size(gate: Gate) -> str:
    """The difference without its sign."""
    size = _HUNDRED * abs(gate.difference or 0.0)
    return f"{size:.0f} %" if gate.criterion.scale == "relative" else f"{size:.1f} points"


def _signed(value: float, scale: Scale) -> str:
    rounded = round(_HUNDRED * value, 1)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"  # noqa: RUF001 - a minus as wide as the plus
    return f"{sign}{abs(rounded):.1f}{_unit(scale)}"


def _unit(scale: Scale) -> str:
    return " %" if scale == "relative" else " points"


def _sample_of(gate: Gate) -> str:
    baseline, candidate = gate.samples
    if gate.criterion.sampled == "case":
        return many(candidate, "case")
    return f"{number(candidate)} and {number(baseline)} sessions"


def _samples(comparison: Comparison) -> str:
    return f"{number(comparison.candidate.sessions)} and {number(comparison.baseline.sessions)} sessions"
