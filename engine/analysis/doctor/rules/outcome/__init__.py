"""Rules about what came out in the end."""
