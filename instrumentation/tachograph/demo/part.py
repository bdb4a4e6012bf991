"""What one player plays: handed to its process as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal["history", "live", "recordings"]


@dataclass(frozen=True, slots=True)
class Part:
    """One agent's part in the demo, and where its telemetry goes.

    `history` plays `runs` requests of the five weeks before `until`; `live` goes on in real time, a request each
    `pace` seconds; `recordings` replays the airline's recordings, those of the file `trajectories`,
    and with a `pace` over and over. The last /metrics go to the file `metrics`, all steps of them to the file `tape`.
    """

    kind: Kind
    agent: str
    endpoint: str
    seed: int = 0
    until: float = 0.0
    runs: int = 0
    pace: float | None = None
    trajectories: str | None = None
    metrics_port: int | None = None
    metrics: str | None = None
    tape: str | None = None

    def json(self) -> str:
        """The part as an argument of a process."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Part:
        """The part that an argument says."""
        return cls(**json.loads(text))
