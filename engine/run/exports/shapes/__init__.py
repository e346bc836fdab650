"""What a stranger's answers look like, and what must fit within each of them."""
