"""Arguments that a plain agent validates, before the call or inside of it."""

from __future__ import annotations

import pytest

from tachograph.registry import names as n


class Agent:
    def handle(self, booking: object, where: str = "before") -> str:
        if where == "before" and not self.validate_tool_args("lookup", {"booking": booking}):
            return "which booking?"
        return self.call_tool("lookup", {"booking": booking}, where)

    def call_tool(self, tool: str, args: dict[str, object], where: str) -> str:
        if where == "inside" and not self.validate_tool_args(tool, args):
            return "which booking?"
        return "found"

    def validate_tool_args(self, tool: str, args: dict[str, object]) -> bool:
        return isinstance(args["booking"], str)


@pytest.mark.parametrize("where", ["before", "inside"])
@pytest.mark.parametrize(("booking", "expected"), [("K13", ("success", "valid")), (13, ("invalid_input", "invalid"))])
def test_a_call_with_invalid_arguments_is_one_call_and_broke_its_contract(where, booking, expected, hook, recorded):
    hook(Agent)
    Agent().handle(booking, where)
    calls = [span["attributes"] for span in recorded.spans("tool")]
    assert [(call[n.TOOL_OUTCOME], call[n.TOOL_INPUT_RESULT]) for call in calls] == [expected]
    assert recorded.values("tool", n.TOOL_EFFECT) == ["read"]
    violations = recorded.metric("tachograph.tool.violations", tachograph_tool_contract_phase="input")
    assert violations == (booking == 13)


def test_a_check_that_raises_found_them_invalid(hook, recorded):
    class Strict(Agent):
        def validate_tool_args(self, tool: str, args: dict[str, object]) -> bool:
            raise TypeError

    hook(Strict)
    with pytest.raises(TypeError):
        Strict().handle(13)
    assert [
        (s["attributes"][n.TOOL_OUTCOME], s["attributes"][n.ERROR_TYPE], s["status"]) for s in recorded.spans("tool")
    ] == [("invalid_input", "TypeError", "ERROR")]


def test_valid_arguments_are_those_of_the_next_call_only(hook, recorded):
    hook(Agent)
    agent = Agent()

    class Twice(Agent):
        def handle(self, booking: object, where: str = "before") -> str:
            self.validate_tool_args("lookup", {"booking": booking})
            self.call_tool("lookup", {"booking": booking}, "nowhere")
            return self.call_tool("lookup", {"booking": booking}, "nowhere")

    assert agent.handle("K13") == "found"
    hook(Twice)
    Twice().handle("K13")
    assert recorded.values("tool", n.TOOL_INPUT_RESULT) == ["valid", "valid", None]


def test_an_argument_check_is_no_guardrail(hook, recorded):
    class Guarded(Agent):
        def validate_tool_call(self, tool: str) -> bool:
            return True

    hook(Guarded)
    Guarded().validate_tool_call("refund")  # the guardrail is there, and this tool goes round it
    Guarded().handle("K13")
    assert len(recorded.spans("checkpoint")) == 1
    assert recorded.detections() == {"tool_unchecked": 1}
