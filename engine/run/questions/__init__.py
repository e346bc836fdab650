"""What a user asks before and after a run: how long, how much memory, what is wrong, which layer costs."""
