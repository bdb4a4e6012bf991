"""The commands of the `analytics` extra."""
