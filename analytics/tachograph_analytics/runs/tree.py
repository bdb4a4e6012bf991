"""A run as a tree of lines for a terminal: what happened below what, how long it took, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, chop_cells
from rich.text import Text

from tachograph.registry import names
from tachograph_analytics.app.words import duration, many
from tachograph_analytics.runs.labels import kind, name, took

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tachograph_analytics.runs.steps import Event, Step

PROBLEM: Final = "▲"
_PROBLEM_STYLE: Final = "bold red"
_GUIDE_STYLE: Final = "dim"
_LEVEL_CELLS: Final = 3
_SHORTEST: Final = 7  # cells of a name that are always shown: below it nobody can tell names apart
_NARROWEST: Final = 20  # cells that sentences are wrapped to, also below a deep tree


@dataclass(frozen=True, slots=True)
class Node:
    """One line of the tree: `label` says what it is, `name` may be shortened, `problems` are sentences."""

    depth: int
    label: str
    name: str
    took: str = ""
    problems: tuple[str, ...] = ()


def nodes(steps: Sequence[Step], events: Sequence[Event], problems: Mapping[str, Sequence[str]]) -> list[Node]:
    """The steps in tree order, each followed by those of its events that change how the run is read."""
    known = {step.span_id for step in steps}
    inside: dict[str | None, list[Event]] = {}
    for event in events:
        inside.setdefault(event.span_id if event.span_id in known else None, []).append(event)
    found: list[Node] = []
    for step in steps:
        lost = ("the step it belongs to is not in the data",) if step.orphan else ()
        wrong = (*lost, *problems.get(step.span_id, ()))
        attempt = step.attributes.get(names.TOOL_ATTEMPT) or step.attributes.get(names.LLM_ATTEMPT) or 1
        tried = f" · attempt {attempt}" if attempt > 1 else ""
        found.append(Node(step.depth, kind(step), name(step), took(step) + tried, wrong))
        found.extend(_leaves(step.depth + 1, inside.get(step.span_id, ())))
    return [*found, *_leaves(0, inside.get(None, ()))]


def lines(tree: Sequence[Node], width: int | None) -> Iterator[Text]:
    """The tree in lines of at most `width` cells (None: as long as they come); what may not be cut overflows."""
    deepest = max(2, (width or 10**6) // 3 // _LEVEL_CELLS)  # guides get a third of the width at most
    drawn = [min(node.depth, deepest) for node in tree]
    for node, (guide, below) in zip(tree, _guides(drawn), strict=True):
        deeper = f"[level {node.depth}] " if node.depth > deepest else ""
        yield from _node(node, guide, below, deeper, width)


def wrapped(parts: Iterable[str], width: int | None, separator: str = " · ") -> list[str]:
    """The parts in as few lines as they fit, broken between parts only."""
    found: list[str] = []
    for part in parts:
        longer = f"{found[-1]}{separator}{part}" if found else part
        if found and (width is None or cell_len(longer) <= width):
            found[-1] = longer
        else:
            found.append(part)
    return found


def printable(text: str) -> str:
    """Foreign text as it may stand in a terminal: on one line, and without the power to steer it."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))


def shortened(text: str, cells: int) -> str:
    """The text without its middle where it is longer than `cells`: beginning and end tell names apart."""
    if cell_len(text) <= cells:
        return text
    half = (cells - 1) // 2
    front = chop_cells(text, cells - 1 - half)[0]
    back = chop_cells(text[::-1], half)[0][::-1]
    return f"{front}…{back}"


def _guides(depths: Sequence[int]) -> list[tuple[str, str]]:
    """For each node what stands before its line, and before further lines of it."""
    more: set[int] = set()  # levels at which another node follows
    found: list[tuple[str, str]] = []
    for depth, following in reversed([*pairwise([*depths, 0])]):
        more = {level for level in more if level <= depth}
        above = "".join("│  " if level in more else "   " for level in range(1, depth))
        branch = ("├─ " if depth in more else "└─ ") if depth else ""
        own = ("│  " if depth in more else "   ") if depth else ""
        found.append((above + branch, above + own + ("│  " if following > depth else "   ")))
        more.add(depth)
    return found[::-1]


def _node(node: Node, guide: str, below: str, deeper: str, width: int | None) -> Iterator[Text]:
    tail = f"  {node.took}" if node.took else ""
    room = None if width is None else width - cell_len(f"{guide}{deeper}{node.label} {tail}")
    title = printable(node.name)
    title = title if room is None else shortened(title, max(room, _SHORTEST))
    line = Text.assemble((guide, _GUIDE_STYLE), (f"{deeper}{node.label} {title}", "" if node.depth else "bold"), tail)
    sentences = [f"{PROBLEM} {printable(problem)}" for problem in node.problems]
    if sentences and (width is None or line.cell_len + 2 + cell_len("  ".join(sentences)) <= width):
        line.append(f"  {'  '.join(sentences)}", _PROBLEM_STYLE)
        sentences = []
    yield line
    cells = max(_NARROWEST, width - cell_len(below)) if width else 0
    for part in (part for sentence in sentences for part in wrapped(sentence.split(), cells, " ")):
        yield Text.assemble((below, _GUIDE_STYLE), (part, _PROBLEM_STYLE))


def _leaves(depth: int, events: Sequence[Event]) -> Iterator[Node]:
    """Retries, hit budgets and degraded modes one by one; what evidence was cited as a count."""
    ends = {
        event.attributes.get(names.DEGRADATION_ID): event.attributes
        for event in events
        if event.name == names.EVENT_DEGRADATION_EXITED
    }
    for event in events:
        said = event.attributes
        if event.name == names.EVENT_TOOL_RETRY:
            yield Node(depth, "• retry", _retry(said))
        elif event.name == names.EVENT_BUDGET_USED and said.get(names.BUDGET_STATE) == "hit":
            yield Node(depth, "• budget hit", _budget(said))
        elif event.name == names.EVENT_DEGRADATION_ENTERED:
            yield Node(depth, "• degraded", _degraded(said, ends.get(said.get(names.DEGRADATION_ID))))
    cited = sum(event.name == names.EVENT_EVIDENCE_CITED for event in events)
    if cited:
        yield Node(depth, "• evidence", f"{many(cited, 'citation')}")


def _retry(said: Mapping[str, Any]) -> str:
    backoff = said.get(names.RETRY_BACKOFF)
    why = f" after {said[names.ERROR_TYPE]}" if said.get(names.ERROR_TYPE) else ""
    waited = f", waited {duration(backoff * 1000)}" if backoff else ""
    return f"attempt {said.get(names.TOOL_ATTEMPT, 'unknown')}{why}{waited}"


def _budget(said: Mapping[str, Any]) -> str:
    used, limit = said.get(names.BUDGET_USED), said.get(names.BUDGET_LIMIT)
    scope, action = said.get(names.BUDGET_SCOPE), said.get(names.BUDGET_ACTION)
    return f"{said.get(names.BUDGET_TYPE)} of the {scope}: {_number(used)} of {_number(limit)} used, then {action}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


def _degraded(said: Mapping[str, Any], ended: Mapping[str, Any] | None) -> str:
    component = f" for {said[names.DEGRADATION_COMPONENT]}" if said.get(names.DEGRADATION_COMPONENT) else ""
    told = (ended or said).get(names.DEGRADATION_DISCLOSED)
    user = "" if told is None else f", the user was {'' if told else 'not '}told"
    return f"{said.get(names.DEGRADATION_MODE)}{component} because of {said.get(names.DEGRADATION_TRIGGER)}{user}"
