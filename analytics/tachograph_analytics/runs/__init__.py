"""What the store says about runs: a range of them in figures, and one of them step by step. Nothing here draws."""
