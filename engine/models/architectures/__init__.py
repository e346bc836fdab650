"""Architectures: the modules of the bundled networks, without weights."""
