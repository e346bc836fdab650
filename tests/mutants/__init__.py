"""How much the tests would notice: `python -m tests.mutants`."""
