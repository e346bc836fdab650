"""Numbers about results: tensors and counts in, plain numbers out. Nothing here keeps state."""
