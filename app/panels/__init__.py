"""One file = one thing on a page."""
