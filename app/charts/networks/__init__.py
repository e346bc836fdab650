"""The map of a network."""
