"""What every metric of ours keeps to: limits, series that are there from the start, one stream, forked children."""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tachograph.metrics.endpoint import PrometheusReader
from tachograph.metrics.fork import begin_at_zero
from tachograph.metrics.metrics import Metrics
from tachograph.registry import instruments, names
from tachograph.registry.model import load

if TYPE_CHECKING:
    from collections.abc import Callable

OVERFLOW = ("otel_metric_overflow", "true")
LLM = {names.GEN_AI_AGENT_NAME: "desk", names.GEN_AI_PROVIDER_NAME: "p", names.LLM_OUTCOME: "success"}


def made(reader, *, views=()) -> Metrics:
    provider = MeterProvider([reader], resource=Resource({}), views=views, shutdown_on_exit=False)
    metrics = Metrics(provider.get_meter("tachograph"))
    begin_at_zero(provider, reader)
    return metrics


@pytest.mark.parametrize("metric", [m for m in load().metrics.values() if m.zero], ids=lambda metric: metric.name)
def test_what_is_always_there_has_every_label_but_the_agents_known(metric):
    assert set(metric.labels) - {names.GEN_AI_AGENT_NAME} == set(metric.zero)


def samples(reader, name):
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in reader.families()
        for sample in family.samples
        if sample.name == name
    }


def test_label_sets_beyond_the_limit_become_one_and_nothing_is_lost():
    reader = PrometheusReader()
    metrics = made(reader)
    assert instruments.LLM_CALLS.limit == 2000
    for number in range(2017):
        metrics.record(instruments.LLM_CALLS, 3, {**LLM, names.GEN_AI_REQUEST_MODEL: f"m{number}"})
    metrics.record(instruments.LLM_CALLS, 5, {**LLM, names.GEN_AI_REQUEST_MODEL: "m11"})
    found = samples(reader, "tachograph_llm_calls_total")
    assert len(found) == 2001
    assert sum(found.values()) == 2017 * 3 + 5
    assert found[OVERFLOW,] == 17 * 3
    assert {value for labels, value in found.items() if ("gen_ai_request_model", "m11") in labels} == {8}
    assert samples(reader, "tachograph_metrics_overflows_total") == {(): 17}


@pytest.mark.parametrize("instrument", [instruments.LIMITER_LIMIT, instruments.LIMITER_IN_USE])
def test_gauges_and_up_down_counters_keep_to_their_limit_too(instrument):
    reader = PrometheusReader()
    metrics = made(reader)
    for number in range(instrument.limit + 13):
        metrics.record(instrument, 1, {names.GEN_AI_AGENT_NAME: "desk", names.LIMITER_NAME: f"l{number}"})
    found = samples(reader, instrument.name.replace(".", "_"))
    assert len(found) == instrument.limit + 1
    assert OVERFLOW in {label for labels in found for label in labels}


def test_a_limit_lets_in_what_is_always_there_and_no_more_than_opentelemetry_does():
    for instrument in instruments.ALL:
        assert max(1, len(instrument.zero)) <= instrument.limit <= 2000, instrument.name


def test_the_series_of_a_fresh_agent_are_there_at_zero():
    reader = PrometheusReader()
    metrics = made(reader)
    metrics.born("desk")
    metrics.born("till")
    registry = load()
    always = [metric for metric in registry.metrics.values() if metric.emitter == "agent" and metric.zero]
    found = {metric.name: len(samples(reader, metric.prometheus)) for metric in always}
    assert found == {
        metric.name: prod(len(registry.attributes[label].values) for label in metric.zero)
        * (2 if names.GEN_AI_AGENT_NAME in metric.labels else 1)
        for metric in always
    }
    assert found["tachograph.detections"] == 2 * len(names.DETECTIONS)
    assert samples(reader, "tachograph_metrics_overflows_total") == {(): 0}
    assert {sample.value for family in reader.families() for sample in family.samples} == {0}


