"""LLM calls: tokens, cost and outcome of each call once."""

from __future__ import annotations

import asyncio

import pytest

import tachograph
from tachograph.patterns import llm
from tachograph.prices.lookup import Usage, price
from tachograph.testing import recording


def test_a_call_is_recorded_whole_with_an_estimated_cost():
    with recording() as recorded, tachograph.run() as run, tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=1300, output_tokens=170, cached_tokens=110)
        call.response(model="gpt-4o-2024-08-06", finish_reasons=["stop"])
    estimate = price("openai", "gpt-4o-2024-08-06", Usage(1300, 170, 110))
    assert estimate is not None
    (span,) = recorded.spans("llm")
    assert span["attributes"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.cache_read.input_tokens": 110,
        "gen_ai.usage.input_tokens": 1300,
        "gen_ai.usage.output_tokens": 170,
        "tachograph.cost.amount": estimate.amount,
        "tachograph.cost.price.version": estimate.version,
        "tachograph.cost.source": "estimated",
        "tachograph.llm.attempt": 1,
        "tachograph.llm.outcome": "success",
        "tachograph.usage.source": "provider",
    }
    assert run.context is not None
    assert (run.context.llm_calls, run.context.tokens, run.context.cost) == (1, 1470, estimate.amount)
    assert recorded.metric("tachograph.cost", tachograph_cost_source="estimated") == estimate.amount
    assert recorded.metric("gen_ai.client.inference.usage.input_tokens") == 1300
    assert recorded.metric("gen_ai.client.inference.usage.output_tokens") == 170


def test_what_the_provider_says_it_costs_comes_before_the_table():
    with recording() as recorded, tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=11, output_tokens=13, cost=0.17)
    assert recorded.values("llm", "tachograph.cost.amount") == [0.17]
    assert recorded.values("llm", "tachograph.cost.source") == ["provider"]


def test_an_unknown_model_has_no_cost_and_is_counted_as_unpriced():
    with recording() as recorded, tachograph.run():
        with tachograph.llm_call("house-model-13", provider="house") as call:
            call.usage(input_tokens=11, output_tokens=13)
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=11, output_tokens=13)
    costs = recorded.values("llm", "tachograph.cost.amount")
    assert (costs[0], costs[1] > 0) == (None, True)
    assert recorded.metric("tachograph.cost.unpriced", gen_ai_request_model="house-model-13") == 1
    assert recorded.metric("tachograph.cost.unpriced", gen_ai_request_model="gpt-4o") == 0
    assert recorded.metric("tachograph.run.cost") == 0, "the cost of a run with an unpriced call is not known"


def test_failed_cancelled_and_abandoned_calls_are_calls():
    @tachograph.llm_call("gpt-4o")
    def stream():
        yield "a"
        yield "b"

    with recording() as recorded:
        with pytest.raises(ConnectionError), tachograph.llm_call("gpt-4o"):
            raise ConnectionError
        with pytest.raises(asyncio.CancelledError), tachograph.llm_call("gpt-4o"):
            raise asyncio.CancelledError
        with pytest.raises(TimeoutError), tachograph.llm_call("gpt-4o"):
            raise TimeoutError
        left = stream()
        next(left)
        left.close()
    assert recorded.values("llm", "tachograph.llm.outcome") == ["error", "cancelled", "timeout", "abandoned"]
    assert recorded.metric("tachograph.llm.calls") == 4
    assert recorded.metric("tachograph.cost.unpriced") == 0


def test_retries_of_a_client_are_attempts_of_one_call():
    with recording() as recorded, tachograph.llm_call("gpt-4o") as call:
        call.attempt(2)
        call.attempt(3)
        call.usage(input_tokens=11, output_tokens=13)
    assert recorded.values("llm", "tachograph.llm.attempt") == [3]
    assert recorded.metric("tachograph.llm.calls") == 1


def test_a_number_that_is_unknown_is_not_recorded_and_the_call_is():
    with recording() as recorded, tachograph.run() as run:
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=11, output_tokens=13, cached_tokens=None, cache_write_tokens=None)
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=17, output_tokens=None)
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=None, output_tokens=None, cost=0.25)
        assert recorded.metric("tachograph.llm.calls") == 3
        assert recorded.metric("gen_ai.client.inference.duration") == 3
        assert recorded.metric("tachograph.cost.unpriced") == 1
    assert recorded.values("llm", "gen_ai.usage.input_tokens") == [11, 17, None]
    assert recorded.values("llm", "gen_ai.usage.output_tokens") == [13, None, None]
    assert recorded.values("llm", "gen_ai.usage.cache_read.input_tokens") == [None, 0, 0]
    costs = recorded.values("llm", "tachograph.cost.amount")
    assert (costs[0] > 0, costs[1], costs[2]) == (True, None, 0.25)
    assert run.context is not None
    assert (run.context.llm_calls, run.context.tokens, run.context.unpriced) == (3, 41, 1)


@pytest.mark.parametrize("odd", ["many", float("nan"), float("inf"), -1, [], 10**400])
def test_odd_numbers_cost_the_call_nothing_but_themselves(odd):
    with recording() as recorded, tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=11, output_tokens=13, cached_tokens=odd, cost=odd)
    assert recorded.metric("tachograph.llm.calls") == 1
    assert recorded.values("llm", "gen_ai.usage.input_tokens") == [11]
    assert recorded.values("llm", "tachograph.cost.source") == ["estimated"]


def test_a_price_that_cannot_be_looked_up_leaves_the_call_and_its_time(monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(llm.LlmCall, "_estimate", broken)
    with recording() as recorded, tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=11, output_tokens=13)
    assert recorded.metric("tachograph.llm.calls") == 1
    assert recorded.metric("gen_ai.client.inference.duration") == 1
