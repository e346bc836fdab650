"""A new run: the dialog, its form, and what it would take."""
