"""Graph: what a network computes in which order, and the blocks that it falls into."""
