"""The audit log: approvals, writes, overrides, gates and policies, chained by their hashes so that a change shows."""
