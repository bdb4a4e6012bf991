"""Two releases side by side: what ran at the same time, session by session. Knows tables, never Streamlit."""

from tachograph_analytics.canary.comparison import Comparison, compare
from tachograph_analytics.canary.gate import Gate
from tachograph_analytics.canary.releases import Pair, Release, default_pair, releases

__all__ = ["Comparison", "Gate", "Pair", "Release", "compare", "default_pair", "releases"]
