"""A step in words: the shape and word of its kind, its name, what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tachograph_analytics.app.words import duration, usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph_analytics.runs.steps import Step

SHAPES: Final[Mapping[str, str]] = {
    "run": "▣",
    "turn": "↻",
    "step": "▸",
    "llm": "✦",
    "wire": "⇄",
    "tool": "■",
    "checkpoint": "⬣",
    "approval": "✔",
    "plan": "≡",
    "route": "◇",
    "delegate": "→",
    "combine": "⊕",
    "cache": "▤",
    "other": "·",
}


def title(step: Step) -> str:
    """A step in one line: the shape and the word of its kind, then its name without what the kind says already."""
    return f"{kind(step)} {name(step)}"


def kind(step: Step) -> str:
    """The shape and the word of a step's kind."""
    return f"{SHAPES.get(step.kind, SHAPES['other'])} {step.kind}"


def name(step: Step) -> str:
    """A step's name without what its kind says already."""
    return step.name.removeprefix({"tool": "execute_tool ", "run": "invoke_agent "}.get(step.kind, f"{step.kind} "))


def took(step: Step) -> str:
    """Duration and cost of a step."""
    return " · ".join([duration(step.duration_ms), *([usd(step.cost)] if step.cost is not None else [])])
