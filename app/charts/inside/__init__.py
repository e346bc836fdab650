"""Inside one layer: its input on its grid, the reach of channels, feature maps, float against quantized."""
