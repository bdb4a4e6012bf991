"""`tachograph run`: a program of the user's own, recorded without a change to it."""
