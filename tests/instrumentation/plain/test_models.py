"""llm, complete, chat and generate are one model call, with the model and usage that are said."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from inline_snapshot import snapshot

import tachograph
from tachograph.registry import names as n


class Model:
    def __init__(self, answer: Any = None) -> None:
        self.model = "gpt-4o"
        self.provider = "openai"
        self.answer = answer

    def chat(self, prompt: str) -> Any:
        return self.answer

    async def complete(self, prompt: str, model: str, provider: str) -> Any:
        return self.answer


@pytest.mark.parametrize("name", ["llm", "complete", "chat", "generate"])
def test_each_name_is_a_model_call(name, hook, recorded):
    class Agent:
        def think(self, prompt: str) -> str:
            return prompt

    hook(Agent, {"think": name})
    Agent().think("content")
    assert recorded.spans() == snapshot(
        [
            {
                "name": "chat unknown",
                "kind": "llm",
                "parent": None,
                "attributes": {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "unknown",
                    "tachograph.llm.attempt": 1,
                    "tachograph.llm.outcome": "success",
                },
                "status": "UNSET",
            }
        ]
    )


def test_model_and_usage_are_read_off_the_object_and_its_answer(hook, recorded):
    hook(Model)
    model = Model({"model": "house-13-b", "usage": {"prompt_tokens": 1100, "completion_tokens": 130}})
    model.model = "house-13"
    model.chat("content")
    assert recorded.spans() == [
        {
            "name": "chat house-13",
            "kind": "llm",
            "parent": None,
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "house-13",
                "gen_ai.provider.name": "openai",
                "tachograph.llm.attempt": 1,
                "gen_ai.response.model": "house-13-b",
                "gen_ai.usage.input_tokens": 1100,
                "gen_ai.usage.output_tokens": 130,
                "gen_ai.usage.cache_read.input_tokens": 0,
                "tachograph.usage.source": "provider",
                "tachograph.llm.outcome": "success",
            },
            "status": "UNSET",
        }
    ]


def test_the_arguments_say_it_before_the_object_does(hook, recorded):
    hook(Model)
    asyncio.run(Model().complete("content", "claude-sonnet-4-5", "anthropic"))
    shown = (n.GEN_AI_REQUEST_MODEL, n.GEN_AI_PROVIDER_NAME, n.GEN_AI_USAGE_INPUT_TOKENS, n.COST_AMOUNT)
    assert [recorded.values("llm", name) for name in shown] == [["claude-sonnet-4-5"], ["anthropic"], [None], [None]]


OPENAI = SimpleNamespace(
    usage=SimpleNamespace(
        prompt_tokens=1100, completion_tokens=130, prompt_tokens_details=SimpleNamespace(cached_tokens=17),
        completion_tokens_details={"reasoning_tokens": 19},
    )
)  # fmt: skip
ANTHROPIC = {
    "usage": {"input_tokens": 11, "output_tokens": 13, "cache_read_input_tokens": 17, "cache_creation_input_tokens": 19}
}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (OPENAI, (1100, 130, 17, None, 19, "provider")),
        (ANTHROPIC, (47, 13, 17, 19, None, "provider")),
        (
            {"usage": {"input_tokens": 11, "output_tokens": 13, "source": "tokenizer"}},
            (11, 13, 0, None, None, "tokenizer"),
        ),
        ({"input_tokens": 11, "output_tokens": 13, "estimated": True}, (11, 13, 0, None, None, "estimate")),
        (("text", {"prompt_tokens": 11, "completion_tokens": 13}), (11, 13, 0, None, None, "provider")),
        ({"usage": {"prompt_tokens": "many"}}, (None,) * 6),
        ({"usage": {"prompt_tokens": -11}}, (None,) * 6),
        ("text", (None,) * 6),
    ],
)
def test_usage_in_the_common_spellings(answer, told, hook, recorded):
    hook(Model)
    assert Model(answer).chat("content") is answer
    shown = (
        n.GEN_AI_USAGE_INPUT_TOKENS, n.GEN_AI_USAGE_OUTPUT_TOKENS, n.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
        n.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS, n.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, n.USAGE_SOURCE,
    )  # fmt: skip
    assert tuple(recorded.values("llm", name)[0] for name in shown) == told


def test_a_cost_that_the_provider_says_is_taken_and_no_usage_is_no_cost(hook, recorded):
    hook(Model)
    Model({"usage": {"input_tokens": 11, "output_tokens": 13}, "cost": 0.17}).chat("content")
    Model("text").chat("content")
    shown = (n.COST_AMOUNT, n.COST_SOURCE)
    assert [recorded.values("llm", name) for name in shown] == [[0.17, None], ["provider", None]]
    assert recorded.metric("tachograph.cost.unpriced") == 1


USED = {"input_tokens": 11, "output_tokens": 13}


def told(recorded) -> list[tuple[object, ...]]:
    shown = (n.GEN_AI_REQUEST_MODEL, n.GEN_AI_PROVIDER_NAME, n.GEN_AI_USAGE_INPUT_TOKENS)
    return list(zip(*(recorded.values("llm", name) for name in shown), strict=True))


class Passing:
    """generate calls complete with each of the models, and tells usage of its own where it is given one."""

    def generate(self, prompt: str, models: list[str | None], usage: Any = None, provider: str | None = None) -> Any:
        answers = [self.complete(prompt, model) for model in models]
        return {"text": answers[-1]["text"], "usage": usage} if usage is not None else answers[-1]["text"]

    def complete(self, prompt: str, model: str | None) -> Any:
        return {"text": prompt, "usage": USED if model is not None else None}


def test_model_calls_inside_of_one_are_the_ones_that_count_and_it_is_a_step_around_them(hook, recorded):
    hook(Passing)
    with tachograph.run() as run:
        Passing().generate("content", ["gpt-4o-mini", "gpt-4o"], provider="openai")
        assert run.context is not None
        assert (run.context.llm_calls, run.context.tokens) == (2, 48)
    assert told(recorded) == [("gpt-4o-mini", "openai", 11), ("gpt-4o", "openai", 11)]
    assert len(set(recorded.values("llm", n.COST_AMOUNT))) == 2
    assert recorded.metric("tachograph.llm.calls") == 2
    assert recorded.spans("step") == [
        {
            "name": "step generate",
            "kind": "step",
            "parent": "invoke_agent desk",
            "attributes": {n.STEP_NAME: "generate"},
            "status": "UNSET",
        }
    ]


OTHER = {"input_tokens": 17, "output_tokens": 19}


@pytest.mark.parametrize(
    ("models", "own", "expected"),
    [
        (["gpt-4o"], OTHER, [("gpt-4o", None, 11)]),  # told by both: the inner call knows
        ([None], OTHER, [("unknown", None, 17)]),  # told by the outer one only
        ([None], None, [("unknown", None, None)]),
        ([None, None], OTHER, [("unknown", None, None)] * 2),  # whose it is cannot be told
        ([None, "gpt-4o"], OTHER, [("unknown", None, None), ("gpt-4o", None, 11)]),
    ],
)
def test_usage_that_only_the_outer_call_tells_is_that_of_a_single_inner_call(models, own, expected, hook, recorded):
    hook(Passing)
    Passing().generate("content", models, own)
    assert told(recorded) == expected
    assert recorded.metric("tachograph.llm.calls") == len(models)


def test_usage_reaches_the_inner_call_through_more_than_one_function(hook, recorded):
    class Agent:
        def generate(self, prompt: str, model: str) -> Any:
            return {"text": self.complete(prompt), "usage": USED}

        def complete(self, prompt: str) -> str:
            return self.chat(prompt)

        def chat(self, prompt: str) -> str:
            return prompt

    hook(Agent)
    Agent().generate("content", "gpt-4o")
    assert told(recorded) == [("gpt-4o", None, 11)]
    assert sorted(recorded.values("step", n.STEP_NAME)) == ["complete", "generate"]


def test_an_inner_call_that_outlives_the_outer_one_is_recorded(hook, recorded):
    class Agent:
        async def generate(self, prompt: str) -> asyncio.Task[str]:
            task = asyncio.create_task(self.complete(prompt))
            await asyncio.sleep(0)
            return task

        async def complete(self, prompt: str) -> str:
            await asyncio.sleep(0.001)
            return prompt

    async def main() -> str:
        return await (await Agent().generate("content"))

    hook(Agent)
    assert asyncio.run(main()) == "content"
    assert told(recorded) == [("unknown", None, None)]
    assert recorded.metric("tachograph.llm.calls") == 1


def test_an_inner_call_that_fails_is_a_call_of_its_own(hook, recorded):
    class Agent:
        def generate(self, prompt: str) -> Any:
            try:
                return self.chat(prompt, "gpt-4o")
            except ConnectionError:
                return self.chat(prompt, "gpt-4o-mini")

        def chat(self, prompt: str, model: str) -> Any:
            if model == "gpt-4o":
                raise ConnectionError(prompt)
            return {"usage": USED}

    hook(Agent)
    Agent().generate("content")
    assert told(recorded) == [("gpt-4o", None, None), ("gpt-4o-mini", None, 11)]
    assert recorded.values("llm", n.LLM_OUTCOME) == ["error", "success"]


def test_a_model_call_below_a_tool_call_of_a_model_call_is_another_one(hook, recorded):
    class Agent:
        def chat(self, prompt: str) -> str:
            return self.call_tool("summarize")

        def call_tool(self, tool: str) -> str:
            return self.complete("content")

        def complete(self, prompt: str) -> str:
            return prompt

    hook(Agent)
    Agent().chat("content")
    assert [(span["kind"], span["parent"]) for span in recorded.spans()] == [
        ("llm", "execute_tool summarize"), ("tool", "chat unknown"), ("llm", None),
    ]  # fmt: skip


def test_the_usage_of_a_stream_is_read_off_its_chunks(hook, recorded):
    chunks = ["a", {"delta": "b"}, {"usage": {"input_tokens": 1300, "output_tokens": 17}, "model": "gpt-4o"}]

    class Agent:
        provider = "openai"

        def chat(self, prompt: str) -> Any:
            yield from chunks

        async def complete(self, prompt: str) -> Any:
            for chunk in chunks:
                yield chunk

    async def streamed() -> list[Any]:
        return [chunk async for chunk in Agent().complete("content")]

    hook(Agent)
    assert list(Agent().chat("content")) == chunks
    assert asyncio.run(streamed()) == chunks
    assert recorded.values("llm", n.GEN_AI_USAGE_INPUT_TOKENS) == [1300, 1300]
    assert recorded.values("llm", n.GEN_AI_USAGE_OUTPUT_TOKENS) == [17, 17]
    assert recorded.metric("tachograph.llm.calls") == 2
    assert recorded.metric("tachograph.cost.unpriced") == 0
