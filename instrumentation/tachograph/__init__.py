"""tachograph: the sealed recorder for AI agents.

One call makes an agent observable:

    import tachograph
    report = tachograph.instrument(my_agent_module)

The hooks below record what no naming convention can see; they do nothing until `instrument()` was called and never
raise into the agent.
"""

from tachograph.instrument import Report, flush, instrument, uninstrument
from tachograph.patterns.approval import approval
from tachograph.patterns.budget import budget
from tachograph.patterns.cache import cache
from tachograph.patterns.checkpoint import checkpoint
from tachograph.patterns.degraded import degraded
from tachograph.patterns.evidence import evidence
from tachograph.patterns.limiter import limiter
from tachograph.patterns.llm import llm_call
from tachograph.patterns.policy import policy
from tachograph.patterns.release import evaluation, gate, release
from tachograph.patterns.routing import combine, delegate, plan, route
from tachograph.patterns.run import run, turn
from tachograph.patterns.tool import retry, tool
from tachograph.run import run_id

__all__ = [
    "Report",
    "approval",
    "budget",
    "cache",
    "checkpoint",
    "combine",
    "degraded",
    "delegate",
    "evaluation",
    "evidence",
    "flush",
    "gate",
    "instrument",
    "limiter",
    "llm_call",
    "plan",
    "policy",
    "release",
    "retry",
    "route",
    "run",
    "run_id",
    "tool",
    "turn",
    "uninstrument",
]
