"""Formats: one file, one way in which a run is taken elsewhere; its name is the file's, and the option's."""
