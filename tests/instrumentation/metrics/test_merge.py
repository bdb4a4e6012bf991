"""Pages of several processes become one."""

from __future__ import annotations

import pytest
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Exemplar

from tachograph.metrics.merge import Merger, page_of


def family(name, kind, *samples):
    made = Family(name, f"What {name} is.", kind)
    for suffix, labels, value, *exemplar in samples:
        made.add_sample(name + suffix, labels, value, exemplar=exemplar[0] if exemplar else None)
    return made


def merged(*pages, ended=()):
    merger = Merger()
    for page in ended:
        merger.add(page, ended=True)
    for page in pages:
        merger.add(page)
    return merger


def values(merger):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for made in merger.families()
        for sample in made.samples
    }


def histogram(bounds, *, labels=None, total=0.0, exemplars=()):
    labels, made = labels or {}, Family("wait", "", "histogram")
    count = 0
    for place, (bound, within) in enumerate(bounds.items()):
        count += within
        exemplar = exemplars[place] if place < len(exemplars) else None
        made.add_sample("wait_bucket", {**labels, "le": bound}, count, exemplar=exemplar)
    made.add_sample("wait_count", labels, count)
    made.add_sample("wait_sum", labels, total)
    return page_of([made], ())


def test_counters_add_up_series_by_series():
    one = page_of([family("calls", "counter", ("_total", {"tool": "find"}, 11), ("_total", {"tool": "book"}, 3))], ())
    other = page_of([family("calls", "counter", ("_total", {"tool": "find"}, 13), ("_total", {"tool": "pay"}, 17))], ())
    assert values(merged(one, other)) == {
        ("calls_total", ("tool", "find")): 24,
        ("calls_total", ("tool", "book")): 3,
        ("calls_total", ("tool", "pay")): 17,
    }


def test_a_gauge_is_the_sum_where_it_adds_up_and_else_the_greatest():
    gauges = [family("in_use", "gauge", ("", {}, 3)), family("coverage", "gauge", ("", {}, 1))]
    others = [family("in_use", "gauge", ("", {}, 5)), family("coverage", "gauge", ("", {}, 0))]
    pages = (page_of(gauges, {"in_use"}), page_of(others, {"in_use"}))
    assert values(merged(*pages)) == {("in_use",): 8, ("coverage",): 1}


def test_of_an_ended_process_the_counts_stay_and_the_gauges_go():
    ended = page_of(
        [
            family("calls", "counter", ("_total", {}, 11)),
            family("in_use", "gauge", ("", {}, 3)),
            family("coverage", "gauge", ("", {}, 1)),
        ],
        {"in_use"},
    )
    alive = page_of([family("in_use", "gauge", ("", {}, 5))], {"in_use"})
    assert values(merged(alive, ended=[ended])) == {("calls_total",): 11, ("in_use",): 5}


def test_what_another_process_may_take_down_stays_when_who_put_it_up_has_ended():
    name = "tachograph_approval_pending"
    asked = page_of([family(name, "gauge", ("", {}, 3))], {name})
    decided = page_of([family(name, "gauge", ("", {}, -2))], {name})
    assert values(merged(decided, ended=[asked])) == {(name,): 1}
    assert values(merged(decided, ended=[merged(ended=[asked, asked]).page()])) == {(name,): 4}


def test_histograms_add_up_bucket_by_bucket():
    one = histogram({"0.5": 3, "1.0": 5, "+Inf": 0}, labels={"name": "db"}, total=1.5)
    other = histogram({"0.5": 7, "1.0": 0, "+Inf": 11}, labels={"name": "db"}, total=2.25)
    label = ("name", "db")
    assert values(merged(one, other)) == {
        ("wait_bucket", ("le", "0.5"), label): 10,
        ("wait_bucket", ("le", "1.0"), label): 15,
        ("wait_bucket", ("le", "+Inf"), label): 26,
        ("wait_count", label): 26,
        ("wait_sum", label): 3.75,
    }


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
def test_histograms_of_two_releases_share_all_bounds_and_never_fall(turned):
    pages = [histogram({"0.5": 3, "2.0": 5, "+Inf": 1}), histogram({"1.0": 7, "+Inf": 11})]
    assert values(merged(*(reversed(pages) if turned else pages))) == {
        ("wait_bucket", ("le", "0.5")): 3,
        ("wait_bucket", ("le", "1.0")): 10,
        ("wait_bucket", ("le", "2.0")): 15,
        ("wait_bucket", ("le", "+Inf")): 27,
        ("wait_count",): 27,
        ("wait_sum",): 0,
    }


def test_the_newest_exemplar_stays():
    old, new = Exemplar({"trace_id": "a"}, 0.3, 100.5), Exemplar({"trace_id": "b"}, 0.2, 101.5)
    pages = [histogram({"0.5": 1, "+Inf": 0}, exemplars=[one]) for one in (old, new)]
    for order in (pages, pages[::-1]):
        (made,) = merged(*order).families()
        assert [sample.exemplar for sample in made.samples] == [new, None, None, None]


def test_target_info_keeps_what_all_processes_share():
    def target(instance):
        return page_of([family("target", "info", ("_info", {"service_name": "desk", "id": instance}, 1))], ())

    assert values(merged(target("a"), target("b"), target("c"))) == {("target_info", ("service_name", "desk")): 1}
    assert values(merged(target("a"))) == {("target_info", ("id", "a"), ("service_name", "desk")): 1}


def test_a_name_that_is_of_two_kinds_stays_what_it_was_first():
    one = page_of([family("odd", "gauge", ("", {}, 3))], ())
    other = page_of([family("odd", "counter", ("_total", {}, 5))], ())
    assert values(merged(one, other)) == {("odd",): 3}


def test_a_sum_can_be_added_again():
    page = histogram({"0.5": 3, "+Inf": 5}, total=1.5) + page_of([family("calls", "counter", ("_total", {}, 11))], ())
    twice = merged(page, page)
    assert values(merged(page, ended=[twice.page()])) == {
        ("wait_bucket", ("le", "0.5")): 9,
        ("wait_bucket", ("le", "+Inf")): 24,
        ("wait_count",): 24,
        ("wait_sum",): 4.5,
        ("calls_total",): 33,
    }


def test_what_came_later_is_still_valid_openmetrics():
    class Page(Collector):
        def collect(self):
            first = histogram({"1.0": 7, "+Inf": 1}, labels={"a": "b"})
            second = histogram({"0.5": 3, "+Inf": 0}, labels={"a": "b"}) + histogram({"+Inf": 1}, labels={"a": "c"})
            return merged(first, second).families()

    registry = CollectorRegistry()
    registry.register(Page())
    (parsed,) = text_string_to_metric_families(generate_latest(registry).decode())
    assert [(sample.name, sample.labels.get("le"), sample.value) for sample in parsed.samples][:5] == [
        ("wait_bucket", "0.5", 3.0),
        ("wait_bucket", "1.0", 10.0),
        ("wait_bucket", "+Inf", 11.0),
        ("wait_count", None, 11.0),
        ("wait_sum", None, 0.0),
    ]
