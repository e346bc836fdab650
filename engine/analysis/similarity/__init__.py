"""How alike two networks' weights are, scales and order of channels aside."""
