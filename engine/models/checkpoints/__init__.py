"""Checkpoints: files of weights, read without executing anything, and fitted to a network."""
