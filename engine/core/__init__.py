"""What every room of the engine stands on: events, the method contract, hooks, randomness."""
