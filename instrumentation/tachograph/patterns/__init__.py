"""The ten patterns and what carries them: in each file the hook, span, event and metrics of one pattern together."""
