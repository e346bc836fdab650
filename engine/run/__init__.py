"""Runs: the only package that knows all the others, and the only one that the app may call."""
