"""What an OTLP endpoint said to an attempt, and whether another one makes sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# OTLP/HTTP specification, "Failures": 429, 502, 503 and 504 may be tried again. 408 and the other 5xx are tried again
# too: a restarting receiver answers 500 for a moment, and its spans are worth more than a few requests.
_TRY_AGAIN: Final = frozenset({408, 429})
_OK: Final = range(200, 300)
_SERVER_FAILED: Final = range(500, 600)

# OTLP/gRPC specification, "Failures", and INTERNAL and UNKNOWN for the reason above. RESOURCE_EXHAUSTED is final unless
# the endpoint says when to come again: a batch that is too large stays too large.
_GRPC_OK: Final = "OK"
_GRPC_EXHAUSTED: Final = "RESOURCE_EXHAUSTED"
_GRPC_TRY_AGAIN: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS", "INTERNAL", "UNKNOWN"}
)


@dataclass(slots=True)
class Answer:
    """What came back of the latest attempt: was anything sent, the status, the wait in s that the endpoint asks for.

    The status is a number of HTTP or the name of a gRPC code.
    """

    asked: bool = False
    status: int | str | None = None
    retry_after: float | None = None

    def reset(self) -> None:
        """Forgets the attempt before."""
        self.asked, self.status, self.retry_after = False, None, None

    @property
    def final(self) -> bool:
        """Whether another attempt is pointless."""
        match self.status:
            case None:
                return False
            case int():
                return self.status not in _TRY_AGAIN and self.status not in _SERVER_FAILED
            case str() if self.status == _GRPC_EXHAUSTED:
                return self.retry_after is None
            case str():
                return self.status not in _GRPC_TRY_AGAIN

    @property
    def taken(self) -> bool:
        """Whether the endpoint did not say that it refused."""
        return self.status is None or self.status in _OK or self.status == _GRPC_OK
