"""95 % intervals of one look at a difference, always candidate minus baseline. Not valid for repeated looking.

Sources: Wilson 1927 (one share); Newcombe 1998, method 10 of each paper (difference of two shares, independent and
paired); the delta method (logarithm of a ratio of means); Woodruff 1952 (a quantile), combined like Newcombe's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log, sqrt
from statistics import NormalDist
from typing import Final

LEVEL: Final = 0.95
_Z: Final = NormalDist().inv_cdf((1 + LEVEL) / 2)

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the pairs (x, y) of `n` sessions: means, sample variances and covariance."""

    n: int
    mean_x: float
    mean_y: float
    var_x: float
    var_y: float
    covariance: float


def wilson(hits: float, n: int) -> Interval:
    """The interval of a share of `hits` in `n`, 0 < n."""
    share, spread = hits / n, _Z**2 / n
    centre = share + spread / 2
    half = _Z * sqrt(share * (1 - share) / n + spread / (4 * n))
    # Rounding must not push a bound over the share itself: 0 of n has the lower bound 0.
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def of_shares(baseline_hits: int, baseline_n: int, candidate_hits: int, candidate_n: int) -> Interval:
    """The interval of the difference of two independent shares."""
    return _combined(
        candidate_hits / candidate_n,
        wilson(candidate_hits, candidate_n),
        baseline_hits / baseline_n,
        wilson(baseline_hits, baseline_n),
    )


def of_paired_shares(both: int, only_candidate: int, only_baseline: int, neither: int) -> Interval:
    """The interval of the difference of two shares of the same cases, from how many passed which of the two."""
    n = both + only_candidate + only_baseline + neither
    candidate, baseline = both + only_candidate, both + only_baseline
    product = candidate * (n - candidate) * baseline * (n - baseline)
    agreement = both * neither - only_candidate * only_baseline
    if agreement > 0:
        agreement = max(agreement - n / 2, 0.0)
    return _combined(
        candidate / n,
        wilson(candidate, n),
        baseline / n,
        wilson(baseline, n),
        correlation=agreement / sqrt(product) if product else 0.0,
    )


def of_ratios(baseline: Moments, candidate: Moments) -> Interval:
    """The interval of the relative change of mean x / mean y, all means positive."""
    change = log(candidate.mean_x / candidate.mean_y) - log(baseline.mean_x / baseline.mean_y)
    half = _Z * sqrt(_variance_of_log(baseline) + _variance_of_log(candidate))
    return expm1(change - half), expm1(change + half)


def of_quantiles(baseline: tuple[float, float, float], candidate: tuple[float, float, float]) -> Interval:
    """The interval of the relative change of a quantile; each is (low, value, high), all positive."""
    b_low, b, b_high = map(log, baseline)
    c_low, c, c_high = map(log, candidate)
    low, high = _combined(c, (c_low, c_high), b, (b_low, b_high))
    return expm1(low), expm1(high)


def _combined(
    candidate: float, of_candidate: Interval, baseline: float, of_baseline: Interval, correlation: float = 0.0
) -> Interval:
    """The interval of the difference of two estimates from the interval of each."""
    c_down, c_up = candidate - of_candidate[0], of_candidate[1] - candidate
    b_down, b_up = baseline - of_baseline[0], of_baseline[1] - baseline
    difference = candidate - baseline
    down = sqrt(max(c_down**2 - 2 * correlation * c_down * b_up + b_up**2, 0.0))
    up = sqrt(max(c_up**2 - 2 * correlation * c_up * b_down + b_down**2, 0.0))
    return difference - down, difference + up


def _variance_of_log(m: Moments) -> float:
    x, y = m.var_x / m.mean_x**2, m.var_y / m.mean_y**2
    return max(x + y - 2 * m.covariance / (m.mean_x * m.mean_y), 0.0) / m.n
