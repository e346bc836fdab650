"""The student loses its bits: what happens before, block by block, behind, and how wrong it becomes."""
