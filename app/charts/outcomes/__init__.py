"""Charts of what came of runs and claims, and the sentences beside them."""
