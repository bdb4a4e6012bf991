"""The Markdown pages of the repository: their fenced blocks, headings and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOOKS = DOCS / "hooks.md"
PATTERNS = DOCS / "patterns"

_FENCE = re.compile(r"^```(?P<info>.*)\n(?P<code>(?:.*\n)*?)```$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`[^`\n]*`")
_FOREIGN = {".venv", "node_modules", ".git", ".pytest_cache"}  # folders whose pages are not ours


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: `info` is what stands behind the fence, `line` the line of its first code, from 1."""

    info: str
    code: str
    line: int


def pages() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.md") if _FOREIGN.isdisjoint(path.relative_to(ROOT).parts))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text("utf-8")
    found = [Block(m["info"], m["code"], text.count("\n", 0, m.start("code")) + 1) for m in _FENCE.finditer(text)]
    return [block for block in found if block.info.split(" ")[0] == language]


def shown_after(page: Path, block: Block) -> str | None:
    """What stands in the fence right behind a block, if that is one of plain text: the output that the page shows."""
    text = page.read_text("utf-8").splitlines(keepends=True)
    behind = "".join(text[block.line - 1 + block.code.count("\n") + 1 :])
    found = re.match(r"\n*```text\n((?:.*\n)*?)```$", behind, re.MULTILINE)
    return found[1] if found else None


def links(page: Path) -> list[str]:
    """Targets of links, without those in code."""
    return _LINK.findall(_INLINE.sub("", _FENCE.sub("", page.read_text("utf-8"))))


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def page_of(pattern: str) -> Path:
    """The page of P01 … P10; of everything else (runs, LLM calls, cost) the overview."""
    found = sorted(PATTERNS.glob(f"{pattern.lower()}-*.md"))
    return found[0] if found else PATTERNS / "README.md"
