"""The head of a run: which, its state, how it ended, what can be done with it."""
