"""Budgets that a plain agent checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from typing_extensions import override

from tachograph.patterns.budget import Action, BudgetType, Scope, budget
from tachograph.plain.reading import number, one_of, read
from tachograph.recording import Recording

if TYPE_CHECKING:
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

_TYPES, _SCOPES, _ACTIONS = get_args(BudgetType), get_args(Scope), get_args(Action)


class BudgetCheck(Recording):
    """A look at a budget; it is recorded when type, limit and use can be read, before or after the call."""

    hook = "budget"

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self.result: object = None

    def _read(self, *names: str) -> Any:
        for source in (self.result, self._call.arguments, self._call.instance):
            found = read(source, *names)
            if found is not None:
                return found
        return None

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        kind = one_of(self._read("type", "kind", "budget_type", "budget", "name"), _TYPES)
        limit, used = (
            number(self._read("limit", "max", "cap")),
            number(self._read("used", "spent", "consumed", "total")),
        )
        if kind is None or limit is None or used is None:
            return
        action = one_of(read(self.result, "action"), _ACTIONS)
        budget(
            kind,
            limit=limit,
            used=used,
            scope=one_of(self._read("scope"), _SCOPES) or "run",
            action=action or ("stop" if error is not None else "none"),
        )


def budget_check(call: Call) -> BudgetCheck:
    """A look at a budget."""
    return BudgetCheck(call)


def checked(step: BudgetCheck, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Keeps what was returned until the check is over: its object may be the budget."""
    step.result = value
