"""What tachograph's own commands say when the user can mend it."""


class UsageError(Exception):
    """A sentence: what happened, why, the next command. The CLI prints it and exits with 2."""
