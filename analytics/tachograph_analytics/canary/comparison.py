"""All gates of two releases at one look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.gate import CRITERIA, Gate, Group
from tachograph_analytics.canary.golden import golden
from tachograph_analytics.canary.money import cost_per_success
from tachograph_analytics.canary.rates import RATES, rate
from tachograph_analytics.canary.sessions import Arm, at_hand, standalone
from tachograph_analytics.canary.speed import latency, latency_p95
from tachograph_analytics.runs.scope import text

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.canary.releases import Pair
    from tachograph_analytics.runs.scope import Scope

# By so much the candidate's share of the sessions may move from the first half of the time to the second before the
# reader is told: with a ramp, a change of the traffic itself looks like a change of the release.
RAMP: Final = 0.10


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two releases in `scope`, the time in which both ran. `both` sessions saw both releases and are left out."""

    pair: Pair
    scope: Scope
    baseline: Arm
    candidate: Arm
    both: int
    gates: tuple[Gate, ...]

    @property
    def ramp(self) -> tuple[float, float] | None:
        """The candidate's share of the sessions in the first and second half of the time, where it moved by RAMP."""
        early = self.baseline.early + self.candidate.early
        late = self.baseline.sessions + self.candidate.sessions - early
        if not early or not late:
            return None
        shares = self.candidate.early / early, (self.candidate.sessions - self.candidate.early) / late
        return shares if abs(shares[1] - shares[0]) > RAMP else None

    def in_order(self) -> tuple[Gate, ...]:
        """The gates with numbers: by group, the group of the worst gate first, within each the worst first."""
        told = [gate for gate in self.gates if gate.state != "no data"]
        worst: dict[Group, tuple[bool, bool, float]] = {}
        for gate in told:
            group = gate.criterion.group
            worst[group] = max(worst.get(group, (False, False, float("-inf"))), _rank(gate))
        return tuple(
            sorted(
                told, key=lambda gate: (worst[gate.criterion.group], gate.criterion.group, _rank(gate)), reverse=True
            )
        )

    def sql(self) -> str:
        """One query for both values of every gate: columns gate, baseline, candidate."""
        bring = standalone("", self.pair, self.scope)
        rows = (
            f"SELECT {text(gate.criterion.label)} AS gate, ({gate.baseline.sql.removeprefix(bring)}) AS baseline, "
            f"({gate.candidate.sql.removeprefix(bring)}) AS candidate"
            for gate in (*self.in_order(), *self.silent())
        )
        return bring + "\nUNION ALL ".join(rows)

    def silent(self) -> tuple[Gate, ...]:
        """The gates without data, critical ones first."""
        return tuple(
            sorted((g for g in self.gates if g.state == "no data"), key=lambda gate: not gate.criterion.critical)
        )


def compare(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope) -> Comparison | None:
    """Every gate of the pair in `scope`; None where the two never ran at the same time in it.

    Golden cases are judged apart from traffic: they count from the whole of `scope`.
    """
    overlap = pair.overlap(scope)
    if overlap is None:
        return None
    with at_hand(connection, pair, overlap) as sessions:
        gates = [
            *(rate(sessions, name) for name in RATES),
            cost_per_success(sessions),
            latency_p95(sessions),
            latency(sessions),
            golden(sessions.connection, pair, replace(scope, agent=pair.agent)),
        ]
        order = list(CRITERIA)
        gates.sort(key=lambda gate: order.index(gate.criterion.name))
        return Comparison(pair, overlap, sessions.baseline, sessions.candidate, sessions.both, tuple(gates))


def _rank(gate: Gate) -> tuple[bool, bool, float]:
    worse = gate.tendency == "worse"
    return worse, gate.criterion.critical, gate.badness
