"""P02, policies: which version of the rules was in force when something was approved, written or let through."""

from __future__ import annotations

from tachograph.audit.record import audit
from tachograph.registry import names as n
from tachograph.telemetry.guard import guarded
from tachograph.telemetry.recorder import covering

_POLICIES = 64  # bound of memory, and of what each audit entry carries


@guarded("audit", None)
def policy(name: str, version: str) -> None:
    """Says which version of a policy of the agent's own is in force in this process from now on.

    A change is on record, and each later audit entry names the versions in force. Saying the same again costs nothing.
    """
    recorder = covering("audit")
    if recorder is None or recorder.policies.get(name) == version:
        return
    if name in recorder.policies or len(recorder.policies) < _POLICIES:
        recorder.policies[name] = version
    audit(recorder, "policy", {n.POLICY_NAME: name, n.POLICY_VERSION: version})
