"""Grids: which values a weight or an input may take, and how a range is searched."""
