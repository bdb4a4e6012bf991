"""A plain Python agent made observable by the names of its functions, or by a mapping from its names to those."""
