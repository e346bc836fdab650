"""What pages ask of the engine: runs, recipes, diagnoses, sweeps, cures; at once or in the background."""
