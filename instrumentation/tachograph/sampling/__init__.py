"""Which traces leave the process: whole ones, notable ones always, and at which rate the rest."""
