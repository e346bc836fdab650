"""What is asked before a run: what may go wrong, how long it takes, how much memory, what fits a time."""
