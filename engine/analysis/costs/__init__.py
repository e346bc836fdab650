"""What a network costs: stored bits, operations on bits, energy by a published table."""
