"""Runs side by side: results first, then layers, then images."""
