"""The unit of analysis. Runs of one session hang together: counting each as news of its own proves too much."""

from __future__ import annotations

from typing import Final

UNIT: Final = "coalesce('session ' || session, 'user ' || user_hash, 'run ' || run_id)"
"""Over the view runs: the session of a run, else its user, else the run itself."""

TRAFFIC: Final = "run_id NOT IN (SELECT run_id FROM evaluations WHERE case_id IS NOT NULL AND run_id IS NOT NULL)"
"""Over the view runs: what users asked for. A run that answers a golden case is an examination, no traffic."""
