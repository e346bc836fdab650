"""The machine that runs are on: its processes, its memory, and how much of it a run may take."""
