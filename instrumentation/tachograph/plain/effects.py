"""What a tool does to the world, by the verb that its name begins with; nothing is guessed of other names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tachograph.patterns.tool import Effect

# Verbs of HTTP APIs and of the tools of the public agent benchmarks (tau-bench: airline, retail).
_WRITES: Final = frozenset(
    """
    add approve archive assign book buy cancel charge close create delete deploy disable edit enable exchange execute
    grant insert invite issue merge modify move order pay post publish purchase put refund remove rename replace reset
    restart return revoke schedule send set submit transfer trigger update upload upsert withdraw write
    """.split()  # noqa: SIM905 - a table of words
)
_READS: Final = frozenset(
    """
    check count describe fetch find get inspect list load look lookup query read retrieve search show view
    """.split()  # noqa: SIM905 - a table of words
)
_NOTHING: Final = frozenset({"calculate", "compute", "think"})
_FIRST_WORD: Final = re.compile(r"[A-Z]?[a-z]+")


def effect_of(tool: str) -> Effect | None:
    """`write`, `read` or `none` by the first word of the tool's name; None where that says nothing."""
    found = _FIRST_WORD.search(tool)
    verb = found.group().lower() if found else ""
    if verb in _WRITES:
        return "write"
    if verb in _READS:
        return "read"
    return "none" if verb in _NOTHING else None
