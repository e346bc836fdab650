"""Numbers, recipes and differences in words, the same on every page."""
