"""What comes from outside, read so that nothing in it can do harm: files, small JSON, a user's code."""
