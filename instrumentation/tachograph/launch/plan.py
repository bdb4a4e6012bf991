"""What `tachograph run` tells the process of the program: in a file, so that its environment stays as it was.

Not in an argument either: Linux lets one have 128 KiB, and the program may have many.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["file", "module", "code"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A program and how it is recorded.

    `what` is its file, module or code, `command` the words with which it would run without us. `endpoint` None means
    what the environment says; `token` that the receiver wants the one of TACHOGRAPH_TOKEN. `journal` is a file.
    """

    kind: Kind
    what: str
    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    service_name: str | None = None
    endpoint: str | None = None
    token: bool = False
    mapping: dict[str, str] = field(default_factory=dict[str, str])
    journal: str = ""

    def written(self) -> str:
        """The plan as text."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Plan:
        """The plan that `written` gave."""
        fields: dict[str, Any] = json.loads(text)
        fields |= {name: tuple(fields[name]) for name in ("command", "arguments")}
        return cls(**fields)
