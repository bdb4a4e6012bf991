"""What the Spike page found, as sentences."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tachograph_analytics.app.filters import words
from tachograph_analytics.app.words import many, number, usd, when
from tachograph_analytics.spikes.differences import LEAST_ERRORS, LEAST_RUNS, LEAST_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph_analytics.spikes.differences import Difference
    from tachograph_analytics.spikes.releases import Pair
    from tachograph_analytics.spikes.totals import Totals
    from tachograph_analytics.spikes.window import Comparison

_ALIKE: Final = 0.05  # less than a twentieth more or less reads as "about the same"


def spent(totals: Totals, comparison: Comparison) -> str:
    """What was spent in the window, and how that compares with the baseline."""
    window = comparison.window
    said = f"{_who(comparison)} spent {usd(totals.cost)} from {when(window.since)} to {when(window.until)}"
    if comparison.rule == "none" or not totals.usual_runs:
        return f"{said}, in {many(totals.runs, 'run')}."
    change = f" ({percent(totals.cost / totals.usual_cost - 1)})" if totals.usual_cost else ""
    more = f"{usd(abs(totals.more))} {'more' if totals.more >= 0 else 'less'}{change}"
    mean = " on average" if len(comparison.baseline) > 1 else ""
    return f"{said}, {more} than {baseline(comparison)} ({usd(totals.usual_cost)}{mean})."


def _who(comparison: Comparison) -> str:
    """Whose money it is: the agent's, or of those of its runs that meet the filters."""
    agent = comparison.agent or "All agents together"
    filtered = ", ".join(words(one).lower() for one in comparison.conditions)
    return f"{agent} ({filtered})" if filtered else agent


def traffic(totals: Totals) -> str:
    """Whether there were more runs, or a run cost more; empty where there is no baseline to say so."""
    if not totals.usual_runs or not totals.usual_cost or not totals.runs:
        return ""
    runs = totals.runs / totals.usual_runs - 1
    per_run = (totals.cost / totals.runs) / (totals.usual_cost / totals.usual_runs) - 1
    return f"It had {many(totals.runs, 'run')}, {_compared(runs)}, and a run cost {_compared(per_run)}."


def baseline(comparison: Comparison) -> str:
    """What the window is compared with."""
    periods = len(comparison.baseline)
    if comparison.rule == "before":
        (span,) = comparison.baseline
        cut = "" if span.length == comparison.window.length else ", scaled to the window's length"
        return f"the {length(span.length)} just before{cut}"
    weeks = comparison.step // timedelta(weeks=1)
    if periods == 1:
        return f"in the same hours of {'the week' if weeks == 1 else f'{weeks} weeks'} before"
    apart = f"{periods} weeks before" if weeks == 1 else f"{periods} periods before, {weeks} weeks apart"
    return f"in the same hours of the {apart}"


def why(found: Sequence[Difference], totals: Totals) -> str:
    """What explains the change, or that nothing does; empty where there is nothing to compare with."""
    if not totals.usual_cost:
        return ""
    clear = [one for one in found if one.stands_out]
    if clear:
        top = clear[0]
        return (
            f"{top.words[:1].upper()}{top.words[1:]} explains most: {usd(top.excess)} beyond its share of the change."
        )
    if totals.runs < LEAST_RUNS:  # no value has enough of them, whatever it costs
        return f"{many(totals.runs, 'run')} {'is' if totals.runs == 1 else 'are'} too few to say why."
    if not found:
        return ""
    more_runs = totals.usual_runs and totals.runs / totals.usual_runs - 1 > _ALIKE
    everywhere = " The additional runs came from everywhere alike." if more_runs else ""
    return f"No attribute stands out against the baseline by more than chance.{everywhere}"


def rivals(pair: Pair) -> str:
    """How two releases in the same window differ."""
    newer, older = pair.newer, pair.older
    more = "more" if pair.ratio > 0 else "less"
    return (
        f"Release {newer.name} costs {abs(pair.ratio):.0%} {more} per success than {older.name} in the same window "
        f"({usd(newer.cost_per_success)} against {usd(older.cost_per_success)}, {number(newer.successes)} and "
        f"{number(older.successes)} successes)."
    ).replace("%", " %", 1)


def history(comparison: Comparison, totals: Totals) -> str:
    """Why no differences are shown: there is nothing to compare with, or nothing that tells the runs apart."""
    if comparison.rule == "none":
        return (
            "There is not enough history to compare with: the records"
            f"{f' of {comparison.agent}' if comparison.agent else ''} begin with this window, or too shortly before it."
        )
    if not totals.usual_runs:
        which = "meets the filters" if comparison.conditions else "is recorded"
        return f"There is nothing to compare with: no run {which} {baseline(comparison)}."
    if not totals.usual_cost:
        return "The baseline cost nothing."
    return f"No attribute tells these runs apart: it takes two values, one of them with {LEAST_RUNS} runs."


def rules() -> str:
    """How the ranking works, and what it takes to stand out."""
    return (
        "Ranked by what a value cost beyond its share, had the whole change spread over all values as the baseline's "
        "cost did. For tenant, workflow, agent and risk tier more runs count; for the others, which take their runs "
        "from one another, only what a run costs counts. Each run's cost counts once for each attribute, for the model "
        f"each call's own. Values with fewer than {LEAST_RUNS} runs are left out. ▲ stands out: at least "
        f"{LEAST_SHARE:.0%} of the window's cost and {LEAST_ERRORS:.0f} standard errors beyond its share."
    ).replace("%", " %")


def percent(change: float) -> str:
    """A relative change with its sign."""
    return f"{change:+.0%}".replace("%", " %")


def signed(amount: float) -> str:
    """US dollars with their sign."""
    return f"{'+' if amount >= 0 else '-'}{usd(abs(amount))}"


def length(span: timedelta) -> str:
    """A length of time, roughly."""
    hours = span / timedelta(hours=1)
    if hours >= 48:  # noqa: PLR2004 - two days
        return f"{hours / 24:.3g} days"
    return f"{hours:.3g} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"  # noqa: PLR2004 - two hours


def _compared(change: float) -> str:
    if abs(change) < _ALIKE:
        return "about as usual"
    return f"{abs(change):.0%} {'more' if change > 0 else 'less'} than usual".replace("%", " %")
