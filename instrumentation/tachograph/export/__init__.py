"""How spans and events leave the process: queued, redacted, delivered patiently, and counted where they are lost."""
