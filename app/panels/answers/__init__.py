"""What a run came to: its answers beside its teacher's and other runs'."""
