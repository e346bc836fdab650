"""What the papers claim of their quantizers, and its measurement seed by seed."""
