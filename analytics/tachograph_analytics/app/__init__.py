"""The investigation app: one page a question, its state in the URL, each number with its SQL."""
