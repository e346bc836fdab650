"""Charts of layers: their error, their weights, their bits."""
