"""The tool calls that a run intends: looked at by a checkpoint or an approval, and not started yet.

Agents rarely carry a call's id from its check to its execution. What was checked, approved and run is then matched by
the tool's name, by the hash of the arguments where both sides show them, and else in the order of asking.
"""

from __future__ import annotations

from dataclasses import dataclass

_WAITING = 100  # bound of memory: calls of one tool that were looked at and have not started


@dataclass(slots=True)
class Intent:
    """One intended call: who asked about it, and the arguments that it was asked about with."""

    call_id: str
    arguments: str | None
    askers: set[str]


@dataclass(slots=True)
class Intents:
    """All intended calls of a run, by tool."""

    _waiting: dict[str, list[Intent]]

    def about(
        self, tool: str, fresh: str, named: str | None = None, asker: str | None = None, arguments: str | None = None
    ) -> str:
        """The id of the call of `tool` that a question is about: the one it names, a waiting one, else `fresh`."""
        waiting = self._waiting.setdefault(tool, [])
        if named is not None:
            found = next((intent for intent in waiting if intent.call_id == named), None)
        else:
            alike = (
                intent
                for intent in reversed(waiting)
                # other arguments or the same guardrail again mean another call
                if (arguments is None or intent.arguments is None or intent.arguments == arguments)
                and (asker is None or asker not in intent.askers)
            )
            found = next(alike, None)
            if found is not None and found.arguments is None and arguments is not None:
                found = next((intent for intent in alike if intent.arguments == arguments), found)
        if found is None:
            found = Intent(named or fresh, arguments, set())
            waiting.append(found)
            del waiting[:-_WAITING]
        found.arguments = found.arguments or arguments
        if asker is not None:
            found.askers.add(asker)
        return found.call_id

    def claim(self, tool: str, fresh: str, named: str | None = None, arguments: str | None = None) -> str:
        """The id of the call that starts now: the one it names, else the waiting one that it fits, else `fresh`."""
        waiting = self._waiting.get(tool) or []
        if named is not None:
            self.drop(tool, named)
            return named
        exact = (i for i in waiting if arguments is not None and i.arguments == arguments)
        found = next(exact, None) or next(iter(waiting), None)
        if found is None:
            return fresh
        waiting.remove(found)
        return found.call_id

    def waiting(self) -> list[tuple[str, Intent]]:
        """All calls that were looked at and have not started, with their tool, in the order of asking for each."""
        return [(tool, intent) for tool, intents in tuple(self._waiting.items()) for intent in tuple(intents)]

    def expect(self, tool: str, intent: Intent) -> None:
        """Takes over a call that an earlier part of the run looked at."""
        self._waiting.setdefault(tool, []).append(intent)

    def drop(self, tool: str, call_id: str) -> None:
        """Forgets an intended call: it runs, or it was denied and will not."""
        waiting = self._waiting.get(tool)
        if waiting:
            waiting[:] = [intent for intent in waiting if intent.call_id != call_id]
