"""Rules about what layers read, and the grids of their inputs."""
