from __future__ import annotations

import random
from math import exp, log, sqrt
from statistics import fmean, stdev

import pytest

from tachograph_analytics.canary.intervals import Moments, of_paired_shares, of_quantiles, of_ratios, of_shares, wilson


def close(*bounds):
    return pytest.approx(bounds, abs=5e-5)


def test_a_share_as_published():
    # Newcombe 1998, two-sided confidence intervals for the single proportion, method 3
    assert wilson(81, 263) == close(0.2553, 0.3662)
    assert wilson(0, 20) == close(0.0, 0.1611)
    assert wilson(20, 20) == close(0.8389, 1.0)


def test_a_difference_of_shares_as_published():
    # Newcombe 1998, interval estimation for the difference between independent proportions, method 10
    assert of_shares(48, 80, 56, 70) == close(0.0524, 0.3339)
    assert of_shares(3, 10, 9, 10) == close(0.1705, 0.8090)
    assert of_shares(0, 10, 10, 10) == close(0.6075, 1.0)


def test_a_difference_turns_around_with_its_arms():
    low, high = of_shares(48, 80, 56, 70)
    assert of_shares(56, 70, 48, 80) == pytest.approx((-high, -low))


def test_a_difference_of_paired_shares_as_published():
    # Newcombe 1998, improved confidence intervals for the difference between paired proportions, method 10
    assert of_paired_shares(36, 12, 2, 0) == close(0.0569, 0.3404)
    assert of_paired_shares(54, 0, 0, 0) == close(-0.0664, 0.0664)


def test_pairs_that_agree_say_more_than_pairs_that_do_not():
    agreeing = of_paired_shares(70, 3, 3, 24)
    apart = of_paired_shares(50, 23, 23, 4)
    assert agreeing[1] - agreeing[0] < (apart[1] - apart[0]) / 2


def moments(pairs):
    xs, ys = zip(*pairs, strict=True)
    mean_x, mean_y = fmean(xs), fmean(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / (len(pairs) - 1)
    return Moments(len(pairs), mean_x, mean_y, stdev(xs) ** 2, stdev(ys) ** 2, covariance)


def test_a_ratio_whose_denominator_is_certain_is_the_delta_method_of_a_mean():
    costs = [1.0, 2.0, 4.0, 5.0, 13.0]
    m = moments([(x, 1) for x in costs])
    low, high = of_ratios(m, m)
    half = 1.959964 * sqrt(2 * stdev(costs) ** 2 / fmean(costs) ** 2 / len(costs))
    assert (low, high) == pytest.approx((exp(-half) - 1, exp(half) - 1))


def test_a_ratio_covers_what_is_true_in_95_of_100_samples():
    source, true, covered = random.Random(11), 1.6, 0
    for _ in range(400):
        arms = [
            moments([(c * source.lognormvariate(0, 0.8), source.random() < 0.9) for _ in range(150)]) for c in (1, true)
        ]
        low, high = of_ratios(*arms)
        covered += low <= true - 1 <= high
    assert 365 <= covered <= 393


def test_quantiles_are_combined_on_the_logarithm():
    low, high = of_quantiles((90.0, 100.0, 120.0), (150.0, 200.0, 260.0))
    assert low == pytest.approx(exp(log(2) - sqrt(log(200 / 150) ** 2 + log(1.2) ** 2)) - 1)
    assert high == pytest.approx(exp(log(2) + sqrt(log(1.3) ** 2 + log(100 / 90) ** 2)) - 1)
