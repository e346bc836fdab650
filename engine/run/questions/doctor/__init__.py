"""What is wrong with a finished run, what to change, and what came of it when it was tried."""
