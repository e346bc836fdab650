"""What quantization does to the layers of a run."""
