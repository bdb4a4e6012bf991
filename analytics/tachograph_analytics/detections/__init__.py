"""What must never happen silently: 23 questions to the store, and what each finds, groups, and cannot know."""

from tachograph_analytics.detections.catalogue import rules, sql
from tachograph_analytics.detections.coverage import Coverage, coverage
from tachograph_analytics.detections.finding import Finding, detect
from tachograph_analytics.detections.group import Group, grouped

__all__ = ["Coverage", "Finding", "Group", "coverage", "detect", "grouped", "rules", "sql"]
