"""Folders: a run on disk, what may stand in it, and what is done where a file is damaged."""
