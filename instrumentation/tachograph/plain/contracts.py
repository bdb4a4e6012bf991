"""The contract of a tool's arguments, where a plain agent validates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tachograph.patterns.tool import ToolCall
from tachograph.plain.checks import call_id, tool_name
from tachograph.plain.effects import effect_of
from tachograph.plain.tools import arguments, contract
from tachograph.plain.verdict import verdict
from tachograph.recording import Recording
from tachograph.run import current, current_tool

if TYPE_CHECKING:
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder


class InputCheck(Recording):
    """One validation of a tool's arguments: of the call it happens in, or of the next call of that tool.

    Arguments that are found invalid before the call keep it from being made: then that is all there is of the call, and
    on record as one.
    """

    hook = "tool.input"

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self.valid: bool | None = None

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        valid = False if error is not None else self.valid
        tool, inside, run = tool_name(self._call), current_tool(), current()
        if valid is None:
            return
        if inside is not None and tool in {None, inside.tool}:
            inside.input_valid(valid)
        elif tool is not None and not valid:
            _stopped(self._call, tool, error)
        elif tool is not None and run is not None:
            run.valid.add(tool)


def _stopped(call: Call, tool: str, error: BaseException | None) -> None:
    """Records the call that was not made."""
    effect, tier = contract(call, tool)
    step = ToolCall(
        tool,
        effect=effect or effect_of(tool),
        tier=tier,
        call_id=call_id(call),
        arguments=arguments(call),
        keyed=False,
    )
    step.begin()
    step.input_valid(False)
    step.finish(error)


def input_check(call: Call) -> InputCheck:
    """A validation of the arguments of the tool that it is given, or of the call under way."""
    return InputCheck(call)


def input_checked(step: InputCheck, call: Call, value: object) -> None:
    """Reads whether they are valid: unless it says no, they are."""
    step.valid = verdict(call, value).decision != "deny"
