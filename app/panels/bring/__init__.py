"""The steps of bringing a network."""
