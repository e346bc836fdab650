"""What a network returned, and how it is judged by that."""
