"""Real images: how they are found, read and brought to a network's shape."""
