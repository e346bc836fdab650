"""Recipes: all that a run depends on, read from what a person asked for."""
