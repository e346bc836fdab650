"""What the papers claim of their images, and its measurement seed by seed."""
