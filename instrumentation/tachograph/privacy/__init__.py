"""What may be recorded of what people, models and tools said, and what never leaves."""
