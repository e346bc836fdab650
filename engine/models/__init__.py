"""What networks are: cards, loading, blocks, and the walk through them."""
