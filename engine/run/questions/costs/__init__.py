"""What a finished run's bits cost: each layer's harm, bytes, operations, energy, time."""