def streams(*views) -> list[tuple[str, int | None]]:
    reader = InMemoryMetricReader()
    metrics = made(reader, views=views)
    metrics.record(instruments.LLM_CALLS, 3, {**LLM, names.GEN_AI_REQUEST_MODEL: "m"})
    metrics.record(instruments.RUN_TURNS, 5, {names.GEN_AI_AGENT_NAME: "desk"})
    data = reader.get_metrics_data()
    assert data is not None
    return [
        (metric.name, len(metric.data.data_points))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


def test_each_instrument_is_one_stream_whether_the_application_has_views_or_not():
    ours = [("tachograph.llm.calls", 1), ("tachograph.run.turns", 1)]
    assert streams() == ours
    assert streams(View(instrument_name="*")) == ours
    assert streams(View(instrument_name="http.*"), View(instrument_name="*")) == ours


def test_two_views_of_the_application_that_both_match_show_once_at_metrics():
    """The SDK makes a stream of each view: /metrics shows the first and counts the other as skipped."""
    views = (View(instrument_name="*"), View(instrument_name="tachograph.*"))
    assert (
        streams(*views)
        == [("tachograph.llm.calls", 1), ("tachograph.llm.calls", 1)] + [("tachograph.run.turns", 1)] * 2
    )
    reader = PrometheusReader()
    metrics = made(reader, views=views)
    metrics.record(instruments.LLM_CALLS, 3, {**LLM, names.GEN_AI_REQUEST_MODEL: "m"})
    assert list(samples(reader, "tachograph_llm_calls_total").values()) == [3]
    assert reader.skipped == 1


def test_a_view_that_makes_all_histograms_exponential_costs_the_histograms_and_nothing_else():
    reader = PrometheusReader()
    metrics = made(reader, views=[View(instrument_name="*.turns", aggregation=ExponentialBucketHistogramAggregation())])
    metrics.record(instruments.RUN_TURNS, 5, {names.GEN_AI_AGENT_NAME: "desk"})
    metrics.record(instruments.LLM_CALLS, 3, {**LLM, names.GEN_AI_REQUEST_MODEL: "m"})
    assert list(samples(reader, "tachograph_llm_calls_total").values()) == [3]
    assert (samples(reader, "tachograph_run_turns_count"), reader.skipped) == ({}, 1)


def in_child(work: Callable[[], object]) -> str:
    """What `work` returns in a forked child, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child only reads
@pytest.mark.parametrize("scraped", [False, True], ids=["noted", "scraped"])
def test_a_child_counts_from_zero_and_knows_what_gauges_are_set_to(scraped):
    reader = PrometheusReader()
    metrics = made(reader)
    calls = {**LLM, names.GEN_AI_REQUEST_MODEL: "m"}
    hook = {names.GEN_AI_AGENT_NAME: "desk", names.HOOK: "tool"}
    metrics.born("desk")
    metrics.record(instruments.LLM_CALLS, 3, calls)
    metrics.record(instruments.COVERAGE, 1, hook)
    if scraped:
        reader.families()

    def seen() -> object:
        inherited = list(samples(reader, "tachograph_llm_calls_total").values())
        metrics.record(instruments.LLM_CALLS, 5, calls)
        return (
            inherited,
            list(samples(reader, "tachograph_llm_calls_total").values()),
            sum(samples(reader, "tachograph_coverage").values()),
            len(samples(reader, "tachograph_detections_total")),
        )

    assert in_child(seen) == repr(([], [5], 1, len(names.DETECTIONS)))
    assert list(samples(reader, "tachograph_llm_calls_total").values()) == [3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child only reads
def test_what_a_child_sets_comes_after_what_it_inherits_which_no_fork_waits_for():
    reader = PrometheusReader()
    metrics = made(reader)
    metrics.born("desk")
    hook = {names.GEN_AI_AGENT_NAME: "desk", names.HOOK: "tool"}
    metrics.record(instruments.COVERAGE, 1, hook)
    reader.families()

    def seen() -> object:
        noted = len(metrics._ledger._notes)
        metrics.record(instruments.COVERAGE, 1, {**hook, names.HOOK: "run"})
        metrics.record(instruments.COVERAGE, 0, hook)
        coverage = samples(reader, "tachograph_coverage")
        set_ = {dict(labels)["tachograph_hook"] for labels, value in coverage.items() if value}
        return noted, set_, len(coverage)

    assert in_child(seen) == repr((0, {"run"}, len(names.HOOKS)))


def test_gauges_beyond_the_limit_are_not_remembered_for_children():
    reader = PrometheusReader()
    metrics = made(reader)
    limit = instruments.LIMITER_LIMIT.limit
    for number in range(limit + 13):
        metrics.record(
            instruments.LIMITER_LIMIT, 3, {names.GEN_AI_AGENT_NAME: "desk", names.LIMITER_NAME: f"l{number}"}
        )
    reader.families()
    assert len(metrics._gauges) == limit


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child only reads
def test_where_a_child_cannot_be_set_to_zero_it_has_no_numbers_rather_than_its_parents(monkeypatch):
    reader = PrometheusReader()
    metrics = made(reader)
    metrics.record(instruments.LLM_CALLS, 3, {**LLM, names.GEN_AI_REQUEST_MODEL: "m"})
    reader.families()
    monkeypatch.setattr("tachograph.metrics.fork.MetricReaderStorage", None)
    assert in_child(lambda: samples(reader, "tachograph_llm_calls_total")) == "{}"
