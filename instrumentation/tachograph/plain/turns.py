"""Turns of a plain agent's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph.patterns.run import Turn
from tachograph.plain.reading import label, text

if TYPE_CHECKING:
    from tachograph.plain.call import Call


def turn(call: Call) -> Turn:
    """A turn by the name or number that it is given, else by the run's count."""
    return Turn(label(text(call.argument("turn", "turn_number", "name"))))
