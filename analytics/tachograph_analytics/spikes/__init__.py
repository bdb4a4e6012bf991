"""Cost spikes: what was spent when, what is usual, and by which attributes of the runs the two differ."""
