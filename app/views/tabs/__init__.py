"""The tabs of a run: one file a tab, each drawn for one run by `draw`."""
