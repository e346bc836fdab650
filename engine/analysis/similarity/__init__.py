"""How alike two networks are, layer by layer, whatever the scales of their channels."""
