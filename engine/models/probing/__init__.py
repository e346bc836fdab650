"""Probing: one look at a network once it is built, and what had to be done to it."""
